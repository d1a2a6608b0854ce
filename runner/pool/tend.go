package pool

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sam/runner/cloud"
	"sam/task"
)

const (
	tendLease  = 30 * time.Second // renewed at a third of it
	tendWithin = 5 * time.Minute  // walking all candidates, or deleting, takes seconds, or a minute
	tendAgain  = 10 * time.Second // after a try that failed; twice as long after each from the fourth on
	tendSeldom = 5 * time.Minute  // but no longer
	triesKept  = time.Hour        // what is not tried any more is forgotten after that
)

// try is this process's hand on a record.
type try struct {
	underWay bool
	failed   int       // tries in a row
	again    time.Time // not before
}

// after is the try that has failed once more.
func (t try) after() try {
	pause := tendSeldom
	if t.failed < 8 {
		pause = min(pause, tendAgain<<max(0, t.failed-2))
	}
	return try{failed: t.failed + 1, again: time.Now().Add(pause)}
}

// tend has a record's machine made, or deleted, unless somebody is at it; or has an account part. It returns at once.
func (p *Pool) tend(ctx context.Context, c chore) {
	n := c.node
	key := n.Name
	if key == "" {
		key = fmt.Sprintf("account %d", c.id) // no node has such a name
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.tries[key]
	if last.underWay || time.Now().Before(last.again) {
		return
	}
	p.tries[key] = try{underWay: true}
	p.tenders.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, tendWithin)
		defer cancel()
		log := zerolog.Ctx(ctx).With().Str("node", n.Name).Int64("account", c.id).Logger()
		err := p.see(log.WithContext(ctx), c)
		p.mu.Lock()
		defer p.mu.Unlock()
		if errors.Is(err, errOthers) {
			p.tries[key] = try{again: time.Now().Add(tendLease / 3)} // no pass for it meanwhile: nothing has changed
			return
		}
		if err != nil {
			if ctx.Err() == nil {
				log.Warn().Err(err).Str("state", string(n.State)).Msg("seeing to a machine failed; trying again")
			}
			p.tries[key] = last.after()
			return
		}
		delete(p.tries, key)
		p.Kick()
	})
}

// see does what a chore is.
func (p *Pool) see(ctx context.Context, c chore) error {
	if c.node.Name == "" {
		return p.part(ctx, c)
	}
	return p.holding(ctx, c.node.Name, func(ctx context.Context) error {
		now, err := p.store.Node(ctx, c.node.Name) // another may have done it
		switch {
		case errors.Is(err, task.ErrNotFound):
			return nil
		case err != nil:
			return err
		case now.State == task.NodeGoing:
			return p.remove(ctx, c, now)
		case now.State == task.NodeBooting && now.Machine == nil:
			return p.create(ctx, c, now)
		}
		return nil
	})
}

// errOthers: another process sees to the node's machine.
var errOthers = errors.New("another process sees to it")

// holding does something to a node's machine while no other process does; errOthers when one does.
func (p *Pool) holding(ctx context.Context, node string, do func(context.Context) error) error {
	mine, err := p.store.Tend(ctx, node, tendLease)
	switch {
	case err != nil:
		return err
	case !mine:
		return errOthers
	}
	ctx, cancel := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		tick := time.NewTicker(tendLease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if mine, err := p.store.Tend(ctx, node, tendLease); err == nil && !mine {
					cancel()
					return
				}
			}
		}
	})
	err = do(ctx)
	cancel()
	renewing.Wait()
	if _, let := p.store.Tend(context.WithoutCancel(ctx), node, 0); let != nil {
		zerolog.Ctx(ctx).Warn().Err(let).Msg("letting go of a machine that was seen to failed; it ends by itself")
	}
	return err
}

// Labels of a machine beside the provider's own.
const (
	labelNode    = "sam-node"
	labelCounter = "sam-counter" // the store's, when the machine was asked for
)

// create has the machine of a record made. What will not be better at the next moment is told to who waits, and the record goes.
func (p *Pool) create(ctx context.Context, c chore, n task.Node) error {
	a := c.account
	counter, err := p.store.Count(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	m, err := a.Provider.Ensure(ctx, cloud.Spec{
		Name: n.Name, Candidates: a.Candidates, Image: a.Image, SSHKeys: a.SSHKeys,
		Labels:   map[string]string{labelNode: n.Name, labelCounter: strconv.FormatInt(counter, 10)},
		UserData: told(a.UserData(n.Name, began)),
	})
	if err == nil {
		m, err = a.priced(ctx, m)
	}
	switch {
	case err == nil:
		zerolog.Ctx(ctx).Info().Stringer("machine", m.Candidate).Strs("addresses", m.Address).Bool("adopted", m.Adopted).
			Dur("took", time.Since(began)).Msg("a machine is made")
		// Before it is noted, which is what ends this.
		if err := p.store.Reprice(ctx, n.Account, n.Name, int64(m.Hour)); err != nil {
			return err
		}
		if err := p.store.NoteMachine(ctx, n.Name, noted(m)); err != nil {
			return err
		}
		return p.noteTry(ctx, c, "")
	case ctx.Err() != nil:
		return err
	}
	if noted := p.noteTry(ctx, c, why(err)); noted != nil || !settled(err) {
		return errors.Join(err, noted) // under the same name again: it may be there
	}
	zerolog.Ctx(ctx).Warn().Err(err).Msg("no machine can be made")
	return p.store.Abandon(ctx, n.Name, err.Error())
}

// noteTry notes why a machine was not to be had, "" for one that was. Whether it calls home is another matter.
func (p *Pool) noteTry(ctx context.Context, c chore, why string) error {
	f, err := p.store.Fleet(ctx, c.id, c.at())
	if err != nil {
		return err
	}
	o := task.Obstacle{Mute: f.Obstacle.Mute, Made: f.Obstacle.Made}
	if why != "" {
		o = p.obstacle(o, why, c.at())
	}
	return p.store.NoteObstacle(ctx, c.id, o)
}

// told marks what keeps a machine from being told what it needs.
func told(data func(cloud.Architecture) (string, error)) func(cloud.Architecture) (string, error) {
	return func(a cloud.Architecture) (string, error) {
		text, err := data(a)
		if err != nil && !errors.As(err, new(cloud.UserDataError)) {
			err = ProgramError{err}
		}
		return text, err
	}
}

// ProgramError says that there is nothing for a machine to be told: the server's configuration lacks something.
type ProgramError struct{ Err error }

func (e ProgramError) Error() string { return e.Err.Error() }

// Unwrap is the reason.
func (e ProgramError) Unwrap() error { return e.Err }

// settled reports whether a provider has said why there is no machine, and not merely failed to answer.
func settled(err error) bool {
	var (
		capacity  cloud.CapacityError
		candidate cloud.NoCandidateError
		quota     cloud.QuotaError
		token     cloud.CredentialError
		foreign   cloud.ForeignError
		data      cloud.UserDataError
		standing  cloud.StandingError
		program   ProgramError
	)
	return errors.As(err, &capacity) || errors.As(err, &candidate) || errors.As(err, &quota) || errors.As(err, &token) ||
		errors.As(err, &foreign) || errors.As(err, &data) || errors.As(err, &standing) || errors.As(err, &program)
}

// noted is a provider's machine as the record has it.
func noted(m cloud.Machine) task.Machine {
	return task.Machine{
		ID: m.ID, Type: m.Type, Location: m.Location, Hour: int64(m.Hour), Created: m.Created, Addresses: m.Address,
	}
}

// remove deletes the machine of a record that goes, gives back what was paid for hours that never began, and then forgets it.
func (p *Pool) remove(ctx context.Context, c chore, n task.Node) error {
	m, there := cloud.Machine{Name: n.Name}, n.Machine != nil
	if there {
		m.ID, m.Created = n.Machine.ID, n.Machine.Created
	} else {
		// It may have been made, and nobody has heard the answer.
		all, err := c.account.Provider.List(ctx, time.Now())
		if err != nil {
			return err
		}
		for _, one := range all {
			if one.Name == n.Name {
				m, there = one, true
			}
		}
	}
	hours := 0
	if there {
		err := c.account.Provider.Delete(ctx, m)
		if errors.As(err, new(cloud.ForeignError)) {
			// Somebody has taken our label off it. It is theirs now, and nothing is gained by asking again.
			zerolog.Ctx(ctx).Error().Err(err).Str("machine", m.ID).Msg("a machine that SAM made bears its label no more, so it is left to whoever took that off: delete it, if nobody needs it")
			err = nil
		}
		if err != nil {
			return err
		}
		if hours = begun(m.Created, c.at()); n.Machine != nil {
			m.Hour = cloud.Money(n.Machine.Hour)
		}
		// An hour may have begun since it was to go.
		last := adoption(n.Account, n.Name, hours, int64(m.Hour))
		last.New = false
		if err := p.store.Reserve(ctx, last, c.at()); err != nil && !errors.Is(err, task.ErrNotFound) {
			return err
		}
	}
	back, err := p.store.Unreserve(ctx, n.Account, n.Name, hours)
	if err != nil {
		return err
	}
	if err := p.store.RemoveNode(ctx, n.Name); err != nil {
		return err
	}
	zerolog.Ctx(ctx).Info().Bool("made", there).Int("hours", hours).Stringer("given_back", cloud.Money(back)).Str("why", n.Why).Msg("a machine is gone")
	return nil
}
