package agent

import (
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
	start wire.Start
	spool *spool
	stop  context.CancelCauseFunc // with a *stopped
	ended chan struct{}
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
}

func (s *stopped) Error() string { return s.reason }

// pushLimit bounds the whole of pushing, tries included.
const pushLimit = 5 * time.Minute

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
}

// finish records how the attempt ended. A disk that is full may have room again: without its Finished the attempt would
// stay open for ever.
func (n *Node) finish(ctx context.Context, a *attempt, end task.End) {
	log := zerolog.Ctx(ctx)
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		err := a.spool.append(finished(end))
		switch {
		case err == nil:
			log.Info().Str("outcome", string(end.Outcome)).Str("reason", keepHead(end.Reason, 300)).Msg("attempt ended")
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
	switch {
	case err == nil:
	case errors.As(context.Cause(ctx), &why):
		end.Outcome, end.Reason = task.Stopped, why.reason
	case errors.As(err, &given):
		end.Outcome, end.Reason = task.GaveUp, given.Error()
	default:
		end.Outcome, end.Reason = task.Died, sentence(err)
	}
	return end
}

// steps are mirror, workspace, agent and push. An error is of the steps before the agent.
func (n *Node) steps(ctx context.Context, a *attempt) (task.End, error) {
	driver, err := n.drivers.find(a.start.Agent)
	if err != nil {
		return task.End{}, err
	}
	began := time.Now()
	token, err := n.gateway.fetchToken(ctx, a.start.Ref)
	if err != nil {
		return task.End{}, err
	}
	from, err := n.mirrors.fetch(ctx, a.start, token)
	if err != nil {
		return task.End{}, err
	}
	if err := a.spool.append(stepped(task.StepMirror, began, from.note(a.start))); err != nil {
		return task.End{}, err
	}

	began = time.Now()
	unlock, err := n.workspaces.locks.lock(ctx, a.start.Thread)
	if err != nil {
		return task.End{}, err
	}
	defer unlock()
	workspace, note, err := n.workspaces.make(ctx, a.start, from)
	if err != nil {
		return task.End{}, err
	}
	defer func() {
		if err := workspace.Close(context.WithoutCancel(ctx)); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("workspace not closed in order")
		}
	}()
	if err := a.spool.append(stepped(task.StepWorkspace, began, note)); err != nil {
		return task.End{}, err
	}

	end, err := driver.Run(ctx, workspace, a.start, func(e task.Event) error { return a.record(ctx, e) })
	var why *stopped
	switch {
	case end.Outcome == task.Done: // even if it was about to be stopped
	case errors.As(context.Cause(ctx), &why):
		end.Outcome, end.Reason = task.Stopped, why.reason
	case err != nil:
		end.Outcome, end.Reason = task.Died, sentence(err)
	case end.Outcome == "":
		end.Outcome, end.Reason = task.Died, "The agent ended without saying how."
	}
	return n.deliver(ctx, a, workspace, from, end), nil
}

func (h heads) note(s wire.Start) string {
	if h.branch != "" {
		return fmt.Sprintf("%s at %.8s", s.Branch, h.branch)
	}
	return fmt.Sprintf("%s at %.8s", s.Base, h.base)
}

// deliver pushes what was committed, however the agent ended, so that no work is lost, and says what stays behind.
func (n *Node) deliver(ctx context.Context, a *attempt, w Workspace, from heads, end task.End) task.End {
	if cause := context.Cause(ctx); cause != nil {
		var why *stopped
		if !errors.As(cause, &why) || !why.keep {
			return end
		}
		ctx = context.WithoutCancel(ctx) // stopped on request: what was committed is still worth pushing
	}
	ctx, cancel := context.WithTimeoutCause(ctx, pushLimit, errors.New("it took longer than "+pushLimit.String()))
	defer cancel()
	began := time.Now()
	head, dirty, err := workState(ctx, w)
	if err != nil {
		return worsen(end, task.Died, "What the agent left in its workspace cannot be read: "+sentence(err))
	}
	end.Left = dirty
	was := from.branch
	if was == "" {
		was = from.base // a branch that does not exist yet and would add nothing
	}
	note := "nothing new was committed"
	if head != was {
		if err := pushHead(ctx, w, a.start.Branch); err != nil {
			return pushFailed(end, a.start.Branch, err)
		}
		note = fmt.Sprintf("%s at %.8s", a.start.Branch, head)
	}
	if dirty {
		note += "; uncommitted changes stay behind in the workspace"
	}
	if err := a.spool.append(stepped(task.StepPush, began, note)); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("push not recorded")
	}
	return end
}

// workState is the commit that the workspace is at, and whether something in it is not committed.
func workState(ctx context.Context, w Workspace) (head string, dirty bool, err error) {
	out, err := output(ctx, w, "git", "status", "--porcelain=v2", "--branch", "--untracked-files=normal")
	if err != nil {
		return "", false, err
	}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if oid, ok := strings.CutPrefix(line, "# branch.oid "); ok {
			head = oid
		} else if !strings.HasPrefix(line, "#") {
			dirty = true
		}
	}
	return head, dirty, nil
}

// pushHead pushes without the workspace's own hooks: one that fails must not lose the work.
func pushHead(ctx context.Context, w Workspace, branch string) error {
	for _, pause := range []time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second, 15 * time.Second, 0} {
		_, err := output(ctx, w, "git", "push", "--no-verify", "--quiet", "origin", "HEAD:refs/heads/"+branch)
		var failed *gitError
		if err == nil || pause == 0 || !errors.As(err, &failed) || !passing(failed.words) {
			return err
		}
		if err := after(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}

func pushFailed(end task.End, branch string, err error) task.End {
	outcome := task.Died
	var failed *gitError
	if errors.As(err, &failed) && !passing(failed.words) {
		outcome = task.GaveUp // refused: another attempt would meet the same
	}
	return worsen(end, outcome, fmt.Sprintf("The work is committed but could not be pushed to %s: %s", branch, sentence(err)))
}

// worsen adds what went wrong after the agent to its end: an end that was well becomes outcome.
func worsen(end task.End, outcome task.Outcome, reason string) task.End {
	if end.Outcome == task.Done {
		end.Outcome = outcome
	}
	end.Reason = strings.Join(nonEmpty(end.Reason, reason), "\n\n")
	return end
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
