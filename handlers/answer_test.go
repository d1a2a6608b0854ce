package handlers_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"sam/task"
)

// wondering is the task of a comment on hello's first issue whose agent waits for an answer.
func wondering(t *testing.T) (*world, task.ID) {
	t.Helper()
	w, _, id := asked(t, "/sam put up a sign")
	w.settle()
	w.begin(id, 0)
	w.wonder(id, 1)
	w.owed()
	return w, id
}

func (w *world) wonder(id task.ID, seq int64) {
	w.t.Helper()
	t := w.task(id)
	w.check(w.store.Ask(w.t.Context(), t, t.Epoch, task.Question{ID: "q" + strconv.FormatInt(seq, 10), Seq: seq, Text: "Which colour?"}, task.Change{}))
}

// tasks is how many tasks hello has.
func (w *world) tasks() int {
	w.t.Helper()
	all, err := w.store.OpenTasks(w.t.Context(), w.repository("hello"))
	w.check(err)
	return len(all)
}

func TestTheNextCommentOfAWriterIsTheAnswer(t *testing.T) {
	for name, words := range map[string]string{
		"words":                          "green, with a frame",
		"one word":                       "green",
		"a word like a verb misspelt":    "stob",
		"two words, of which one a verb": "help yourself",
	} {
		t.Run(name, func(t *testing.T) {
			w, id := wondering(t)
			comment := w.comment("ada", "hello", 1, "/sam "+words)
			deliveries := w.settle()
			got := w.task(id)
			if got.State != task.Running || !slices.Equal(got.Answers, []task.Answer{{Question: "Which colour?", Text: words, By: "ada"}}) {
				t.Fatalf("it is %s with %+v", got.State, got.Answers)
			}
			if targets, replies := w.owed(); len(replies) != 0 || !slices.Contains(targets, task.ReactionEffect(w.repository("hello"), 1, comment, "eyes").Target) {
				t.Errorf("owed %v, %q", targets, replies)
			}
			entries, _, err := w.store.Conversation(t.Context(), w.repository("hello"), "", 10)
			w.check(err)
			if last := entries[len(entries)-1]; last.Kind != task.EntryAnswer || last.Author != "ada" || last.Text != words || last.Task != id {
				t.Errorf("the conversation ends with %+v", last)
			}
			// The same comment again, under another GUID: while the task runs, and when it waits for another answer.
			again := deliveries[len(deliveries)-1]
			again.ID += "-again"
			w.handle(again)
			w.wonder(id, 2)
			w.handle(again)
			if got := w.task(id); got.State != task.Waiting || len(got.Answers) != 1 || w.tasks() != 1 {
				t.Errorf("then it is %s with %+v, and there are %d tasks", got.State, got.Answers, w.tasks())
			}
			if targets, replies := w.owed(); len(targets) != 0 {
				t.Errorf("owed %v, %q", targets, replies)
			}
		})
	}
}

func TestOfTwoAnswersAtOnceTheFirstCountsAndTheOtherIsATaskBehind(t *testing.T) {
	w, id := wondering(t)
	w.comment("ada", "hello", 1, "/sam green")
	second := w.comment("octo", "hello", 1, "/sam red please")
	w.settle()
	got := w.task(id)
	if len(got.Answers) != 1 || got.Answers[0].Text != "green" {
		t.Errorf("answered with %+v", got.Answers)
	}
	other := w.task(task.NewID(w.repository("hello"), task.CommentSource(second), 0))
	if other.State != task.Queued || other.Request != "red please" {
		t.Errorf("the other is %s: %q", other.State, other.Request)
	}
}

func TestWhatWasWrittenBeforeTheQuestionIsATaskOfItsOwn(t *testing.T) {
	w, _, id := asked(t, "/sam put up a sign")
	w.settle()
	w.begin(id, 0)
	w.ahead.Store(int64(-2 * time.Second)) // it was written, and is late
	comment := w.comment("ada", "hello", 1, "/sam mend the fence")
	w.wonder(id, 1)
	w.settle()
	if got := w.task(id); got.State != task.Waiting || len(got.Answers) != 0 {
		t.Errorf("it is %s with %+v", got.State, got.Answers)
	}
	if got := w.task(task.NewID(w.repository("hello"), task.CommentSource(comment), 0)); got.Request != "mend the fence" {
		t.Errorf("there is %+v", got)
	}
}

func TestWhoMayNotAskMayNotAnswer(t *testing.T) {
	w, id := wondering(t)
	w.comment("tess", "hello", 1, "/sam green")
	w.comment("zoe", "hello", 1, "/sam green")
	w.comment("ada", "hello", 1, "green, I would say") // not to SAM
	w.comment("ada", "hello", 1, "/sam help")
	w.settle()
	if got := w.task(id); got.State != task.Waiting || w.tasks() != 1 {
		t.Errorf("it is %s with %+v, and there are %d tasks", got.State, got.Answers, w.tasks())
	}
	if _, replies := w.owed(); len(replies) != 2 { // to tess, and the help
		t.Errorf("replied %q", replies)
	}
}

func TestAnotherThreadsQuestionIsNotAnswered(t *testing.T) {
	w, id := wondering(t)
	w.issue("hello", "Another matter")
	w.comment("ada", "hello", 2, "/sam green")
	w.settle()
	if got := w.task(id); got.State != task.Waiting || w.tasks() != 2 {
		t.Errorf("it is %s, and there are %d tasks", got.State, w.tasks())
	}
}

func TestTheDeletionOfAnAnswerTakesNothingBack(t *testing.T) {
	w, id := wondering(t)
	comment := w.comment("ada", "hello", 1, "/sam green")
	w.settle()
	w.check(w.hub.DeleteComment("ada", "octo", "hello", comment))
	w.settle()
	if got := w.task(id); got.State != task.Running || got.Cancel != "" {
		t.Errorf("it is %s, cancelled because %q", got.State, got.Cancel)
	}
}
