package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sam/task"
)

// take takes what is due to installation 3 for project 7, the zero one when nothing is.
func (c *timed) take() task.Owed {
	c.t.Helper()
	owing, err := c.Owing(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	for _, to := range owing {
		o, err := c.TakeOwed(c.t.Context(), to)
		if err == nil {
			return o
		}
		if !errors.Is(err, task.ErrNotFound) {
			c.t.Fatal(err)
		}
	}
	return task.Owed{}
}

func (c *timed) owe(effects ...task.Effect) {
	c.t.Helper()
	if err := c.Owe(c.t.Context(), 3, effects...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *timed) done(o task.Owed, quiet time.Duration) {
	c.t.Helper()
	if err := c.Settle(c.t.Context(), o, quiet); err != nil {
		c.t.Fatal(err)
	}
}

func TestTheMostUrgentOfAllThatIsDueIsTakenFirst(t *testing.T) {
	c := newTimed(t)
	for n := range int64(60) {
		c.owe(task.StatusEffect(spec(n)))
		c.pass(time.Millisecond)
	}
	for n := range int64(60) {
		c.owe(task.ReactionEffect(7, 1, n, "eyes"))
	}
	c.pass(time.Millisecond)
	c.owe(task.ReplyEffect(7, 1, "k", "Say more."))
	c.pass(time.Millisecond)
	c.owe(task.QuestionEffect(spec(1), "1", "Red or blue?"), task.ClosingEffect(spec(2)))
	var order []string
	for o := c.take(); o.Target != ""; o = c.take() {
		kind, _, _ := strings.Cut(o.Target, ":")
		order = append(order, kind)
		c.done(o, 0)
	}
	want := strings.Fields("reply closing question " + strings.Repeat("reaction ", 60) + strings.Repeat("status ", 60))
	if fmt.Sprint(order) != fmt.Sprint(want) {
		t.Errorf("taken in the order %v", order)
	}
}

func TestAnEffectThatIsGivenBackIsDueAsItWas(t *testing.T) {
	c := newTimed(t)
	c.owe(task.ClosingEffect(spec(1)))
	c.pass(time.Millisecond)
	c.owe(task.ClosingEffect(spec(2)))
	c.pass(time.Second)
	for range 3 {
		o := c.take()
		if o.Target != "closing:"+string(spec(1).ID) || o.Attempts != 1 {
			t.Fatalf("took %s for the time %d, want the one that was due first, for the first time", o.Target, o.Attempts)
		}
		if err := c.GiveBack(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADelivererThatDiesGivesItsEffectBackUnlessItSaysThatItIsAtIt(t *testing.T) {
	c := newTimed(t)
	c.owe(task.ClosingEffect(spec(1)))
	first := c.take()
	for range 3 {
		c.pass(9 * time.Second)
		if o := c.take(); o.Target != "" {
			t.Fatalf("took %s, which another has", o.Target)
		}
		if err := c.KeepOwed(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	c.pass(11 * time.Second)
	second := c.take()
	if second.Target != first.Target || second.Attempts != 2 {
		t.Fatalf("took %q for the time %d", second.Target, second.Attempts)
	}
	for name, letGo := range map[string]func() error{
		"settle":    func() error { return c.Settle(t.Context(), first, 0) },
		"put off":   func() error { return c.PutOff(t.Context(), first, time.Hour) },
		"give back": func() error { return c.GiveBack(t.Context(), first) },
		"keep":      func() error { return c.KeepOwed(t.Context(), first) },
	} {
		if err := letGo(); !errors.Is(err, task.ErrStale) {
			t.Errorf("the first can still %s it: %v", name, err)
		}
	}
	c.done(second, 0)
	if err := c.Settle(t.Context(), second, 0); !errors.Is(err, task.ErrStale) {
		t.Errorf("settling what was settled: %v", err)
	}
}

func TestWhatIsNewerWhileAnEffectIsOnItsWayComesAfterIt(t *testing.T) {
	c := newTimed(t)
	c.owe(task.ReplyEffect(7, 1, "k", "first"))
	o := c.take()
	c.owe(task.ReplyEffect(7, 1, "k", "second"))
	if other := c.take(); other.Target != "" {
		t.Fatal("it goes to a second deliverer while the first is at it")
	}
	c.done(o, 0)
	o = c.take()
	if body, err := task.ParseEffect(o.Effect); err != nil || body.Text != "second" || o.Attempts != 1 || o.Version != "2" {
		t.Errorf("then %+v, %v", o, err)
	}
}

func TestAQuietTargetIsToldOfWhatIsNewerWhenTheQuietIsOver(t *testing.T) {
	c := newTimed(t)
	c.owe(task.StatusEffect(spec(1)))
	c.done(c.take(), 1500*time.Millisecond)
	c.pass(100 * time.Millisecond)
	for range 3 {
		c.owe(task.StatusEffect(spec(1)))
	}
	if o := c.take(); o.Target != "" {
		t.Fatalf("took %s in the quiet", o.Target)
	}
	c.pass(1400 * time.Millisecond)
	o := c.take()
	if o.Version != "4" || o.Attempts != 1 {
		t.Fatalf("took %+v, want the newest", o)
	}
	c.done(o, 1500*time.Millisecond)
	c.pass(2 * time.Second)
	if o := c.take(); o.Target != "" {
		t.Errorf("took %s, which has nothing new to tell", o.Target)
	}
	if owing, err := c.Owing(t.Context()); err != nil || len(owing) != 0 {
		t.Errorf("still owed: %v, %v", owing, err)
	}
	if keys := c.redis.Keys(); strings.Contains(fmt.Sprint(keys), "owed") {
		t.Errorf("what was told left traces: %v", keys)
	}
}

func TestTheLastWordOfATaskIsTakenInTheQuiet(t *testing.T) {
	c := newTimed(t)
	create(t, c.Store, spec(1))
	c.done(c.take(), 1500*time.Millisecond)
	c.pass(100 * time.Millisecond)
	held := claim(t, c.Store, spec(1).ID)
	if err := c.Move(t.Context(), held.Task, task.Failed, task.Change{Effects: []task.Effect{task.StatusEffect(spec(1))}}); err != nil {
		t.Fatal(err)
	}
	if o := c.take(); o.Target != "status:"+string(spec(1).ID) {
		t.Errorf("took %q", o.Target)
	}
}

func TestTheLastWordThatComesWhileAnEditIsOnItsWayFollowsAtOnce(t *testing.T) {
	c := newTimed(t)
	create(t, c.Store, spec(1))
	o := c.take()
	held := claim(t, c.Store, spec(1).ID)
	if err := c.Move(t.Context(), held.Task, task.Failed, task.Change{Effects: []task.Effect{task.StatusEffect(spec(1))}}); err != nil {
		t.Fatal(err)
	}
	c.done(o, 1500*time.Millisecond)
	if o := c.take(); o.Target != "status:"+string(spec(1).ID) {
		t.Errorf("took %q", o.Target)
	}
}

func TestWhatIsOwedLaterIsDueThen(t *testing.T) {
	c := newTimed(t)
	if err := c.OweLater(t.Context(), 3, 10*time.Second, task.StatusEffect(spec(1))); err != nil {
		t.Fatal(err)
	}
	c.pass(9 * time.Second)
	if o := c.take(); o.Target != "" {
		t.Errorf("took %s too early", o.Target)
	}
	c.pass(time.Second)
	if o := c.take(); o.Target == "" {
		t.Error("it is not due")
	}
}
