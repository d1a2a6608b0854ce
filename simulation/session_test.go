package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sam/sandbox/github"
	"sam/task"
)

// request is a comment that somebody made.
type request struct {
	place   place
	number  int
	comment int64
	who     string
	words   string
	touched bool // edited or deleted
}

// session plays one plan.
type session struct {
	*world
	plan   plan
	issues map[place][]int
	labels map[string]int // by thread
	loaded [2][]charge    // by replica
	*moves

	mu     sync.Mutex     // of what follows; the world has one of its own
	asked  []*request     // what was asked
	asking int            // and how many times anybody tried
	hits   map[string]int // by what struck
	ending bool           // nothing strikes any more
}

// charge is a blow for one of the next effects of a replica.
type charge struct {
	skip int
	blow blow
	long time.Duration
}

// nodesOfSession are enough for two accounts, of which none shares a node.
func nodesOfSession() []string { return []string{"north", "east", "south", "west"} }

func newSession(ctx context.Context, s *stage, p plan) (*session, error) {
	w, err := newWorld(ctx, s, nodesOfSession()...)
	if err != nil {
		return nil, err
	}
	w.bounds.InFlight = task.Limits{Account: 2, All: 3}
	w.bounds.Attempts = 20 // each of several nodes may be lost under a task
	return &session{world: w, plan: p, issues: map[place][]int{}, labels: map[string]int{}, hits: map[string]int{}, moves: newMoves()}, nil
}

// play does all that the plan says, and then waits until all is quiet. It returns what is still to happen by then.
func (s *session) play(ctx context.Context) (left []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer s.over.Wait()
	defer cancel()
	for i := range s.loaded {
		s.over.Go(func() { s.keepUp(ctx, i) })
	}
	for _, n := range s.nodes {
		n.turnOn(ctx)
	}
	pause(ctx, 5*time.Second)
	for _, p := range places() {
		for i := range issuesOfPlace {
			issue, err := s.hub.CreateIssue(stranger, p.owner, p.name, fmt.Sprintf("Something %d", i), "It is wrong.")
			if err != nil {
				return nil, err
			}
			s.issues[p] = append(s.issues[p], issue.Number)
		}
	}
	for _, p := range places() { // each account has a node from here on
		if err := s.ask(p, s.issues[p][0], maintainer, "add a lamp"); err != nil {
			return nil, err
		}
		pause(ctx, 8*time.Second)
	}
	s.over.Go(func() { s.answer(ctx) })
	if err := s.hub.SetFaults(github.Faults{Seed: s.plan.Seed, Rules: s.plan.Rules}); err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(s.plan.Seed, 1))
	for _, step := range s.plan.Steps {
		pause(ctx, step.After)
		if err := s.take(ctx, step, random); err != nil {
			return nil, fmt.Errorf("%s: %w", step.Act, err)
		}
	}
	pause(ctx, 2*time.Minute) // what was loaded has its time to strike
	if err := s.hub.SetFaults(github.Faults{}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	for quiet, until := 0, time.Now().Add(2*time.Hour); quiet < 3 && time.Now().Before(until); {
		pause(ctx, 5*time.Second)
		if left, err = s.busy(ctx); err != nil {
			return nil, err
		}
		if quiet++; len(left) > 0 {
			quiet = 0
		}
		if quiet == 2 { // nobody knows of a delivery that failed until somebody looks
			pause(ctx, 8*time.Minute)
		}
	}
	return left, nil
}

// keepUp has a replica run, and another in its place a while after it dies.
func (s *session) keepUp(ctx context.Context, i int) {
	for n := 1; ctx.Err() == nil; n++ {
		out := newOutside(func(effect string) (blow, time.Duration) { return s.blow(i, effect) })
		_, err := s.begin(ctx, fmt.Sprintf("%d.%d", i, n), out)
		if err == nil {
			select {
			case <-out.died:
			case <-ctx.Done():
			}
		}
		pause(ctx, 3*time.Second)
	}
}

// blow decides about an effect of a replica.
func (s *session) blow(i int, effect string) (blow, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for j := range s.loaded[i] {
		c := &s.loaded[i][j]
		if s.ending || !strikeable(c.blow, effect) {
			continue
		}
		if c.skip--; c.skip < 0 {
			struck := *c
			s.loaded[i] = slices.Delete(s.loaded[i], j, j+1)
			s.hits["effect "+struck.blow.String()]++
			return struck.blow, struck.long
		}
	}
	return unhurt, 0
}

func (s *session) hit(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hits[what]++
}

func (s *session) ask(p place, number int, who, words string) error {
	s.mu.Lock()
	s.asking++
	words = fmt.Sprintf("%s (%d)", words, s.asking) // so that each can be told from the others
	s.mu.Unlock()
	c, err := s.hub.CreateComment(who, p.owner, p.name, number, "/sam "+words)
	if err == nil {
		s.mu.Lock()
		s.asked = append(s.asked, &request{place: p, number: number, comment: c.ID, who: who, words: words})
		s.mu.Unlock()
	}
	return err
}

// recent is a maintainer's request, counted from the newest; nil when there are not so many.
func (s *session) recent(n int) *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range slices.Backward(s.asked) {
		if r.who == maintainer && !r.touched {
			if n--; n < 0 {
				return r
			}
		}
	}
	return nil
}

// take has one step happen.
func (s *session) take(ctx context.Context, step step, random *rand.Rand) error {
	p := places()[step.Place]
	number := s.issues[p][step.Issue]
	switch step.Act {
	case askFor:
		return s.ask(p, number, step.Who, step.Words)
	case edit, remove:
		r := s.recent(step.Which)
		if r == nil {
			return nil
		}
		r.touched = true
		if step.Act == remove {
			return s.hub.DeleteComment(r.who, r.place.owner, r.place.name, r.comment)
		}
		r.words += " and a bell"
		_, err := s.hub.EditComment(r.who, r.place.owner, r.place.name, r.comment, "/sam "+r.words)
		return err
	case closeIssue:
		if err := s.hub.CloseIssue(maintainer, p.owner, p.name, number); err != nil { //nolint:contextcheck // the stand-in is a person's here
			return err
		}
		s.over.Go(func() {
			pause(ctx, step.For)
			// One that was closed twice is open already.
			_ = s.hub.ReopenIssue(maintainer, p.owner, p.name, number) //nolint:contextcheck // as above
		})
	case label:
		s.labels[fmt.Sprintf("%s#%d", p, number)]++
		if err := s.hub.AddLabel(maintainer, p.owner, p.name, number, "sam"); err != nil {
			return err
		}
		return s.hub.RemoveLabel(maintainer, p.owner, p.name, number, "sam")
	case rename, transfer, uninstall:
		return s.move(ctx, p, step)
	case again:
		if log := s.hub.Deliveries(s.hub.app.ID); len(log) > 0 {
			s.hit("delivery made once more")
			return s.hub.Redeliver(s.hub.app.ID, log[random.IntN(len(log))].ID)
		}
	case killReplica:
		if live := s.live(); len(live) > 0 {
			s.hit(string(step.Act))
			live[step.Which%len(live)].out.kill()
		}
	case killNode, freezeNode:
		n := s.nodes[s.nodeNames[step.Which]]
		s.hit(string(step.Act))
		if step.Act == freezeNode {
			n.freeze(ctx, step.For)
			return nil
		}
		n.turnOff()
		s.over.Go(func() {
			pause(ctx, step.For)
			n.turnOn(context.WithoutCancel(ctx))
		})
	case wakeAll:
		open, err := s.observer.AllOpenTasks(ctx)
		if err != nil {
			return err
		}
		s.hit(string(step.Act))
		for _, t := range open {
			if err := s.observer.Wake(ctx, t.ID); err != nil {
				return err
			}
		}
	case strike:
		c := charge{step.Skip, step.Blow, step.For}
		if step.Blow == mute {
			c.skip %= 3 // there are not many of those
			c.long = max(c.long, 2*task.Deadline(task.Placing))
		}
		s.mu.Lock()
		s.loaded[step.Which] = append(s.loaded[step.Which], c)
		s.mu.Unlock()
	}
	return nil
}

// answer answers every question that an agent asks, a while after it.
func (s *session) answer(ctx context.Context) {
	answered := map[int64]bool{}
	for pause(ctx, 10*time.Second) {
		for _, c := range s.hub.History().Comments {
			m := marked.FindStringSubmatch(c.Body)
			if m == nil || m[1] != "question" || c.DeletedAt != nil || answered[c.ID] {
				continue
			}
			answered[c.ID] = true
			for _, p := range places() {
				if s.hub.ids[p] == c.RepositoryID {
					_ = s.ask(p, c.Number, maintainer, theAnswer) // what did not get there is missed by the check
				}
			}
		}
	}
}
