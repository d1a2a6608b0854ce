package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sam/agent/wire"
	"sam/task"
)

// attempt is one start of a task on this node, from its command to its Finished.
type attempt struct {
	start  wire.Start
	spool  *spool
	parked *parked                 // nil for one that begins in this process
	stop   context.CancelCauseFunc // with a *stopped
	ended  chan struct{}

	answers *answers // to what the agent asks

	pass   int  // events of the driver's that the spool has already: it tells them again
	pushed bool // the push is recorded already
}

// emit takes an event of the driver's, or passes over one that an earlier process has taken.
func (a *attempt) emit(ctx context.Context, e task.Event) error {
	if a.pass > 0 && e.Kind != task.Finished {
		if a.spool.takes(e) { // what is not whole was left out then, too
			a.pass--
		}
		return nil
	}
	return a.record(ctx, e)
}

// record takes an event of the driver's. How the attempt ended is not a driver's to record. An event that is not whole, as
// when an agent says nothing at length, is left out.
func (a *attempt) record(ctx context.Context, e task.Event) error {
	if e.Kind == task.Finished {
		return errors.New("a driver returns how its agent ended, it does not emit it")
	}
	err := a.spool.append(e)
	if errors.Is(err, task.ErrEvent) {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("the agent's event is left out")
		return nil
	}
	return err
}

// stopped is why an attempt is ended from outside.
type stopped struct {
	reason string
	// keep: what the agent has committed is still pushed. An attempt that another one replaces, or that the gateway has
	// forgotten, may push no more.
	keep bool
	// outcome is how the attempt then ended; empty is task.Stopped, on request.
	outcome task.Outcome
}

// end is the attempt's own, for this reason.
func (s *stopped) end() (task.Outcome, string) { return cmp.Or(s.outcome, task.Stopped), s.reason }

func (s *stopped) Error() string { return s.reason }

// attempt goes the whole way of an attempt and ends its spool with one Finished, unless the node agent itself is told to
// end: then the next process finds the spool open and says that the attempt is lost.
func (n *Node) attempt(ctx context.Context, a *attempt, earlier <-chan struct{}) {
	defer close(a.ended)
	log := zerolog.Ctx(ctx).With().Str("task", a.start.Task).Int64("epoch", a.start.Epoch).Logger()
	ctx = log.WithContext(ctx)
	log.Info().Str("repository", a.start.FullName).Str("agent", a.start.Agent).Msg("attempt started")
	end := n.outcome(ctx, a, earlier)
	n.release(a) // before it is told, for the gateway may send the next one at once
	var why *stopped
	if ctx.Err() != nil && !errors.As(context.Cause(ctx), &why) {
		log.Info().Msg("attempt left: the node agent is ending")
		return
	}
	n.finish(context.WithoutCancel(ctx), a, end)
	if err := n.records.remove(a.start.Ref); err != nil {
		log.Warn().Err(err).Msg("an attempt that is over may be looked for after a restart")
	}
}

// finish records how the attempt ended. A disk that is full may have room again: without its Finished the attempt would
// stay open for ever.
func (n *Node) finish(ctx context.Context, a *attempt, end task.End) {
	log := zerolog.Ctx(ctx)
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		err := a.spool.append(finished(end))
		switch {
		case err == nil:
			log.Info().Str("outcome", string(end.Outcome)).Str("reason", keepHead(a.spool.redacted(end.Reason), 300)).Msg("attempt ended")
			return
		case errors.Is(err, errDropped) || errors.Is(err, errEnded):
			return
		}
		log.Error().Err(err).Msg("the end of an attempt cannot be written; trying again")
		if !within(n.ending, pause) {
			continue
		}
		return
	}
}

// outcome runs the attempt and says how it ended, whatever happened.
func (n *Node) outcome(ctx context.Context, a *attempt, earlier <-chan struct{}) (end task.End) {
	defer func() {
		if broken := recover(); broken != nil {
			zerolog.Ctx(ctx).Error().Interface("panic", broken).Bytes("stack", debug.Stack()).Msg("attempt broke")
			end = task.End{Outcome: task.Died, Reason: fmt.Sprintf("The node's agent process failed: %v. This is a bug in SAM; its log has more.", broken)}
		}
	}()
	if earlier != nil {
		<-earlier // an older attempt of the same task, which was told to stop
	}
	end, err := n.steps(ctx, a)
	var why *stopped
	var given gaveUpError
	var lost lostError
	switch {
	case err == nil:
	case errors.As(context.Cause(ctx), &why):
		end.Outcome, end.Reason = why.end()
	case errors.As(err, &given):
		end.Outcome, end.Reason = task.GaveUp, given.Error()
	case errors.As(err, &lost):
		end.Outcome, end.Reason = task.Lost, lost.Error()
	default:
		end.Outcome, end.Reason = task.Died, sentence(err)
	}
	return end
}

// steps are mirror, workspace, agent and push. An error is of the steps before the agent.
func (n *Node) steps(ctx context.Context, a *attempt) (task.End, error) {
	unlock := func() {}
	if a.parked != nil {
		unlock = a.parked.unlock
	}
	defer func() { unlock() }()
	watched := func() {}
	defer func() { watched() }()
	watch := func() { watched = n.disk.watch(ctx, a.start.Thread, func(why *stopped) { a.stop(why) }) }
	driver, err := n.drivers.find(a.start.Agent)
	var workspace Workspace
	var from heads
	defer func() { from.giveBack() }()
	if a.parked != nil {
		watch()
		var broken error
		from = a.parked.record.heads()
		from.back = n.mirrors.lent.lend(a.start.Repository)
		workspace, broken = n.takeUp(ctx, a)
		err = cmp.Or(err, broken)
	} else {
		if err := cmp.Or(err, n.isolates(driver), n.disk.room(ctx)); err != nil {
			return task.End{}, err
		}
		if err := n.boot.tell(ctx, a.spool.append); err != nil {
			return task.End{}, err
		}
		if from, err = n.mirror(ctx, a); err != nil {
			return task.End{}, err
		}
		began := time.Now()
		if unlock, err = n.workspaces.locks.lock(ctx, a.start.Thread); err != nil {
			unlock = func() {}
			return task.End{}, err
		}
		watch()
		workspace, err = n.workspace(ctx, a, driver, from, began)
		if err != nil && workspace == nil && n.mirrors.distrust(ctx, from, a.start.Repository, err) {
			if from, err = n.mirror(ctx, a); err != nil {
				return task.End{}, err
			}
			workspace, err = n.workspace(ctx, a, driver, from, time.Now())
		}
	}
	if workspace != nil {
		defer func() { n.giveBack(ctx, a, workspace) }()
	}
	if err != nil {
		return task.End{}, err
	}
	return n.drive(ctx, a, driver, workspace, from), nil
}

// isolates refuses an agent that may do anything where nothing keeps it in.
func (n *Node) isolates(driver Driver) error {
	if driver == nil || !driver.Real() || n.workspaces.kind != KindProcess || n.options.UnsafeNoIsolation {
		return nil
	}
	return gaveUpError(fmt.Sprintf("This node has no container engine, and %s is not run without one: nothing would keep it from the rest of the machine. "+
		"Install Docker on the node and start sam node again, or start it with --unsafe-no-isolation if all that is on the machine may be the agent's.", driver.Name()))
}

// mirror brings the mirror up to date and records it.
func (n *Node) mirror(ctx context.Context, a *attempt) (heads, error) {
	began := time.Now()
	token, err := n.gateway.fetchToken(ctx, a.start.Ref)
	if err != nil {
		return heads{}, err
	}
	from, err := n.mirrors.fetch(ctx, a.start, token)
	if err != nil {
		return heads{}, err
	}
	return from, a.spool.append(stepped(task.StepMirror, began, from.note(a.start)))
}

// workspace makes the workspace and records it, and what the next process needs should this one end. It may return both a
// workspace and an error.
func (n *Node) workspace(ctx context.Context, a *attempt, driver Driver, from heads, began time.Time) (Workspace, error) {
	made, note, err := n.workspaces.make(ctx, a.start, from)
	if err != nil {
		return nil, err
	}
	if driver.Real() && made.Kind() == KindProcess {
		note = strings.Join(nonEmpty("NO ISOLATION: the agent runs as the node's own user, because the node was started with --unsafe-no-isolation", note), "; ")
	}
	if err := a.spool.append(stepped(task.StepWorkspace, began, note)); err != nil {
		return made, err
	}
	if e, ok := withheld(a.start); ok {
		if err := a.spool.append(e); err != nil {
			return made, err
		}
	}
	if len(from.restore) > 0 {
		if err := a.spool.append(from.restore.notice(a.start)); err != nil {
			return made, err
		}
	}
	if from.ignored != nil {
		if e, ok := from.ignored.notice(); ok {
			if err := a.spool.append(e); err != nil {
				return made, err
			}
		}
	}
	if err := n.environment(ctx, a, made); err != nil {
		return made, err
	}
	if made.Kind() == KindDocker {
		return made, n.records.write(newRecord(a.start, from, a.spool.position()))
	}
	return made, nil
}

// takeUp goes on with an attempt that another process began.
func (n *Node) takeUp(ctx context.Context, a *attempt) (Workspace, error) {
	w := n.workspaces.attach(a.start, a.parked.record.heads(), a.parked.container)
	w.engine.beside.add(a.start.Thread, a.parked.services...)
	pass, pushed, err := a.spool.since(a.parked.record.Before)
	if err != nil {
		return w, err
	}
	a.pass, a.pushed = pass, pushed
	zerolog.Ctx(ctx).Info().Int("events", pass).Msg("the attempt goes on where an earlier process left it")
	if err := n.workspaces.connect(ctx, w, a.start); err != nil {
		return w, err
	}
	return w, w.ready(ctx)
}

// giveBack closes the workspace, unless the attempt is to be gone on with by another process.
func (n *Node) giveBack(ctx context.Context, a *attempt, w Workspace) {
	var why *stopped
	leaving, can := w.(interface{ leave(context.Context) error })
	if can && ctx.Err() != nil && !errors.As(context.Cause(ctx), &why) {
		if err := leaving.leave(context.WithoutCancel(ctx)); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("workspace not left in order")
		}
		return
	}
	n.workspaces.settle(context.WithoutCancel(ctx), a.start, w)
}

// drive runs the agent in its workspace and pushes what it committed.
func (n *Node) drive(ctx context.Context, a *attempt, driver Driver, w Workspace, from heads) task.End {
	emit := func(e task.Event) error { return a.emit(ctx, e) }
	limits, services := n.limits(ctx, a, w), n.watchServices(ctx, a, w)
	end, err := driver.Run(ctx, &attentive{Workspace: withSecrets(w, a.start.Secrets), emit: emit}, a.start, emit, a.answers)
	limits()
	services()
	var why *stopped
	switch {
	case end.Outcome == task.Done: // even if it was about to be stopped
	case errors.As(context.Cause(ctx), &why):
		end.Outcome, end.Reason = why.end()
	case err != nil:
		end.Outcome, end.Reason = task.Died, sentence(err)
	case end.Outcome == "":
		end.Outcome, end.Reason = task.Died, "The agent ended without saying how."
	}
	return n.deliver(ctx, a, w, from, end)
}

func (h heads) note(s wire.Start) string {
	if h.branch != "" {
		return fmt.Sprintf("%s at %.8s", s.Branch, h.branch)
	}
	return fmt.Sprintf("%s at %.8s", s.Base, h.base)
}

func nonEmpty(all ...string) []string {
	var kept []string
	for _, one := range all {
		if one != "" {
			kept = append(kept, one)
		}
	}
	return kept
}

// sentence makes an error readable for the person: a capital letter and an end.
func sentence(err error) string {
	words := strings.TrimSpace(err.Error())
	if words == "" {
		return ""
	}
	words = strings.ToUpper(words[:1]) + words[1:]
	if !strings.HasSuffix(words, ".") {
		words += "."
	}
	return words
}
