package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sam/store"
	"sam/task"
)

// How much is asked for while Redis is treated with violence.
const (
	repositories = 12
	asksEach     = 5 // of each repository, on two threads
	batches      = 4
	batchEvents  = 5
	calmWithin   = 2 * time.Minute // for what was interrupted to come to its end
)

// fleet is two replicas that drive a store's whole API as SAM does, and one node. What fails is tried again in the way in
// which the rooms do it: GitHub redelivers, a delivery comes again, a task's lease runs out, a node keeps what is not
// acknowledged.
type fleet struct {
	t      *testing.T
	stores []*store.Store
	pace   time.Duration // from one request to the next

	mu      sync.Mutex
	placed  map[string]int // by task and epoch
	working map[string]bool
	closed  map[task.ID]int
	work    sync.WaitGroup
}

func newFleet(t *testing.T, pace time.Duration, stores ...*store.Store) *fleet {
	return &fleet{t: t, stores: stores, pace: pace, placed: map[string]int{}, working: map[string]bool{}, closed: map[task.ID]int{}}
}

// asked is the n-th request of a repository.
func asked(repository, n int64) task.Spec {
	sp := task.Spec{
		ID: task.NewID(repository, task.CommentSource(n), 0), Project: repository, Installation: 3, Account: 5,
		Repository: fmt.Sprintf("harbour/quay-%d", repository), Number: int(n % 2), Request: "add rate limiting", Requester: "ada",
		Source: task.CommentSource(n), Comment: n, Agent: "demo", Created: created.Add(time.Duration(n) * time.Second),
	}
	sp.Thread = task.IssueThread(repository, sp.Number)
	return sp
}

// rest lets time pass.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// patiently repeats what fails until it works, is refused for good, or ctx ends.
func patiently(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil || errors.Is(err, task.ErrStale) || errors.Is(err, task.ErrNotFound) || errors.Is(err, task.ErrFull) {
			return err
		}
		if rest(ctx, 100*time.Millisecond); ctx.Err() != nil {
			return err
		}
	}
}

// run has everything asked for while the violence lasts, and waits for the end of it all.
func (f *fleet) run(violence func(context.Context) error) {
	t := f.t
	ctx, cancel := context.WithCancel(zerolog.Nop().WithContext(t.Context()))
	defer cancel()
	for r := range int64(repositories) {
		if err := f.stores[0].SaveProject(ctx, task.Project{ID: r + 1, Installation: 3, Account: 5, Owner: "harbour", Name: fmt.Sprint("quay-", r+1)}); err != nil {
			t.Fatal(err)
		}
	}
	linkNode(t, f.stores[0], 8)
	var replicas sync.WaitGroup
	for _, s := range f.stores {
		var begun atomic.Bool
		h := store.Handlers{
			Delivery: func(ctx context.Context, d task.Delivery) error { begun.Store(true); return f.deliver(ctx, s, d) },
			Task:     func(ctx context.Context, id task.ID) { begun.Store(true); f.advance(ctx, s, id) },
			Owed:     func(ctx context.Context, to task.OwedTo) { begun.Store(true); f.tell(ctx, s, to) },
		}
		replicas.Go(func() {
			for ctx.Err() == nil { // a server that finds Redis away when it starts ends, and is started again
				err := s.Consume(ctx, h)
				if err != nil && begun.Load() {
					t.Error(err)
					return
				}
				rest(ctx, 50*time.Millisecond)
			}
		})
	}
	replicas.Go(func() {
		for ctx.Err() == nil { // a link that breaks is dialled again
			_ = f.stores[0].FollowCommands(ctx, "local", func(c task.Command) error { f.command(ctx, c); return nil })
			rest(ctx, 50*time.Millisecond)
		}
	})

	var group errgroup.Group
	group.Go(func() error { return violence(ctx) })
	group.Go(func() error { return f.ask(ctx) })
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	f.await(ctx, "every task to end", f.unfinished)
	f.await(ctx, "everything owed to be told", f.untold)
	f.await(ctx, "every slot to be given back", f.unreleased)
	cancel()
	replicas.Wait()
	f.work.Wait()
	f.check()
}

// ask delivers every request, each twice and the second time to the other replica.
func (f *fleet) ask(ctx context.Context) error {
	for n := range int64(asksEach) {
		for r := range int64(repositories) {
			body, err := json.Marshal(asked(r+1, n+1))
			if err != nil {
				return err
			}
			d := task.Delivery{ID: fmt.Sprintf("%d-%d", r+1, n+1), Event: "issue_comment", Body: body}
			for _, s := range f.stores {
				if err := patiently(ctx, func() error { _, err := s.Accept(ctx, d); return err }); err != nil {
					return err
				}
			}
			rest(ctx, 250*time.Millisecond) // so that something arrives all the time
		}
	}
	return nil
}

func (f *fleet) deliver(ctx context.Context, s *store.Store, d task.Delivery) error {
	var sp task.Spec
	if err := json.Unmarshal(d.Body, &sp); err != nil {
		return err
	}
	return patiently(ctx, func() error {
		_, err := s.CreateTask(ctx, sp, task.Change{
			Entry:   &task.Entry{Kind: task.EntryRequest, Thread: sp.Thread, Task: sp.ID, Text: sp.Request},
			Effects: []task.Effect{task.StatusEffect(sp)},
		})
		return err
	})
}

// advance is a runner's step. What fails is left to the lease.
func (f *fleet) advance(ctx context.Context, s *store.Store, id task.ID) {
	c, err := s.Claim(ctx, id)
	if err != nil {
		return
	}
	switch c.State {
	case task.Placing:
		err := s.Place(ctx, c.Task, "local", task.Command{Kind: task.CommandStart, Task: id, Epoch: c.Epoch}, task.Change{
			Fields: map[task.Field]string{task.FieldBranch: "sam/" + string(id)},
			Entry:  &task.Entry{Kind: task.EntryStarted, Thread: c.Thread, Task: id},
		})
		if errors.Is(err, task.ErrFull) {
			err = s.Starve(ctx, c.Task, 5*time.Second, task.Change{})
		} else if err == nil {
			f.mu.Lock()
			f.placed[fmt.Sprint(id, "/", c.Epoch)]++
			f.mu.Unlock()
		}
		if err != nil {
			return
		}
	case task.Publishing:
		_ = s.Move(ctx, c.Task, task.Succeeded, task.Change{
			Entry:   &task.Entry{Kind: task.EntryResult, Thread: c.Thread, Task: id, State: task.Succeeded},
			Effects: []task.Effect{task.ClosingEffect(c.Spec), task.StatusEffect(c.Spec)},
		})
	case task.Preparing, task.Running: // its node was not heard of, because Redis was not
		_ = s.Move(ctx, c.Task, task.Placing, task.Change{Fields: map[task.Field]string{task.FieldNode: ""}})
	}
}

func (f *fleet) tell(ctx context.Context, s *store.Store, to task.OwedTo) {
	for ctx.Err() == nil {
		o, err := s.TakeOwed(ctx, to)
		if err != nil {
			return
		}
		body, err := task.ParseEffect(o.Effect)
		if err != nil {
			f.t.Error(err)
			return
		}
		f.mu.Lock()
		if body.Kind == task.EffectClosing {
			f.closed[body.Task]++
		}
		f.mu.Unlock()
		if err := s.Settle(ctx, o, 0); err != nil {
			return
		}
	}
}

// command is what a node does when it is told something.
func (f *fleet) command(ctx context.Context, c task.Command) {
	ref := fmt.Sprint(c.Task, "/", c.Epoch)
	f.mu.Lock()
	known := f.working[ref]
	f.working[ref] = true
	f.mu.Unlock()
	f.work.Go(func() {
		if c.Kind == task.CommandStart && !known {
			f.attempt(ctx, c)
		}
		_ = patiently(ctx, func() error { return f.stores[0].ConfirmCommand(ctx, "local", c.ID) })
	})
}

// attempt is a node's work on a task: its events go from the spool until they are acknowledged.
func (f *fleet) attempt(ctx context.Context, c task.Command) {
	s := f.stores[len(c.Task)%len(f.stores)]
	var t task.Task
	err := patiently(ctx, func() (err error) { t, err = s.Task(ctx, c.Task); return err })
	if err != nil || t.Epoch != c.Epoch {
		return
	}
	seq := t.Last
	for batch := range batches {
		var run []task.Numbered
		for range batchEvents {
			seq++
			run = append(run, event(f.t, seq))
		}
		progress := task.Progress{Started: true, Spoke: true}
		if batch == batches-1 {
			if patiently(ctx, func() error { return s.RecordPush(ctx, c.Task, c.Epoch, t.Branch, "commit of "+string(c.Task)) }) != nil {
				return
			}
			progress.End = &task.End{Outcome: task.Done, Headline: "Limit uploads"}
		}
		if patiently(ctx, func() error {
			if _, err := s.AppendEvents(ctx, c.Task, c.Epoch, "local", run); err != nil {
				return err
			}
			return s.NoteProgress(ctx, t, c.Epoch, progress, []task.Effect{task.StatusEffect(t.Spec)})
		}) != nil {
			return
		}
		rest(ctx, 100*time.Millisecond) // an agent thinks
	}
}

// await waits until nothing of a kind is left.
func (f *fleet) await(ctx context.Context, what string, left func(context.Context) ([]string, error)) {
	f.t.Helper()
	deadline := time.Now().Add(calmWithin)
	for {
		some, err := left(ctx)
		if err == nil && len(some) == 0 {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("waited %s for %s: left are %v, %v", calmWithin, what, some, err)
		}
		rest(ctx, 100*time.Millisecond)
	}
}
