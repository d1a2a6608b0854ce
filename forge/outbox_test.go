package forge_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"sam/forge"
	"sam/store"
	"sam/task"
)

// watched is a store that tells what became of what was taken. When forgetful it fails to note a status comment's id,
// as when SAM dies in between.
type watched struct {
	*store.Store
	mu        sync.Mutex
	forgetful bool
	settled   []string
	putOff    map[string]time.Duration
	givenBack []string
}

func (l *watched) Settle(ctx context.Context, o task.Owed, quiet time.Duration) error {
	l.mu.Lock()
	l.settled = append(l.settled, o.Target)
	l.mu.Unlock()
	return l.Store.Settle(ctx, o, quiet)
}

func (l *watched) PutOff(ctx context.Context, o task.Owed, after time.Duration) error {
	l.mu.Lock()
	l.putOff[o.Target] = after
	l.mu.Unlock()
	return l.Store.PutOff(ctx, o, after)
}

func (l *watched) GiveBack(ctx context.Context, o task.Owed) error {
	l.mu.Lock()
	l.givenBack = append(l.givenBack, o.Target)
	l.mu.Unlock()
	return l.Store.GiveBack(ctx, o)
}

func (l *watched) NoteStatusComment(ctx context.Context, id task.ID, comment int64) error {
	if l.forgetful {
		return errors.New("the connection is gone")
	}
	return l.Store.NoteStatusComment(ctx, id, comment)
}

// desk is a world with an outbox that keeps pace by its store.
type desk struct {
	*world
	ledger *watched
	outbox *forge.Outbox
	redis  *miniredis.Miniredis // nil where it is a real one
	now    time.Time            // the clock of redis
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	w := newWorld(t)
	return w.desk(w.ledger())
}

// newTimedDesk has a Redis whose clock the test moves. The other clocks go on by themselves.
func newTimedDesk(t *testing.T) *desk {
	t.Helper()
	w, m := newWorld(t), miniredis.RunT(t)
	now := time.Now()
	m.SetTime(now)
	d := w.desk(w.open(store.Options{Addresses: []string{m.Addr()}, AllowLossy: true}))
	d.redis, d.now = m, now
	return d
}

func (w *world) desk(s *store.Store) *desk {
	w.t.Helper()
	w.connect(s)
	l := &watched{Store: s, putOff: map[string]time.Duration{}}
	return &desk{world: w, ledger: l, outbox: forge.NewOutbox(w.forge, l)}
}

// pass moves the clock of Redis.
func (d *desk) pass(span time.Duration) {
	d.now = d.now.Add(span)
	d.redis.SetTime(d.now)
}

// task records a task that a new issue asks for, its status owed.
func (d *desk) task() task.Spec {
	d.t.Helper()
	spec := d.issue()
	_, err := d.ledger.CreateTask(d.t.Context(), spec, task.Change{
		Entry:   &task.Entry{Kind: task.EntryRequest, Thread: spec.Thread, Task: spec.ID},
		Effects: []task.Effect{task.StatusEffect(spec)},
	})
	d.check(err)
	return spec
}

func (d *desk) owe(effects ...task.Effect) {
	d.t.Helper()
	d.check(d.ledger.Owe(d.t.Context(), d.install.ID, effects...))
}

func (d *desk) deliver() {
	d.outbox.Deliver(d.t.Context(), task.OwedTo{Partition: "0", Installation: d.install.ID})
}

// ours are SAM's comments on an issue.
func (d *desk) ours(number int) []string {
	d.t.Helper()
	var bodies []string
	for _, c := range d.comments(number) {
		if c.App == "sam" {
			bodies = append(bodies, c.Body)
		}
	}
	return bodies
}

// end brings a task to failed, with what is owed for it.
func (d *desk) end(spec task.Spec) {
	d.t.Helper()
	c, err := d.ledger.Claim(d.t.Context(), spec.ID)
	d.check(err)
	d.check(d.ledger.Move(d.t.Context(), c.Task, task.Failed, task.Change{
		Fields:  map[task.Field]string{task.FieldFailure: "It rained."},
		Effects: []task.Effect{task.StatusEffect(spec), task.ClosingEffect(spec)},
	}))
}

func TestAReactionIsLeftOnce(t *testing.T) {
	d := newDesk(t)
	spec := d.issue()
	onComment, onIssue := task.ReactionEffect(spec.Project, 1, spec.Comment, "eyes"), task.ReactionEffect(spec.Project, 1, 0, "confused")
	for range 2 {
		d.owe(onComment, onIssue)
		d.deliver()
	}
	issue, err := d.hub.Issue("octo", "hello", 1)
	d.check(err)
	if got := d.comments(1)[0].Reactions; got["eyes"] != 1 || len(got) != 1 {
		t.Errorf("the comment has %v", got)
	}
	if got := issue.Reactions; got["confused"] != 1 || len(got) != 1 {
		t.Errorf("the issue has %v", got)
	}
}

func TestAStatusCommentIsCreatedOnceAndEditedInPlace(t *testing.T) {
	d := newDesk(t)
	spec := d.task()
	d.deliver()
	if got := d.ours(1); len(got) != 1 || !strings.HasPrefix(got[0], "**SAM is waiting for its turn**") {
		t.Fatalf("at first: %q", got)
	}
	noted, err := d.ledger.Task(t.Context(), spec.ID)
	d.check(err)
	if noted.StatusComment == 0 {
		t.Error("its id is not noted")
	}
	d.end(spec)
	d.deliver()
	got := d.ours(1)
	if len(got) != 2 || !strings.HasPrefix(got[0], "**SAM could not finish**\n\nIt rained.") || !strings.HasPrefix(got[1], "@ada **This did not work out.**") {
		t.Errorf("at the end: %q", got)
	}
}

func TestAStatusCommentWhoseIDWasNotNotedIsFoundByItsMarker(t *testing.T) {
	d := newDesk(t)
	spec := d.task()
	d.ledger.forgetful = true
	d.deliver()
	d.ledger.forgetful = false
	d.end(spec) // a newer version of the effect: it counts as tried for the first time
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d.until(ctx, func() bool { d.deliver(); return len(d.ledger.settled) == 2 })
	got := d.ours(1)
	if len(got) != 2 || !strings.HasPrefix(got[0], "**SAM could not finish**") {
		t.Errorf("got %q, want one status comment and one closing", got)
	}
}

func TestAStrangersCommentWithOurMarkerIsNotTakenForOurs(t *testing.T) {
	d := newDesk(t)
	spec := d.task()
	forged, err := d.hub.CreateComment("zoe", "octo", "hello", 1, "<!-- sam:status:"+string(spec.ID)+" -->\n<!-- sam:closing:"+string(spec.ID)+" -->")
	d.check(err)
	d.deliver()
	d.end(spec)
	d.deliver()
	if got := d.ours(1); len(got) != 2 {
		t.Errorf("SAM's comments are %q, want a status and a closing one", got)
	}
	for _, c := range d.comments(1) {
		if c.ID == forged.ID && c.Body != forged.Body {
			t.Errorf("the stranger's comment became %q", c.Body)
		}
	}
}

func TestAStatusCommentThatSomebodyDeletedIsMadeAgainWhileTheTaskGoesOn(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.task()
	remove := func() {
		t.Helper()
		for _, c := range d.comments(1) {
			if c.App == "sam" {
				d.check(d.hub.DeleteComment("octo", "octo", "hello", c.ID))
			}
		}
	}
	d.deliver()
	remove()
	d.owe(task.StatusEffect(spec))
	d.pass(2 * time.Second)
	d.deliver()
	if got := d.ours(1); len(got) != 1 {
		t.Fatalf("got %q, want a new one", got)
	}
	remove()
	d.end(spec)
	d.deliver()
	if got := d.ours(1); len(got) != 1 || !strings.Contains(got[0], "sam:closing:") {
		t.Errorf("got %q, want the closing comment alone: the task is over", got)
	}
}

// loseFirstAnswer lets calls reach GitHub and loses the first answer to one that creates a comment.
func (d *desk) loseFirstAnswer() {
	lost := false
	d.between.altering(func(path string, body []byte) []byte {
		if strings.HasPrefix(path, "POST ") && strings.HasSuffix(path, "/comments") && !lost {
			lost = true
			return []byte(`{"id":`)
		}
		return body
	})
}

func TestACommentWhoseAnswerWasLostIsNotMadeTwice(t *testing.T) {
	d := newDesk(t)
	spec := d.issue()
	d.loseFirstAnswer()
	effect := task.ReplyEffect(spec.Project, 1, "comment-1", "Say more.")
	d.owe(effect)
	d.deliver()
	if d.ledger.putOff[effect.Target] != time.Second {
		t.Fatalf("put off for %s, want a second", d.ledger.putOff[effect.Target])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d.until(ctx, func() bool { d.deliver(); return len(d.ledger.settled) == 1 })
	if got := d.ours(1); len(got) != 1 || got[0] != "Say more.\n\n<!-- sam:reply:comment-1 -->\n" {
		t.Errorf("got %q", got)
	}
}

func TestAReplyThatIsOwedAgainAfterItWasMadeIsNotMadeTwice(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.issue()
	for range 2 { // a delivery may be handled twice
		d.owe(task.ReplyEffect(spec.Project, 1, "comment-1", "Say more."))
		d.minute()
	}
	if got := d.ours(1); len(got) != 1 || len(d.ledger.settled) != 2 {
		t.Errorf("got %q, settled %v", got, d.ledger.settled)
	}
}

// until asks again and again, until ctx ends.
func (d *desk) until(ctx context.Context, is func() bool) {
	d.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			d.t.Fatal(ctx.Err())
		}
	}
}

func TestWhatHasNoPlaceToGoIsLetGo(t *testing.T) {
	d := newDesk(t)
	p := d.project("hello")
	d.owe(task.ReplyEffect(p.ID+1000, 1, "k", "To a project that SAM is no longer installed on."), task.Effect{Target: "odd", Body: "{"}, task.Effect{Target: "newer", Body: `{"kind":"wave","project":1}`})
	d.deliver()
	if len(d.ledger.settled) != 3 {
		t.Errorf("settled %v, put off %v", d.ledger.settled, d.ledger.putOff)
	}
}

func TestWhatAPersonWaitsForGoesFirst(t *testing.T) {
	d := newDesk(t)
	spec := d.task()
	d.end(spec)
	d.owe(task.ReactionEffect(spec.Project, 1, spec.Comment, "eyes"))
	d.deliver()
	want := []string{"closing:", "reaction:", "status:"}
	if len(d.ledger.settled) != len(want) {
		t.Fatalf("settled %v", d.ledger.settled)
	}
	for i, prefix := range want {
		if !strings.HasPrefix(d.ledger.settled[i], prefix) {
			t.Errorf("delivered in the order %v, want %v", d.ledger.settled, want)
		}
	}
}
