package runner_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sam/task"
)

const whichColour = "Which colour shall the sign have?"

// wonders has the agent of a task on an issue ask, and returns the task as it waits.
func (c *clocked) wonders(t *testing.T, id task.ID, seq int64) task.Task {
	t.Helper()
	now := c.read(t, id)
	if err := c.NoteProgress(t.Context(), now, now.Epoch, task.Progress{Started: true, Spoke: true}, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a replica that dies between has it noted again
		if err := c.Ask(t.Context(), now, now.Epoch, task.Question{ID: "q1", Seq: seq, Text: whichColour}, task.Change{
			Effects: []task.Effect{task.QuestionEffect(now.Spec, "1", whichColour)},
		}); err != nil {
			t.Fatal(err)
		}
	}
	now = c.read(t, id)
	if now.State != task.Waiting || now.Ask == nil || now.Ask.Text != whichColour || !now.Ask.Asked.Equal(c.now) {
		t.Fatalf("asked, it is %s with %+v", now.State, now.Ask)
	}
	return now
}

// answers has a comment answer the task that waits on an issue.
func (c *clocked) answers(t *testing.T, number int, comment int64, words string, at time.Time) bool {
	t.Helper()
	instead := task.NewID(7, task.CommentSource(comment), 0)
	waiting, err := c.Asking(t.Context(), task.IssueThread(7, number), instead)
	if err != nil {
		t.Fatal(err)
	}
	answered, err := c.Answer(t.Context(), waiting, task.Answer{Question: waiting.Ask.Text, Text: words, By: "ada"}, instead, at, task.Change{})
	if err != nil {
		t.Fatal(err)
	}
	return answered
}

// sweeps advances what is due, as the sweep does.
func (c *clocked) sweeps(t *testing.T) {
	t.Helper()
	due, err := c.Due(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range due {
		c.Advance(t.Context(), id)
	}
}

// owes counts what is owed whose target has the words in it.
func (c *clocked) owes(t *testing.T, words string) int {
	t.Helper()
	targets, err := c.redis.ZMembers("{0}:owed:3")
	if err != nil {
		t.Fatal(err)
	}
	return len(slices.DeleteFunc(targets, func(target string) bool { return !strings.Contains(target, words) }))
}

func TestAnAnswerGoesToTheNodeOnWhichTheAgentWaits(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	before := c.wonders(t, id, 3)
	c.pass(10 * time.Second)
	if !c.answers(t, 1, 50, "green", c.now) {
		t.Fatal("not answered")
	}
	got := c.read(t, id)
	if got.State != task.Running || got.Epoch != before.Epoch || got.Node != "local" || got.Ask != nil || got.Attempts != 1 {
		t.Errorf("answered, it is %+v", got)
	}
	if want := []task.Answer{{Question: whichColour, Text: "green", By: "ada"}}; !slices.Equal(got.Answers, want) {
		t.Errorf("answers %+v", got.Answers)
	}
	if told := c.told(t, "local"); !slices.Equal(told, []string{"start", "answer"}) {
		t.Errorf("the node was told %v", told)
	}
	// The events of the question come again after a replica died: it was answered.
	if err := c.Ask(t.Context(), got, got.Epoch, task.Question{ID: "q1", Seq: 3, Text: whichColour}, task.Change{}); err != nil {
		t.Fatal(err)
	}
	if again := c.read(t, id); again.State != task.Running {
		t.Errorf("the same question made it %s", again.State)
	}
	// Another question is another wait.
	if err := c.Ask(t.Context(), got, got.Epoch, task.Question{ID: "q2", Seq: 7, Text: "And which words?"}, task.Change{}); err != nil {
		t.Fatal(err)
	}
	if !c.answers(t, 1, 51, "Mind the step", c.now) {
		t.Fatal("not answered")
	}
	if got = c.read(t, id); got.State != task.Running || len(got.Answers) != 2 {
		t.Errorf("after two questions: %s with %+v", got.State, got.Answers)
	}
	c.ends(t, id, task.End{Outcome: task.Done})
	if got = c.read(t, id); !got.State.Final() {
		t.Errorf("it is %s", got.State)
	}
}

func TestWhoWaitsForAnAnswerIsNotStuck(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	c.wonders(t, id, 3)
	c.beats(t, id, c.Bounds.Silence+time.Minute)
	if got := c.read(t, id); got.State != task.Waiting || got.Node != "local" {
		t.Fatalf("after a while: %+v", got)
	}
	c.answers(t, 1, 50, "green", c.now)
	c.beats(t, id, c.Bounds.Silence-time.Minute) // its silence is counted from the answer
	if got := c.read(t, id); got.State != task.Running {
		t.Errorf("after the answer: %+v", got)
	}
}

func TestTheQuestionOfALostNodeStandsAndItsAnswerGoesToTheNextAttempt(t *testing.T) {
	for name, lose := range map[string]func(*testing.T, *clocked, task.ID){
		"silent":    func(t *testing.T, c *clocked, _ task.ID) { c.pass(task.NodeSilence + time.Second); c.sweeps(t) },
		"restarted": func(t *testing.T, c *clocked, id task.ID) { c.ends(t, id, task.End{Outcome: task.Lost}) },
		"not yet noticed": func(_ *testing.T, c *clocked, _ task.ID) {
			c.pass(task.NodeSilence + time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClocked(t)
			c.link(t)
			id := c.ask(t, 1)
			stale := c.wonders(t, id, 3)
			behind := c.askOn(t, 1, 2)
			lose(t, c, id)
			if got := c.read(t, id); got.State != task.Waiting || name != "not yet noticed" && (got.Node != "" || got.Attempts != 0 || got.Ask == nil) {
				t.Fatalf("its node lost, it is %+v", got)
			}
			if !c.answers(t, 1, 50, "green", c.now) {
				t.Fatal("not answered")
			}
			if got := c.read(t, id); got.State != task.Queued {
				t.Fatalf("answered, it is %s", got.State)
			}
			if err := c.RenewFor(t.Context(), "local", id, stale.Epoch); err == nil {
				t.Error("the lost node still holds it")
			}
			if nodes, err := c.Nodes(t.Context()); err != nil || len(nodes[0].Tasks) != 0 {
				t.Errorf("the slot is taken: %+v, %v", nodes, err)
			}
			c.Advance(t.Context(), behind)
			if got := c.read(t, behind); got.State != task.Queued {
				t.Errorf("what came behind it is %s", got.State)
			}
			c.link(t) // it is back
			c.sweeps(t)
			got := c.read(t, id)
			if got.State != task.Preparing || got.Attempts != 1 {
				t.Fatalf("then it is %s at attempt %d", got.State, got.Attempts)
			}
			start := c.prompted(t, "local", got.Epoch)
			if !strings.Contains(start, whichColour) || !strings.Contains(start, "ada answered: green") {
				t.Errorf("the next attempt is told %q", start)
			}
		})
	}
}

func TestAQuestionIsToldAgainTwiceAndGivenUpAfterAWeek(t *testing.T) {
	const day = 24 * time.Hour
	c := newClocked(t)
	id := c.ask(t, 1)
	c.link(t)
	c.Advance(t.Context(), id)
	c.wonders(t, id, 3)
	c.pass(task.NodeSilence + time.Second) // the node is lost: what follows needs none
	c.sweeps(t)
	for _, row := range []struct {
		at        time.Duration
		reminders int
	}{{day - 2*time.Minute, 0}, {day + time.Minute, 1}, {2 * day, 1}, {3*day + time.Minute, 2}, {6 * day, 2}} {
		c.pass(c.read(t, id).Ask.Asked.Add(row.at).Sub(c.now))
		c.sweeps(t)
		c.sweeps(t)
		if got := c.owes(t, "reply:7:1:reminder-"); got != row.reminders || c.read(t, id).State != task.Waiting {
			t.Errorf("after %s: %d reminders, it is %s", row.at, got, c.read(t, id).State)
		}
	}
	c.pass(2 * day)
	c.sweeps(t)
	c.sweeps(t)
	if got := c.read(t, id); got.State != task.Failed || !strings.Contains(got.Failure, "Nobody answered the agent's question within 7 days") || !strings.Contains(got.Failure, whichColour) {
		t.Errorf("after a week it is %s: %s", got.State, got.Failure)
	}
	if flying, err := c.InFlight(t.Context()); err != nil || len(flying) != 0 {
		t.Errorf("in flight: %v, %v", flying, err)
	}
}

// What the agent committed is pushed by a node that is told to stop, before the task fails.
func TestANodeIsToldToStopWhenNobodyAnswers(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	asked := c.wonders(t, id, 3)
	c.pass(task.Deadline(task.Waiting) - 10*time.Second)
	c.redis.HSet("{0}:task:"+string(id), "lease_until", strconv.FormatInt(c.now.Add(task.NodeSilence).UnixMilli(), 10)) // a week of beats
	c.pass(11 * time.Second)
	c.sweeps(t)
	c.sweeps(t)
	if got := c.read(t, id); got.State != task.Waiting || got.Node != "local" {
		t.Fatalf("before the node has stopped it is %s", got.State)
	}
	if told := c.told(t, "local"); !slices.Contains(told, "stop") {
		t.Errorf("the node was told %v", told)
	}
	if _, err := c.Asking(t.Context(), asked.Thread, id); err == nil {
		t.Error("it can still be answered")
	}
	if err := c.RecordPush(t.Context(), id, asked.Epoch, asked.Branch, "abc"); err != nil {
		t.Fatal(err)
	}
	c.ends(t, id, task.End{Outcome: task.Stopped, Reason: "over"})
	if got := c.read(t, id); got.State != task.Failed || !strings.Contains(got.Failure, "Nobody answered") || got.Head != "abc" {
		t.Errorf("it is %s with head %q: %s", got.State, got.Head, got.Failure)
	}
}

func TestWhatAnsweredIsNoTaskAndNoOtherAnswerForEver(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	c.wonders(t, id, 3)
	if c.answers(t, 1, 49, "written before", c.now.Add(-time.Second)) {
		t.Error("words from before the question answered it")
	}
	if !c.answers(t, 1, 50, "green", c.now) {
		t.Fatal("not answered")
	}
	c.pass(31 * 24 * time.Hour)
	spec := task.Spec{ID: task.NewID(7, task.CommentSource(50), 0), Project: 7, Installation: 3, Account: 5, Thread: task.IssueThread(7, 1), Number: 1}
	if made, err := c.CreateTask(t.Context(), spec, task.Change{}); err != nil || made {
		t.Errorf("what answered made a task: %v, %v", made, err)
	}
	now := c.read(t, id)
	if err := c.Ask(t.Context(), now, now.Epoch, task.Question{ID: "q2", Seq: 9, Text: "And which words?"}, task.Change{}); err != nil {
		t.Fatal(err)
	}
	if !c.answers(t, 1, 50, "green", c.now) { // it is dealt with
		t.Error("what answered before is not known")
	}
	if got := c.read(t, id); got.State != task.Waiting || len(got.Answers) != 1 {
		t.Errorf("it answered twice: %s, %+v", got.State, got.Answers)
	}
	if c.answers(t, 1, 1, "add rate limiting", c.now) {
		t.Error("the comment that asked for the task answers it")
	}
}

func TestATaskThatWaitsIsCancelledWithItsNodeOrWithoutOne(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	c.wonders(t, id, 3)
	c.cancel(t, id)
	c.sweeps(t)
	if got := c.read(t, id); got.State != task.Waiting {
		t.Fatalf("ended under its node's hands: %s", got.State)
	}
	c.ends(t, id, task.End{Outcome: task.Stopped, Reason: unwanted})
	if got := c.read(t, id); got.State != task.Cancelled {
		t.Errorf("stopped, it is %s", got.State)
	}
	id = c.askOn(t, 2, 2)
	c.wonders(t, id, 3)
	c.pass(task.NodeSilence + time.Second)
	c.sweeps(t)
	c.cancel(t, id)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Cancelled || got.Failure != unwanted {
		t.Errorf("without a node, it is %s: %s", got.State, got.Failure)
	}
}

func TestAnAgentThatEndsWithAnOpenQuestionIsTakenAtItsWord(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	c.wonders(t, id, 3)
	c.ends(t, id, task.End{Outcome: task.Died, Reason: "It was killed."})
	if got := c.read(t, id); got.State != task.Failed || got.Failure != "It was killed." {
		t.Errorf("it is %s: %s", got.State, got.Failure)
	}
}

// prompted is what a node was told to start an attempt with.
func (c *clocked) prompted(t *testing.T, node string, epoch int64) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	entries, err := c.redis.Stream("{0}:cmd:" + node)
	if err != nil {
		t.Fatal(err)
	}
	prompt, seen := "", 0
	if err := c.FollowCommands(ctx, node, func(command task.Command) error {
		if command.Kind == task.CommandStart && command.Epoch == epoch {
			prompt = command.Prompt
		}
		if seen++; seen == len(entries) {
			cancel()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return prompt
}
