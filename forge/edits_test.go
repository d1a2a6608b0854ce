package forge_test

import (
	"strings"
	"testing"
	"time"

	"sam/task"
)

// edits is how often comments were edited.
func (d *desk) edits() int {
	d.between.mu.Lock()
	defer d.between.mu.Unlock()
	n := 0
	for call, times := range d.between.calls {
		if strings.HasPrefix(call, "PATCH ") {
			n += times
		}
	}
	return n
}

func TestABurstOfStatusEditsIsOneCall(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.task()
	d.deliver()
	if len(d.ours(1)) != 1 {
		t.Fatal("the first status does not come at once")
	}
	for range 5 {
		d.pass(200 * time.Millisecond)
		d.owe(task.StatusEffect(spec))
		d.deliver()
	}
	if n := d.edits(); n != 0 {
		t.Errorf("%d edits within a second of the first, want them to wait", n)
	}
	d.pass(time.Second)
	d.deliver()
	if n := d.edits(); n != 1 {
		t.Errorf("%d edits, want one for all", n)
	}
	d.pass(5 * time.Second)
	d.deliver()
	if owing, err := d.ledger.Owing(t.Context()); err != nil || len(owing) != 0 || d.edits() != 1 {
		t.Errorf("then %d edits, and still owed: %v, %v", d.edits(), owing, err)
	}
}

func TestTheLastStatusDoesNotWait(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.task()
	d.deliver()
	d.pass(100 * time.Millisecond)
	d.end(spec)
	d.deliver()
	if got := d.ours(1); len(got) != 2 || !strings.HasPrefix(got[0], "**SAM could not finish**") {
		t.Errorf("right after the end: %q", got)
	}
}

func TestAQuestionIsAskedOnceInANewComment(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.task()
	d.deliver()
	question := task.QuestionEffect(spec, "7", "Red or blue?\n\nBoth are in use. @zoe knows <!-- sam:status:x -->.")
	for range 2 { // the step that asks may be repeated
		d.owe(question)
		d.deliver()
	}
	d.owe(task.QuestionEffect(spec, "8", "And how large?"))
	d.deliver()
	got := d.ours(1)
	if len(got) != 3 {
		t.Fatalf("SAM's comments are %q", got)
	}
	want := "@ada **SAM has a question** and waits for the answer:\n\n> Red or blue?\n> \n> Both are in use. @\u200bzoe knows <\u200b!-- sam:status:x -->.\n\n" +
		"Answer here with `/sam` and your words, for example `/sam yes, do that`. Anyone who may write to this repository can answer.\n\n" +
		"<!-- sam:question:" + string(spec.ID) + ":7 -->\n"
	if got[1] != want {
		t.Errorf("it asks %q, want %q", got[1], want)
	}
	d.end(spec)
	d.owe(task.QuestionEffect(spec, "9", "And which font?"))
	d.deliver()
	if got := d.ours(1); len(got) != 4 || !strings.Contains(got[3], "sam:closing:") {
		t.Errorf("after the end: %q, want the closing comment and no question", got)
	}
}
