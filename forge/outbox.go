package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-github/v62/github"
	"github.com/rs/zerolog"

	"sam/task"
)

// editEvery is how long a status comment is left alone after an edit, so that a task's hasty steps are told by one call.
// The first words and the last do not wait.
const editEvery = 1500 * time.Millisecond

// deliverWithin bounds one effect. The ledger hides a taken effect for a few seconds only, so that one whose deliverer was
// killed is told soon; who delivers says every keepEvery that he is at it. When SAM is stopping what was begun has
// lastWithin left.
const (
	deliverWithin = 2 * callTimeout
	keepEvery     = 3 * time.Second
	lastWithin    = 10 * time.Second
)

// Ledger is where effects and tasks are kept.
type Ledger interface {
	// TakeOwed takes the most urgent effect that is due; task.ErrNotFound when none is.
	TakeOwed(ctx context.Context, to task.OwedTo) (task.Owed, error)
	// Settle, PutOff and GiveBack let go of a taken effect; task.ErrStale when somebody else has taken it meanwhile.
	Settle(ctx context.Context, o task.Owed, quiet time.Duration) error
	PutOff(ctx context.Context, o task.Owed, after time.Duration) error
	// KeepOwed hides a taken effect for longer; task.ErrStale when somebody else has taken it meanwhile.
	KeepOwed(ctx context.Context, o task.Owed) error
	GiveBack(ctx context.Context, o task.Owed) error
	OweLater(ctx context.Context, installation int64, after time.Duration, effects ...task.Effect) error
	Task(ctx context.Context, id task.ID) (task.Task, error)
	Project(ctx context.Context, id int64) (task.Project, error)
	SaveProject(ctx context.Context, p task.Project) error
	NoteStatusComment(ctx context.Context, id task.ID, comment int64) error
}

// Outbox delivers what is owed to GitHub, each effect at least once, and so that twice is the same as once.
type Outbox struct {
	forge  *Forge
	ledger Ledger
}

// NewOutbox returns an outbox that reads and settles effects in a ledger.
func NewOutbox(f *Forge, l Ledger) *Outbox { return &Outbox{f, l} }

// Deliver delivers what is due to one installation, the most urgent first, one after the other. It returns when nothing is
// due any more, or when GitHub must not be called for a while: it never waits for that.
func (o *Outbox) Deliver(ctx context.Context, to task.OwedTo) {
	for ctx.Err() == nil {
		owed, err := o.ledger.TakeOwed(ctx, to)
		if errors.Is(err, task.ErrNotFound) || err != nil && ctx.Err() != nil { // SAM is stopping
			return
		}
		if err != nil {
			zerolog.Ctx(ctx).Error().Err(err).Int64("installation", to.Installation).Msg("taking what is owed failed")
			return
		}
		if !o.deliverOne(ctx, owed) {
			return
		}
	}
}

// deliverOne delivers one effect and says whether the next may be tried.
func (o *Outbox) deliverOne(ctx context.Context, owed task.Owed) bool {
	log := zerolog.Ctx(ctx).With().Int64("installation", owed.Installation).Str("effect", owed.Target).Int("attempt", owed.Attempts).Logger()
	// What was begun is finished though SAM is stopping: half an effect is a twin tomorrow.
	calls, cancel := outlasting(log.WithContext(ctx), deliverWithin, lastWithin)
	defer cancel()
	defer o.keep(calls, cancel, owed)()
	ctx = context.WithoutCancel(calls)
	d, err := o.open(calls, owed)
	if err == nil && d.body.Kind != task.EffectTwins { // a look for twins seldom writes anything
		err = d.pace(calls)
	}
	if err == nil {
		err = d.deliver(calls)
	}
	if calls.Err() == nil {
		err = o.follow(calls, d, err)
	}
	kept, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return o.conclude(kept, d, err)
}

// outlasting returns a context that ends after a while, or, when the given one has ended, after a last while.
func outlasting(ctx context.Context, while, last time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithTimeout(context.WithoutCancel(ctx), while)
	timer := time.AfterFunc(while, cancel)
	stop := context.AfterFunc(ctx, func() { timer.Reset(last) })
	return out, func() {
		stop()
		timer.Stop()
		cancel()
	}
}

// keep hides an effect from other deliverers while it is on its way, until what it returns is called. Where another has it
// all the same, because this process was not heard of for long, the calls are ended.
func (o *Outbox) keep(calls context.Context, end context.CancelFunc, owed task.Owed) (release func()) {
	ctx, cancel := context.WithCancel(calls)
	done := make(chan struct{})
	go func() {
		defer close(done)
		every := time.NewTicker(keepEvery)
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			err := o.ledger.KeepOwed(ctx, owed)
			if errors.Is(err, task.ErrStale) {
				end()
				return
			}
			if err != nil && ctx.Err() == nil {
				zerolog.Ctx(ctx).Debug().Err(err).Msg("saying that an effect is on its way failed; another may deliver it too")
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// conclude lets go of an effect by what became of it, and says whether the next may be tried.
func (o *Outbox) conclude(ctx context.Context, d *delivery, err error) bool {
	log, owed := zerolog.Ctx(ctx), d.owed
	meaning, after := judge(err)
	goOn := true
	switch {
	case err == nil:
		err = o.ledger.Settle(ctx, owed, d.quiet)
		if errors.Is(err, task.ErrStale) { // another deliverer was at it too
			err = d.expectTwins(ctx)
		}
	case errors.Is(err, errMoot), status(err) == http.StatusGone,
		(meaning == missing || meaning == uninstalled) && owed.Attempts >= goneAfter:
		log.Info().Err(err).Msg("what was owed has no place to go any more")
		err = o.ledger.Settle(ctx, owed, 0)
	case meaning == refused && owed.Attempts >= giveUpAfter:
		log.Error().Err(err).Msg("GitHub refuses what is owed; giving it up")
		err = o.ledger.Settle(ctx, owed, 0)
	case meaning == limited && o.forge.pacer != nil: // it says for all replicas when to come back
		goOn = false
		log.Debug().Err(err).Msg("what is owed waits until GitHub may be called")
		err = o.ledger.GiveBack(ctx, owed)
	default:
		goOn = meaning != limited
		after = again(meaning, after, owed.Attempts)
		log.Warn().Err(err).Dur("again_in", after).Msg("delivering what is owed failed")
		err = o.ledger.PutOff(ctx, owed, after)
	}
	if err != nil && !errors.Is(err, task.ErrStale) {
		log.Error().Err(err).Msg("noting a delivery failed; the effect will come again and be found delivered")
	}
	return goOn
}

// again is when a failed effect is tried again, by what its failure means.
func again(meaning verdict, after time.Duration, attempts int) time.Duration {
	switch {
	case meaning == suspended:
		return retrySuspended
	case meaning == moved && attempts <= movedSoon:
		return retryFirst
	case meaning == limited && after > 0:
		return min(after, retryMost)
	case meaning == limited:
		return mostBlocked
	default:
		return backoff(attempts)
	}
}

// movedSoon is how many times what moved is looked for at once where it is now. What is not there by then takes its time.
const movedSoon = 5

// errMoot: the thread, the comment or the project that an effect is for is gone.
var errMoot = errors.New("gone")

// delivery is one effect on its way.
type delivery struct {
	outbox  *Outbox
	client  *github.Client
	owed    task.Owed
	project task.Project
	body    task.EffectBody
	quiet   time.Duration // how long nothing newer is to be told of the target
}

// pace asks for the one call by which the effect writes.
func (d *delivery) pace(ctx context.Context) error {
	return d.outbox.forge.pace(ctx, d.project.Installation, d.body.Kind.Urgency())
}

// open reads what an effect is about. It always returns a delivery, with as much in it as could be read.
func (o *Outbox) open(ctx context.Context, owed task.Owed) (*delivery, error) {
	d := &delivery{outbox: o, owed: owed}
	var err error
	if d.body, err = task.ParseEffect(owed.Effect); err != nil {
		return d, fmt.Errorf("%w: %w", errMoot, err)
	}
	if d.project, err = o.ledger.Project(ctx, d.body.Project); errors.Is(err, task.ErrNotFound) {
		// Of a repository that went to another account the ledger may hear first that it left, and then where it is.
		d.project, err = o.forge.Whereabouts(ctx, task.Project{ID: d.body.Project})
		if errors.Is(err, task.ErrNotFound) {
			return d, fmt.Errorf("%w: SAM is no longer installed there: %w", errMoot, err)
		}
	}
	if err != nil {
		return d, err
	}
	d.client, err = o.forge.client(d.project.Installation)
	return d, err
}

// follow looks for a project that GitHub does not find where it was: it may have been renamed or transferred. Then the
// ledger is told, and the effect comes again.
func (o *Outbox) follow(ctx context.Context, d *delivery, failed error) error {
	switch meaning, _ := judge(failed); {
	case failed == nil || errors.Is(failed, errMoot):
		return failed
	case meaning != moved && (meaning != missing && meaning != uninstalled || d.owed.Attempts < 2): // a new comment may be 404 once
		return failed
	}
	now, err := o.forge.Whereabouts(ctx, d.project)
	if err != nil || now == d.project {
		return failed // as it stands; what Whereabouts met is not what matters
	}
	zerolog.Ctx(ctx).Info().Str("from", d.project.FullName()).Str("to", now.FullName()).Msg("the project has moved")
	if err := o.ledger.SaveProject(ctx, now); err != nil {
		return err
	}
	return movedError{now.FullName()}
}

// movedError: the project was found elsewhere, and the effect is to be delivered there.
type movedError struct{ to string }

func (e movedError) Error() string { return "the project has moved to " + e.to }
