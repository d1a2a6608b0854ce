package gateway

import (
	"testing"
	"time"

	"sam/agent/wire"
	"sam/task"
)

func asked(seq int64, ask *task.Ask) task.Event {
	return task.Event{Seq: seq, Kind: task.Asked, Text: "Which colour?", Ask: ask}
}

// answered has a comment answer the task that waits.
func (w *nodeWorld) answered(t task.Task, words string) {
	w.t.Helper()
	waiting, err := w.store.Asking(w.t.Context(), t.Thread, t.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	instead := task.NewID(testProject, task.CommentSource(999), 0)
	if ok, err := w.store.Answer(w.t.Context(), waiting, task.Answer{Text: words, By: "ada"}, instead, time.Now().Add(time.Minute), task.Change{}); err != nil || !ok {
		w.t.Fatalf("answered %v, %v", ok, err)
	}
}

func TestAQuestionHasItsTaskWaitAndTheAnswerGoesOverTheLink(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, placed := w.started()
	ref := refOf(placed)
	p.events(ref, stepped(1, task.StepAgent), asked(2, &task.Ask{ID: "q1", Options: []string{"green", "red"}}))
	p.acked(ref, 2)
	got := w.read(placed.ID)
	if got.State != task.Waiting || got.Ask == nil || got.Ask.ID != "q1" || got.Ask.Seq != 2 || len(got.Ask.Options) != 2 || got.At[task.Running].IsZero() {
		t.Fatalf("asked, it is %s with %+v", got.State, got.Ask)
	}
	owed := map[string]bool{}
	for {
		effect, err := w.store.TakeOwed(t.Context(), task.OwedTo{Partition: "0", Installation: testInstallation})
		if err != nil {
			break
		}
		owed[effect.Target] = true
	}
	if !owed["question:"+string(placed.ID)+":2"] || !owed["status:"+string(placed.ID)] {
		t.Errorf("owed is %v", owed)
	}
	talk, _, err := w.store.Conversation(t.Context(), testProject, "", 10)
	if err != nil || len(talk) == 0 || talk[len(talk)-1].Kind != task.EntryQuestion || talk[len(talk)-1].Text != "Which colour?" {
		t.Errorf("the conversation is %+v, %v", talk, err)
	}
	// Another replica takes the link over: the attempt goes on, and the answer takes the new way.
	p, welcome := w.link("local", ref)
	if len(welcome.Resume) != 1 || welcome.Resume[0].After != 2 {
		t.Fatalf("resumes %+v", welcome.Resume)
	}
	w.answered(placed, "green")
	answer := p.hear(wire.TypeAnswer).Answer
	if answer.Ref != ref || answer.Ask != "q1" || answer.Text != "green" {
		t.Errorf("the answer is %+v", answer)
	}
	p, _ = w.link("local", ref) // it was not confirmed
	if again := p.hear(wire.TypeAnswer).Answer; again.Command != answer.Command {
		t.Errorf("then comes %+v", again)
	}
	p.say(wire.Frame{Type: wire.TypeDone, Done: &wire.Done{Command: answer.Command}})
	p.events(ref, said(3), finished(4))
	p.acked(ref, 4)
	if got := w.claim(placed.ID); got.State != task.Publishing {
		t.Errorf("ended, it is %s", got.State)
	}
}

func TestAQuestionThatIsOnlyToldKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, placed := w.started()
	p.events(refOf(placed), stepped(1, task.StepAgent), asked(2, nil))
	p.acked(refOf(placed), 2)
	if got := w.read(placed.ID); got.State != task.Running {
		t.Errorf("it is %s", got.State)
	}
}

// The replica was killed between the two.
func TestEventsThatAreStoredAndWhoseMeaningIsNotNotedComeAgain(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, placed := w.started()
	ref := refOf(placed)
	p.events(ref, stepped(1, task.StepAgent), said(2))
	p.acked(ref, 2)
	if _, err := w.store.AppendEvents(t.Context(), placed.ID, placed.Epoch, "local", []task.Numbered{{Seq: 3, JSON: []byte(`{"seq":3,"kind":"asked","text":"Which colour?","ask":{"id":"q1"}}`)}}); err != nil {
		t.Fatal(err)
	}
	p, welcome := w.link("local", ref)
	if len(welcome.Resume) != 1 || welcome.Resume[0].After != 2 {
		t.Fatalf("resumes %+v", welcome.Resume)
	}
	p.events(ref, asked(3, &task.Ask{ID: "q1"}))
	p.acked(ref, 3)
	if got := w.read(placed.ID); got.State != task.Waiting || got.Last != 3 {
		t.Errorf("it is %s, its last event %d", got.State, got.Last)
	}
}

func TestANodeOfTheOldProtocolIsSentNoAnswer(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, placed := w.started()
	ref := refOf(placed)
	p.events(ref, stepped(1, task.StepAgent), asked(2, &task.Ask{ID: "q1"}))
	p.acked(ref, 2)
	old := w.dial("local")
	greeting := hello(ref)
	greeting.Hello.Protocols = []int{wire.Answers - 1}
	old.say(greeting)
	if got := old.hear(wire.TypeWelcome).Welcome.Protocol; got != wire.Answers-1 {
		t.Fatalf("protocol %d", got)
	}
	w.answered(placed, "green")
	if err := w.store.Command(t.Context(), "local", task.Command{Kind: task.CommandStop, Task: placed.ID, Epoch: placed.Epoch}); err != nil {
		t.Fatal(err)
	}
	old.hear(wire.TypeStop) // and nothing before it
}
