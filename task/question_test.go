package task_test

import (
	"strings"
	"testing"
	"time"

	"sam/task"
)

func TestOnlyAQuestionThatCanBeAnsweredIsWaitedFor(t *testing.T) {
	var p task.Progress
	p.Note(task.Event{Seq: 4, Kind: task.Asked, Text: "Which?"})
	if p.Asked != nil || !p.Spoke || p.Last != 4 {
		t.Errorf("one that is only told means %+v", p)
	}
	p.Note(task.Event{Seq: 5, Kind: task.Asked, Text: "Which colour?" + strings.Repeat("é", 20<<10), Ask: &task.Ask{ID: "q1", Options: []string{"green"}}})
	q := p.Asked
	if q == nil || q.ID != "q1" || q.Seq != 5 || q.Key() != "5" || len(q.Options) != 1 || p.Last != 5 {
		t.Fatalf("means %+v", p)
	}
	if len(q.Text) > 17<<10 || !strings.HasPrefix(q.Text, "Which colour?é") || !strings.HasSuffix(q.Text, "é …") {
		t.Errorf("%d bytes of it are kept", len(q.Text))
	}
}

func TestAnAskNeedsANameOfAReasonableLength(t *testing.T) {
	for ask, ok := range map[string]bool{
		`{"id":"toolu_1"}`: true, `{"id":"q","options":["a"]}`: true, `{}`: false, `{"id":"` + strings.Repeat("x", 201) + `"}`: false,
	} {
		if _, err := task.ParseEvent([]byte(`{"seq":1,"kind":"asked","text":"Which?","ask":` + ask + `}`)); (err == nil) != ok {
			t.Errorf("%.40s: %v", ask, err)
		}
	}
}

func TestRemindersComeBeforeTheEndAndSayHowLongThereIs(t *testing.T) {
	waiting := task.Task{Spec: task.Spec{ID: "tabc", Project: 7, Number: 3, Requester: "ada"}, Ask: &task.Question{Seq: 5, Text: "Which\ncolour?"}}
	before := time.Duration(0)
	for n, at := range task.Reminders() {
		if at <= before || at >= task.Deadline(task.Waiting) {
			t.Errorf("reminder %d after %s", n, at)
		}
		before = at
		body, err := task.ParseEffect(task.ReminderEffect(waiting, n))
		if want := []string{"6 days", "4 days"}[n]; err != nil || !strings.Contains(body.Text, want) || !strings.Contains(body.Text, "@ada") || body.Number != 3 {
			t.Errorf("reminder %d is %+v, %v", n, body, err)
		}
	}
	if a, b := task.ReminderEffect(waiting, 0), task.ReminderEffect(waiting, 1); a.Target == b.Target {
		t.Errorf("both are owed as %s", a.Target)
	}
	if words := task.Unanswered(waiting); !strings.Contains(words, "within 7 days") || !strings.Contains(words, "> Which\n> colour?") {
		t.Errorf("it ends with %q", words)
	}
}
