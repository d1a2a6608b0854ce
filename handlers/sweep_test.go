package handlers_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"sam/handlers"
	"sam/store"
	"sam/task"
)

func (w *world) sweep() handlers.Sweep {
	return handlers.Sweep{Base: w.base, Turns: w.store, Log: w.forge, Every: handlers.SweepEvery}
}

// deaf has GitHub's deliveries fail until hear.
func (w *world) deaf() { w.t.Helper(); w.check(w.hub.SetWebhook(w.app.ID, "http://127.0.0.1:9")) }

func (w *world) hear() { w.t.Helper(); w.check(w.hub.SetWebhook(w.app.ID, w.url)) }

func TestADeliveryThatWasMissedIsAskedForAgain(t *testing.T) {
	w := newWorld(t)
	w.issue("hello", "Uploads are slow")
	w.settle()
	w.deaf()
	comment := w.comment("ada", "hello", 1, "/sam make it fast")
	id := task.NewID(w.repository("hello"), task.CommentSource(comment), 0)
	w.settle()
	w.none(id)
	w.hear()
	w.sweep().Once(w.ctx(), 0)
	w.settle()
	w.task(id)
	if w.count("sam_redeliveries_total", "asked") < 1 || !w.logged("asked GitHub to deliver again") {
		t.Errorf("not counted, or not logged: %s", w.log)
	}
	before := w.count("sam_redeliveries_total", "")
	w.sweep().Once(w.ctx(), 0)
	if again := w.count("sam_redeliveries_total", ""); again != before {
		t.Errorf("%d more asked for although everything has arrived", again-before)
	}
	if known, err := w.store.MissedLog(t.Context()); err != nil || len(known.Waiting) != 0 || known.Cursor == (task.LogCursor{}) {
		t.Errorf("still waits for %+v, %v", known, err)
	}
}

func TestWhatSAMRefusesIsAskedForMoreAndMoreSeldom(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	turns := &clock{now: now, log: task.MissedLog{Waiting: map[string]task.Awaited{"g": {ID: 7, Since: now}}}}
	l := &hooklog{}
	d := newDoor(t, nobody{t}, 42)
	s := handlers.Sweep{Base: d.base, Turns: turns, Log: l, Every: 4 * time.Minute}
	var at []time.Duration
	for ; turns.now.Sub(now) < 75*time.Hour; turns.now = turns.now.Add(2 * time.Minute) {
		before := l.asked
		s.Once(d.ctx(), 0)
		if l.asked > before {
			at = append(at, turns.now.Sub(now))
		}
	}
	if want := []time.Duration{0, 2 * time.Minute, 6 * time.Minute, 14 * time.Minute, 30 * time.Minute}; len(at) < 5 || !reflect.DeepEqual(at[:5], want) {
		t.Errorf("asked for after %v, want to begin with %v", at, want)
	}
	if len(at) > 60 || len(turns.log.Waiting) != 0 || d.count("sam_redeliveries_total", "given_up") != 1 {
		t.Errorf("asked for %d times, and %v is left after three days", len(at), turns.log.Waiting)
	}
}

func TestADeliveryThatGitHubDidNotTakeTheRequestForStaysOnTheList(t *testing.T) {
	turns, l := &clock{now: time.Now()}, &hooklog{log: logged(7, "g", false), down: errMute}
	d := newDoor(t, nobody{t}, 42)
	s := handlers.Sweep{Base: d.base, Turns: turns, Log: l, Every: time.Minute}
	s.Once(d.ctx(), 0)
	if _, waits := turns.log.Waiting["g"]; !waits || d.count("sam_redeliveries_total", "failed") != 1 {
		t.Fatalf("waits for %v", turns.log.Waiting)
	}
	l.log, l.down = nil, nil
	turns.now = turns.now.Add(time.Minute)
	s.Once(d.ctx(), 0)
	if l.asked != 2 {
		t.Errorf("asked %d times, want 2", l.asked)
	}
	turns.seen = true // it has come
	s.Once(d.ctx(), 0)
	if len(turns.log.Waiting) != 0 {
		t.Errorf("waits for %v", turns.log.Waiting)
	}
	l.log, l.down = logged(8, "h", false), task.ErrNotFound
	turns.seen = false
	s.Once(d.ctx(), 0)
	if len(turns.log.Waiting) != 0 || d.count("sam_redeliveries_total", "given_up") != 1 {
		t.Errorf("waits for %v although GitHub has forgotten it", turns.log.Waiting)
	}
}

func TestADeliveryThatSAMHasNoUseForIsNotAskedForOnceItWasMade(t *testing.T) {
	turns, l := &clock{now: time.Now()}, &hooklog{log: logged(7, "g", false)}
	d := newDoor(t, nobody{t}, 42)
	s := handlers.Sweep{Base: d.base, Turns: turns, Log: l, Every: time.Minute}
	s.Once(d.ctx(), 0)
	l.log = logged(8, "g", true)
	turns.now = turns.now.Add(time.Hour)
	s.Once(d.ctx(), 0)
	if l.asked != 1 || len(turns.log.Waiting) != 0 {
		t.Errorf("asked for %d times, and waits for %v", l.asked, turns.log.Waiting)
	}
}

func TestARemovalThatNoEventToldIsFoundByTheSweep(t *testing.T) {
	w, _, id := asked(t, "/sam make it fast")
	w.settle()
	w.check(w.hub.RemoveRepositories(w.install.ID, "hello"))
	w.late() // the event is lost
	w.sweep().Once(w.ctx(), 0)
	if got := w.task(id); got.Cancel == "" {
		t.Error("its task goes on")
	}
}

func TestASweepThatIsCutShortGoesOnWhereItWas(t *testing.T) {
	turns := &clock{now: time.Now(), log: task.MissedLog{Doubt: true}}
	d := newDoor(t, nobody{t}, 42)
	ctx, cancel := context.WithCancel(d.ctx())
	l := &hooklog{log: logged(7, "g", false), page: "older", read: func(n int) {
		if n == 2 {
			cancel()
		}
	}}
	s := handlers.Sweep{Base: d.base, Turns: turns, Log: l, Every: time.Minute}
	s.Once(ctx, 0)
	if got := turns.log; got.Cursor.Page != "older" || !got.Doubt || len(got.Waiting) != 1 {
		t.Errorf("in the middle of the log: %+v", got)
	}
	l.page, l.read, l.down = "", func(int) {}, context.DeadlineExceeded
	ctx, cancel = context.WithCancel(d.ctx())
	l.ask = cancel // the turn is over while GitHub is asked
	s.Once(ctx, 0)
	if got := turns.log; got.Cursor.Page != "" || got.Doubt || l.asked != 1 {
		t.Errorf("in the middle of asking, %d times: %+v", l.asked, got)
	}
}

func TestADoubtIsNotForgottenForWhoIsAtTheLogMeanwhile(t *testing.T) {
	w := newWorld(t)
	other, err := store.Open(t.Context(), store.Options{Addresses: []string{w.redis.Address}, AllowLossy: true})
	w.check(err)
	defer func() { w.check(other.Close()) }()
	if _, mine, err := other.TakeTurn(t.Context(), "sweep", time.Minute, 0); err != nil || !mine {
		t.Fatalf("turn: %v, %v", mine, err)
	}
	if err := w.sweep().Recover(w.ctx()); err == nil {
		t.Error("made up for although another process writes the list that it began with")
	}
	w.check(other.EndTurn(t.Context(), "sweep"))
	w.check(w.sweep().Recover(w.ctx()))
}

func TestASweepRunsUntilItIsTold(t *testing.T) {
	turns, l := &clock{now: time.Now()}, &hooklog{}
	d := newDoor(t, nobody{t}, 42)
	ctx, cancel := context.WithCancel(d.ctx())
	l.read = func(n int) {
		if n == 3 {
			cancel()
		}
	}
	if err := (handlers.Sweep{Base: d.base, Turns: turns, Log: l, Every: time.Millisecond}).Run(ctx); err != nil {
		t.Error(err)
	}
}

func logged(id int64, guid string, delivered bool) []task.Logged {
	return []task.Logged{{Missed: task.Missed{ID: id, GUID: guid}, Delivered: delivered}}
}

// clock keeps a sweep's list in memory, at a time that the test sets.
type clock struct {
	now  time.Time
	log  task.MissedLog
	seen bool
}

func (c *clock) TakeTurn(context.Context, string, time.Duration, time.Duration) (time.Time, bool, error) {
	return c.now, true, nil
}
func (*clock) EndTurn(context.Context, string) error                     { return nil }
func (c *clock) Seen(context.Context, string) (bool, error)              { return c.seen, nil }
func (c *clock) MissedLog(context.Context) (task.MissedLog, error)       { return c.log, nil }
func (*clock) Projects(context.Context) ([]task.Project, error)          { return nil, nil }
func (c *clock) SaveMissedLog(_ context.Context, l task.MissedLog) error { c.log = l; return nil }

// hooklog is a log of deliveries that lists what the test says.
type hooklog struct {
	log   []task.Logged
	down  error
	reads int
	asked int
	read  func(n int)
	page  string // where the log goes on
	ask   func()
}

func (l *hooklog) DeliveryLog(ctx context.Context, _ task.LogCursor) ([]task.Logged, task.LogCursor, error) {
	if l.reads++; l.read != nil {
		l.read(l.reads)
	}
	return l.log, task.LogCursor{Page: l.page}, ctx.Err()
}

func (l *hooklog) Redeliver(context.Context, int64) error {
	if l.asked++; l.ask != nil {
		l.ask()
	}
	return l.down
}
