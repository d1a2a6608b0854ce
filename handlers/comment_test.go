package handlers_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"sam/handlers"
	"sam/task"
)

// asked is a comment on hello's first issue and the task that it is to make.
func asked(t *testing.T, words string) (*world, int64, task.ID) {
	t.Helper()
	w := newWorld(t)
	w.issue("hello", "Uploads are slow")
	w.settle()
	comment := w.comment("ada", "hello", 1, words)
	return w, comment, task.NewID(w.repository("hello"), task.CommentSource(comment), 0)
}

// none fails when there is such a task.
func (w *world) none(id task.ID) {
	w.t.Helper()
	if got, err := w.store.Task(w.t.Context(), id); !errors.Is(err, task.ErrNotFound) {
		w.t.Errorf("there is %+v, %v", got, err)
	}
}

func TestADeletedCommentEndsWhatItAskedFor(t *testing.T) {
	for name, begun := range map[string]bool{"while it is queued": false, "while it runs": true} {
		t.Run(name, func(t *testing.T) {
			w, comment, id := asked(t, "/sam make it fast")
			w.settle()
			if begun {
				w.begin(id, 0)
			}
			w.check(w.hub.DeleteComment("ada", "octo", "hello", comment))
			w.settle()
			if got := w.task(id); got.Cancel != "The comment that asked was deleted." {
				t.Errorf("it is %s, cancelled because %q", got.State, got.Cancel)
			}
			if w.count("sam_tasks_unwanted_total", "issue_comment") != 1 || !w.logged(string(id), "not wanted any more") {
				t.Errorf("neither counted nor logged: %s", w.log)
			}
		})
	}
}

func TestADeletionThatComesBeforeItsCreationKeepsItFromMakingATask(t *testing.T) {
	w, comment, id := asked(t, "/sam make it fast")
	w.check(w.hub.DeleteComment("ada", "octo", "hello", comment))
	both := w.late()
	slices.Reverse(both)
	for _, d := range both {
		w.handle(d)
	}
	w.none(id)
	if w.count("sam_comments_early_total", "deleted") != 1 || w.count("sam_requests_ignored_total", "deleted") != 1 {
		t.Error("not counted")
	}
	if !w.logged("comment was deleted whose creation was not seen") || !w.logged("deleted before its creation arrived") {
		t.Errorf("not logged: %s", w.log)
	}
	if targets, _ := w.owed(); len(targets) != 0 {
		t.Errorf("owed %v", targets)
	}
}

func TestTheDeletionOfACommentThatNeverAskedLeavesNoTrace(t *testing.T) {
	w, comment, _ := asked(t, "me too")
	w.check(w.hub.DeleteComment("ada", "octo", "hello", comment))
	w.settle()
	heard, err := w.store.Hear(t.Context(), w.repository("hello"), comment, task.Heard{Created: true, Commands: 1})
	w.check(err)
	if heard.Deleted || w.count("sam_comments_early_total", "") != 0 {
		t.Errorf("kept %+v", heard)
	}
}

func TestAnEditReplacesTheRequestOfATaskThatIsStillQueued(t *testing.T) {
	w, comment, id := asked(t, "/sam make it fast")
	w.settle()
	w.owed()
	_, err := w.hub.EditComment("ada", "octo", "hello", comment, "/sam make it correct")
	w.check(err)
	edit := w.settle()
	got := w.task(id)
	if got.Request != "make it correct" || got.State != task.Queued {
		t.Errorf("asked for %q", got.Request)
	}
	w.handle(edit[0]) // it comes twice
	entries, _, err := w.store.Conversation(t.Context(), w.repository("hello"), "", 10)
	w.check(err)
	if len(entries) != 2 || entries[1].Text != "make it correct" || entries[1].Task != id {
		t.Errorf("the conversation holds %+v", entries)
	}
	if w.count("sam_tasks_total", "created") != 1 || w.count("sam_tasks_total", "amended") != 1 {
		t.Error("not counted as created once and amended once")
	}
}

func TestAnEditOfWhatHasBegunChangesNothing(t *testing.T) {
	w, comment, id := asked(t, "/sam make it fast")
	w.settle()
	w.begin(id, 0)
	for _, words := range []string{"/sam make it correct", "never mind"} {
		_, err := w.hub.EditComment("ada", "octo", "hello", comment, words)
		w.check(err)
		w.settle()
		if got := w.task(id); got.Request != "make it fast" || got.Cancel != "" {
			t.Errorf("edited to %q: asks for %q, cancelled because %q", words, got.Request, got.Cancel)
		}
	}
}

func TestAnEditThatAsksNoMoreTakesAQueuedTaskBack(t *testing.T) {
	w, comment, first := asked(t, "/sam make it fast\n/sam add a test")
	w.settle()
	second := task.NewID(w.repository("hello"), task.CommentSource(comment), 1)
	_, err := w.hub.EditComment("ada", "octo", "hello", comment, "/sam make it correct")
	w.check(err)
	w.settle()
	if got := w.task(first); got.Cancel != "" || got.Request != "make it correct" {
		t.Errorf("the first: %q, cancelled because %q", got.Request, got.Cancel)
	}
	if got := w.task(second); !strings.Contains(got.Cancel, "edited") {
		t.Errorf("the second: cancelled because %q", got.Cancel)
	}
}

func TestAnEditNeverMakesATask(t *testing.T) {
	w, comment, first := asked(t, "/sam make it fast")
	w.settle()
	_, err := w.hub.EditComment("ada", "octo", "hello", comment, "/sam make it fast\n/sam add a test")
	w.check(err)
	other := w.comment("ada", "hello", 1, "me too")
	_, err = w.hub.EditComment("ada", "octo", "hello", other, "/sam make it correct")
	w.check(err)
	w.settle()
	w.task(first)
	w.none(task.NewID(w.repository("hello"), task.CommentSource(comment), 1))
	w.none(task.NewID(w.repository("hello"), task.CommentSource(other), 0))
}

func TestAnEditThatComesBeforeItsCreationIsWhatTheTaskIsAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		edits []string
		want  string // "" makes no task
	}{
		"once":             {[]string{"/sam make it correct"}, "make it correct"},
		"twice":            {[]string{"/sam make it correct", "/sam make it both"}, "make it both"},
		"to ask no more":   {[]string{"never mind"}, ""},
		"and back to that": {[]string{"never mind", "/sam make it fast"}, "make it fast"},
	} {
		t.Run(name, func(t *testing.T) {
			w, comment, id := asked(t, "/sam make it fast")
			for _, words := range c.edits {
				_, err := w.hub.EditComment("ada", "octo", "hello", comment, words)
				w.check(err)
			}
			all := w.late()
			for _, d := range append(all[1:], all[0]) { // the edits in their order: within a second GitHub's clock has none
				w.handle(d)
			}
			if c.want == "" {
				w.none(id)
			} else if got := w.task(id); got.Request != c.want {
				t.Errorf("asked for %q, want %q", got.Request, c.want)
			}
			if w.count("sam_comments_early_total", "edited") != len(c.edits) || !w.logged("comment was edited whose creation was not seen") {
				t.Errorf("not counted %d times, or not logged: %s", len(c.edits), w.log)
			}
		})
	}
}

func TestOfTwoEditsTheLaterWinsInWhateverOrderTheyCome(t *testing.T) {
	w, comment, id := asked(t, "/sam make it fast")
	w.settle()
	_, err := w.hub.EditComment("ada", "octo", "hello", comment, "/sam make it correct")
	w.check(err)
	edit := w.late()[0]
	later, earlier := edit, edit
	later.Body = []byte(strings.Replace(string(edit.Body), "make it correct", "make it both", 1))
	earlier.Body = []byte(strings.Replace(string(edit.Body), `"at":"20`, `"at":"19`, 1))
	w.handle(later)
	w.handle(earlier)
	if got := w.task(id); got.Request != "make it both" {
		t.Errorf("asked for %q", got.Request)
	}
}

func TestAnEditIsTakenFromWritersOnlyAndForWritersOnly(t *testing.T) {
	w, comment, id := asked(t, "/sam make it fast")
	w.settle()
	w.check(w.hub.SetCollaborator("octo", "hello", "ada", "triage")) // she could write when she asked
	_, err := w.hub.EditComment("octo", "octo", "hello", comment, "/sam delete it all")
	w.check(err)
	w.settle()
	if got := w.task(id); got.Request != "make it fast" {
		t.Errorf("a maintainer's words are asked for in the name of one who may not: %q", got.Request)
	}
	w.check(w.hub.SetCollaborator("octo", "hello", "ada", "write"))
	_, err = w.hub.EditComment("octo", "octo", "hello", comment, "/sam make it correct")
	w.check(err)
	w.settle()
	if got := w.task(id); got.Request != "make it correct" {
		t.Errorf("asked for %q", got.Request)
	}
}

func TestTwoGUIDsForOneEventMakeOneTask(t *testing.T) {
	w, _, id := asked(t, "/sam make it fast")
	first := w.settle()[0]
	code, answer := w.post("issue_comment", "another-guid", w.payload(first.ID), nil)
	if code != 200 {
		t.Fatalf("%d %s", code, answer)
	}
	w.settle()
	w.task(id)
	if w.count("sam_tasks_total", "created") != 1 || w.count("sam_tasks_total", "duplicate") != 1 || !w.logged(string(id), "has its task already") {
		t.Errorf("not counted as created and as duplicate, or not logged: %s", w.log)
	}
}

// meanwhile is a store in which something happens just before a task is created.
type meanwhile struct {
	*tapped
	happens func()
}

func (m *meanwhile) CreateTask(ctx context.Context, s task.Spec, c task.Change) (bool, error) {
	if m.happens != nil {
		m.happens()
		m.happens = nil
	}
	return m.tapped.CreateTask(ctx, s, c)
}

func TestADeletionOrAnEditThatIsHandledWhileTheTaskIsMadeIsNotLost(t *testing.T) {
	for name, c := range map[string]struct {
		do        func(w *world, comment int64)
		cancelled bool
		asksFor   string
	}{
		"deleted": {func(w *world, id int64) { w.check(w.hub.DeleteComment("ada", "octo", "hello", id)) }, true, "make it fast"},
		"edited": {func(w *world, id int64) {
			_, err := w.hub.EditComment("ada", "octo", "hello", id, "/sam make it correct")
			w.check(err)
		}, false, "make it correct"},
	} {
		t.Run(name, func(t *testing.T) {
			w, comment, id := asked(t, "/sam make it fast")
			creation := w.late()[0]
			c.do(w, comment)
			base := w.base
			base.Store = &meanwhile{w.store, func() { w.settle() }}
			webhook, err := handlers.NewWebhook(base, secret)
			w.check(err)
			w.check(webhook.Handle(w.ctx(), creation))
			if got := w.task(id); (got.Cancel != "") != c.cancelled || got.Request != c.asksFor {
				t.Errorf("asks for %q, cancelled because %q", got.Request, got.Cancel)
			}
		})
	}
}
