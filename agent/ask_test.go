package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sam/agent/wire"
	"sam/task"
)

// asks waits for the n-th question of an attempt, from 1, and returns its event.
func (g *testGateway) asks(ref wire.Ref, n int) task.Event {
	g.t.Helper()
	var asked []task.Event
	g.await("a question of "+ref.Task, func() bool {
		asked = of(g.events[ref], task.Asked)
		return len(asked) >= n
	})
	return asked[n-1]
}

func of(events []task.Event, kind task.Kind) []task.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e task.Event) bool { return e.Kind != kind })
}

// answer sends the answer to a question, and waits until the node has confirmed it.
func (g *testGateway) answer(ref wire.Ref, e task.Event, text string) {
	g.t.Helper()
	command := "answer-" + ref.Task + "-" + e.Ask.ID
	g.command(wire.Frame{Type: wire.TypeAnswer, Answer: &wire.Answer{Command: command, Ref: ref, Ask: e.Ask.ID, Text: text}})
	g.await("its confirmation", func() bool { return slices.Contains(g.done, command) })
}

func TestAnAgentThatAsksGoesOnWithEachAnswer(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	newNode(t, g)
	s := start(g, "tasks", 1, "demo: ask twice")
	g.command(frame(s))
	first := g.asks(s.Ref, 1)
	if first.Text != "Which colour shall the sign have?" || first.Ask == nil || !slices.Equal(first.Ask.Options, []string{"green", "red"}) {
		t.Fatalf("it asked %+v, %+v", first, first.Ask)
	}
	g.answer(s.Ref, first, "blue")
	g.answer(s.Ref, g.asks(s.Ref, 2), "Mind\nthe gap")
	events := g.finished(s.Ref)
	if end := last(events); end.Outcome != task.Done || end.Headline != "Put up a blue sign" || !strings.Contains(end.Summary, "Mind the gap") {
		t.Errorf("it ended with %+v", end)
	}
	if got := of(events, task.Answered); len(got) != 2 || got[0].Text != "blue" || len(of(events, task.Asked)) != 2 {
		t.Errorf("it was answered %+v", got)
	}
	if got := gitIn(t, u.dir, "show", "sam/12-uploads:SIGN.md"); !strings.Contains(got, "blue") {
		t.Errorf("the sign is %q", got)
	}
}

func TestOverALinkOfTheOldProtocolAnAgentEndsWithItsQuestion(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	g.protocol = wire.Answers - 1
	newNode(t, g)
	s := start(g, "told", 1, "demo: ask")
	g.command(frame(s))
	events := g.finished(s.Ref)
	if end := last(events); end.Outcome != task.GaveUp || !strings.Contains(end.Reason, "Which colour") || !strings.Contains(end.Reason, "with the answer in the request") {
		t.Errorf("it ended with %+v", end)
	}
	if asked := of(events, task.Asked); len(asked) != 1 || asked[0].Ask != nil {
		t.Errorf("it asked %+v", asked)
	}
}

func TestAnAgentIsStoppedWhileItWaitsForAnAnswer(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	newNode(t, g)
	s := start(g, "tstopask", 1, "demo: ask")
	g.command(frame(s))
	g.asks(s.Ref, 1)
	g.command(stopFrame(s.Ref, "ada stopped it"))
	if end := last(g.finished(s.Ref)); end.Outcome != task.Stopped || end.Reason != "ada stopped it" {
		t.Errorf("it ended with %+v", end)
	}
}

// An answer that the node has confirmed is on its disk. The agent in the container gets each of them once, whichever process
// of the node does it.
func TestANodeThatRestartsWhileItsAgentWaitsLosesNoAnswer(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	newUpstream(t, g)
	o := e.options(t, g)
	n := startNode(g, o)
	s := start(g, "taskbox", 1, "demo: ask twice")
	g.command(frame(s))
	first := g.asks(s.Ref, 1)
	n.stop()
	n = startNode(g, o) // it waits on
	works := func() bool { return len(g.beats) > 0 && len(g.beats[len(g.beats)-1].Running) == 1 }
	g.await("the attempt", works)
	g.answer(s.Ref, first, "blue")
	n.stop() // whether or not the agent has it by now
	n = startNode(g, o)
	second := g.asks(s.Ref, 2)
	n.stop()
	n = startNode(g, o)
	defer n.stop()
	g.await("the attempt", works)
	g.answer(s.Ref, first, "red") // a question that is answered already
	g.answer(s.Ref, second, "Mind the step")
	events := g.finished(s.Ref)
	if end := last(events); end.Outcome != task.Done || end.Headline != "Put up a blue sign" {
		t.Errorf("it ended with %+v", end)
	}
	if asked, answered := of(events, task.Asked), of(events, task.Answered); len(asked) != 2 || len(answered) != 2 || answered[0].Text != "blue" {
		t.Errorf("asked %+v, answered %+v", asked, answered)
	}
	n.stop()
	if left := e.ofNode(t, o.Dir); len(left) > 0 {
		t.Errorf("containers are left: %v", left)
	}
}

func TestRepliesAreSentInTheOrderOfTheRequests(t *testing.T) {
	t.Parallel()
	var sent []string
	given := newAnswers(always, nil)
	answered := make(chan struct{}, 2)
	r := newReplies(func(line []byte) { sent = append(sent, string(line)) }, given, func() { answered <- struct{}{} })
	defer r.close()
	line := func(answer string) []byte { return []byte("answer " + answer) }
	r.say([]byte("one"))
	r.ask("q1", line)
	r.say([]byte("two")) // behind the answer
	if !slices.Equal(sent, []string{"one"}) || !r.waits() {
		t.Fatalf("before the answer %q is sent", sent)
	}
	given.give("q2", "early")
	given.give("q1", "green")
	select {
	case <-answered:
	case <-time.After(30 * time.Second):
		t.Fatal("nobody noticed the answer")
	}
	r.ask("q2", line) // its answer is there already
	r.ask("q3", line)
	r.say([]byte("three"))
	r.withdraw("q3")
	if want := []string{"one", "answer green", "two", "answer early", "three"}; !slices.Equal(sent, want) || r.waits() {
		t.Errorf("sent %q, want %q", sent, want)
	}
	if !given.moot("q3") || !given.moot("q1") || given.moot("q4") {
		t.Error("what is moot is not known")
	}
}
