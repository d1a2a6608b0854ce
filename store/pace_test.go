package store_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"sam/store"
	"sam/task"
)

// timed is a store on a Redis whose clock the test moves.
type timed struct {
	*store.Store
	t     *testing.T
	redis *miniredis.Miniredis
	now   time.Time
}

func newTimed(t *testing.T) *timed {
	t.Helper()
	m := miniredis.RunT(t)
	c := &timed{t: t, redis: m, now: created}
	m.SetTime(c.now)
	var err error
	if c.Store, err = store.Open(t.Context(), store.Options{Addresses: []string{m.Addr()}, AllowLossy: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *timed) pass(d time.Duration) {
	c.now = c.now.Add(d)
	c.redis.SetTime(c.now)
}

// calls asks for calls until one is refused, and returns how many were granted and when to ask again.
func (c *timed) calls(installation int64, urgency int) (int, time.Duration) {
	c.t.Helper()
	for n := 0; ; n++ {
		wait, err := c.Pace(c.t.Context(), installation, urgency)
		if err != nil {
			c.t.Fatal(err)
		}
		if wait > 0 {
			return n, wait
		}
		if n > 1000 {
			c.t.Fatal("there is no end of calls")
		}
	}
}

func TestCallsStayUnderBothOfGitHubsLimitsInEveryWindow(t *testing.T) {
	c := newTimed(t)
	var granted []time.Time
	for end := c.now.Add(3 * time.Hour); c.now.Before(end); {
		n, wait := c.calls(3, 0)
		for range n {
			granted = append(granted, c.now)
		}
		c.pass(wait - time.Millisecond)
		if early, _ := c.calls(3, 0); early != 0 {
			t.Fatalf("%d calls before the time it said", early)
		}
		c.pass(time.Millisecond)
	}
	if len(granted) < 1300 {
		t.Errorf("%d calls in three hours, want it near the limit of 500 an hour", len(granted))
	}
	for window, limit := range map[time.Duration]int{time.Minute: 80, time.Hour: 500} {
		from := 0
		for to := range granted {
			for granted[to].Sub(granted[from]) >= window {
				from++
			}
			if to-from+1 >= limit {
				t.Fatalf("%d calls within %s before %s", to-from+1, window, granted[to])
			}
		}
	}
}

func TestEditsLeaveRoomForWhatIsMoreUrgent(t *testing.T) {
	c := newTimed(t)
	edits, _ := c.calls(3, task.EffectStatus.Urgency())
	reactions, _ := c.calls(3, task.EffectReaction.Urgency())
	questions, _ := c.calls(3, task.EffectQuestion.Urgency())
	if edits < 50 || reactions == 0 || questions == 0 {
		t.Errorf("%d edits, then %d reactions, then %d questions", edits, reactions, questions)
	}
}

func TestInstallationsHaveTheirOwnPace(t *testing.T) {
	c := newTimed(t)
	c.calls(3, 0)
	if n, _ := c.calls(4, 0); n == 0 {
		t.Error("another installation has nothing left")
	}
}

func TestALimitHoldsEverybodyForAsLongAsGitHubSays(t *testing.T) {
	c := newTimed(t)
	held := func(want time.Duration) {
		t.Helper()
		pace, err := c.Pace(t.Context(), 3, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Held(t.Context(), 3)
		if err != nil || got != want || pace != want {
			t.Errorf("held for %s and paced for %s, %v; want %s", got, pace, err, want)
		}
	}
	hold := func(d time.Duration) {
		t.Helper()
		if _, err := c.Hold(t.Context(), 3, d); err != nil {
			t.Fatal(err)
		}
	}
	held(0)
	hold(37 * time.Second)
	hold(10 * time.Second) // a shorter one does not shorten it
	held(37 * time.Second)
	c.pass(36 * time.Second)
	held(time.Second)
	c.pass(time.Second)
	held(0)
}

func TestALimitThatDoesNotSayHoldsLongerEachTime(t *testing.T) {
	c := newTimed(t)
	hold := func(want time.Duration) {
		t.Helper()
		got, err := c.Hold(t.Context(), 3, 0)
		if err != nil || got != want {
			t.Errorf("held for %s, %v; want %s", got, err, want)
		}
	}
	for _, minutes := range []int{1, 2, 4, 8, 8} {
		want := time.Duration(minutes) * time.Minute
		hold(want)
		hold(want) // two calls that meet the same limit
		c.pass(want + time.Second)
	}
	c.pass(15 * time.Minute)
	hold(time.Minute)
}
