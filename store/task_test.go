package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"sam/task"
)

func TestATaskIsCreatedOnceAndReadBack(t *testing.T) {
	s, _ := open(t)
	sp := spec(1)
	create(t, s, sp)
	again, err := s.CreateTask(t.Context(), sp, task.Change{})
	if err != nil || again {
		t.Errorf("a second creation: %v, %v", again, err)
	}
	got := read(t, s, sp.ID)
	if got.State != task.Queued || got.Request != sp.Request || !got.Created.Equal(sp.Created) || got.At[task.Queued].IsZero() {
		t.Errorf("read back %+v", got)
	}
	entries, _, err := s.Conversation(t.Context(), 7, "", 10)
	if err != nil || len(entries) != 1 || entries[0].Task != sp.ID {
		t.Errorf("conversation %+v, %v", entries, err)
	}
	if _, err := s.Task(t.Context(), "tnone"); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("a task that is not there: %v", err)
	}
}

func TestAThreadsTasksRunInTheOrderOfTheirCommentsOneAtATime(t *testing.T) {
	s, _ := open(t)
	first, second := spec(1), spec(2)
	create(t, s, second) // arrives first, was written second
	create(t, s, first)
	if _, err := s.Claim(t.Context(), second.ID); why(t, err) != "turn" {
		t.Errorf("the later one was claimed out of turn: %v", err)
	}
	c := claim(t, s, first.ID)
	earlier := spec(0) // written before the one under way, arrives after it started
	create(t, s, earlier)
	if _, err := s.Claim(t.Context(), earlier.ID); why(t, err) != "turn" {
		t.Errorf("an earlier one ran beside the one under way: %v", err)
	}
	if err := s.Move(t.Context(), c.Task, task.Failed, task.Change{}); err != nil {
		t.Fatal(err)
	}
	claim(t, s, earlier.ID)
}

func TestAStaleClaimWritesNothing(t *testing.T) {
	s, server := open(t)
	other := connect(t, server)
	linkNode(t, s, 1)
	sp := spec(1)
	create(t, s, sp)
	mine := claim(t, s, sp.ID)
	if _, err := other.Claim(t.Context(), sp.ID); why(t, err) != "busy" {
		t.Errorf("claimed under a live lease: %v", err)
	}
	if err := s.Starve(t.Context(), mine.Task, time.Hour, task.Change{}); err != nil {
		t.Fatal(err)
	}
	theirs := claim(t, other, sp.ID)
	if theirs.Epoch != mine.Epoch+1 {
		t.Errorf("epoch %d after %d", theirs.Epoch, mine.Epoch)
	}
	for what, err := range map[string]error{
		"move":  s.Move(t.Context(), mine.Task, task.Failed, task.Change{}),
		"renew": s.Renew(t.Context(), mine.Task),
		"place": s.Place(t.Context(), mine.Task, "local", task.Command{Kind: task.CommandStart}, task.Change{}),
	} {
		if !errors.Is(err, task.ErrStale) {
			t.Errorf("%s by a stale claim: %v", what, err)
		}
	}
	if got := read(t, s, sp.ID); got.State != task.Placing || got.Waits != "" {
		t.Errorf("a stale claim wrote: %+v", got)
	}
}

func TestAMoveThatIsNotInTheTableIsRefused(t *testing.T) {
	s, _ := open(t)
	create(t, s, spec(1))
	c := claim(t, s, spec(1).ID)
	var illegal task.MoveError
	if err := s.Move(t.Context(), c.Task, task.Succeeded, task.Change{}); !errors.As(err, &illegal) {
		t.Errorf("placing to succeeded: %v", err)
	}
}

func TestANodeTakesNoMoreThanItsSlotsAndOneAccount(t *testing.T) {
	s, _ := open(t)
	linkNode(t, s, 1)
	placed(t, s, spec(1))
	elsewhere := spec(2)
	elsewhere.Thread, elsewhere.Number = task.IssueThread(7, 2), 2
	create(t, s, elsewhere)
	c := claim(t, s, elsewhere.ID)
	start := task.Command{Kind: task.CommandStart, Task: c.ID, Epoch: c.Epoch}
	if err := s.Place(t.Context(), c.Task, "local", start, task.Change{}); !errors.Is(err, task.ErrFull) {
		t.Errorf("a second task on one slot: %v", err)
	}
	nodes, err := s.Nodes(t.Context())
	if err != nil || len(nodes) != 1 || nodes[0].Account != 5 || nodes[0].Free() != 0 || nodes[0].Seen.IsZero() {
		t.Fatalf("nodes %+v, %v", nodes, err)
	}
	stranger := c.Task
	stranger.Account = 6
	linkNode(t, s, 9)
	if err := s.Place(t.Context(), stranger, "local", start, task.Change{}); !errors.Is(err, task.ErrFull) {
		t.Errorf("another account's task: %v", err)
	}
}

func TestWhatComesOverAnOlderLinkOfANodeWritesNothing(t *testing.T) {
	s, _ := open(t)
	linkNode(t, s, 1)
	state := func(want task.NodeState) {
		t.Helper()
		if nodes, err := s.Nodes(t.Context()); err != nil || len(nodes) != 1 || nodes[0].State != want {
			t.Errorf("nodes %+v, %v; want one that is %s", nodes, err, want)
		}
	}
	older, err := s.NodeLinked(t.Context(), task.Node{Name: "local", Slots: 1})
	if err != nil {
		t.Fatal(err)
	}
	newer, err := s.NodeLinked(t.Context(), task.Node{Name: "local", Slots: 1}) // by another replica
	if err != nil || newer <= older {
		t.Fatalf("link %d after %d, %v", newer, older, err)
	}
	if err := s.NodeUnlinked(t.Context(), "local", older); !errors.Is(err, task.ErrStale) {
		t.Errorf("the end of the older link: %v", err)
	}
	state(task.NodeReady)
	if err := s.NodeUnlinked(t.Context(), "local", newer); err != nil {
		t.Fatal(err)
	}
	if err := s.NodeBeat(t.Context(), "local", older, task.Vitals{}, nil); !errors.Is(err, task.ErrStale) {
		t.Errorf("a beat over the older link: %v", err)
	}
	state(task.NodeLost)
	if err := s.NodeBeat(t.Context(), "local", newer, task.Vitals{}, nil); err != nil {
		t.Errorf("a beat over the newest link: %v", err)
	}
	state(task.NodeReady)
}

func TestEventsAreStoredOnceInOrderWithoutGaps(t *testing.T) {
	s, _ := open(t)
	linkNode(t, s, 1)
	p := placed(t, s, spec(1))
	add := func(want int64, seqs ...int64) {
		t.Helper()
		var run []task.Numbered
		for _, seq := range seqs {
			run = append(run, event(t, seq))
		}
		last, err := s.AppendEvents(t.Context(), p.ID, p.Epoch, "local", run)
		if err != nil || last != want {
			t.Errorf("append %v: %d, %v; want %d", seqs, last, err, want)
		}
	}
	add(2, 1, 2)
	add(3, 1, 2, 3) // sent again after a lost acknowledgement
	add(3, 5)       // too early
	add(5, 4, 5)
	events, err := s.Events(t.Context(), p.ID, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var seqs []int64
	for _, e := range events {
		seqs = append(seqs, e.Seq)
	}
	if !slices.Equal(seqs, []int64{1, 2, 3, 4, 5}) {
		t.Errorf("stored %v", seqs)
	}
	if rest, err := s.Events(t.Context(), p.ID, 3, 1); err != nil || len(rest) != 1 || rest[0].Seq != 4 {
		t.Errorf("after 3: %v, %v", rest, err)
	}
	for name, try := range map[string]struct {
		epoch int64
		node  string
	}{"an older epoch": {p.Epoch - 1, "local"}, "another node": {p.Epoch, "elsewhere"}} {
		if _, err := s.AppendEvents(t.Context(), p.ID, try.epoch, try.node, []task.Numbered{event(t, 6)}); !errors.Is(err, task.ErrStale) {
			t.Errorf("%s appended: %v", name, err)
		}
	}
}

func TestProgressTakesATaskFromPreparingToItsEnd(t *testing.T) {
	s, _ := open(t)
	linkNode(t, s, 1)
	p := placed(t, s, spec(1))
	note := func(pr task.Progress) {
		t.Helper()
		if err := s.NoteProgress(t.Context(), p, p.Epoch, pr, []task.Effect{task.StatusEffect(p.Spec)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Claim(t.Context(), p.ID); why(t, err) != "busy" {
		t.Errorf("claimed while its node works: %v", err)
	}
	note(task.Progress{Started: true})
	note(task.Progress{Spoke: true})
	if got := read(t, s, p.ID); got.State != task.Running || got.FirstEvent.IsZero() {
		t.Errorf("after the agent's first event: %+v", got)
	}
	if err := s.RecordPush(t.Context(), p.ID, p.Epoch, "sam/issue-1", "abc"); err != nil {
		t.Fatal(err)
	}
	if err := s.RecordPush(t.Context(), p.ID, p.Epoch, "main", "abc"); !errors.Is(err, task.ErrStale) {
		t.Errorf("a push to another branch was recorded: %v", err)
	}
	for _, begun := range []string{"def", ""} { // "": what was recorded is begun no more
		if begun == "" {
			if err := s.RecordPush(t.Context(), p.ID, p.Epoch, "sam/issue-1", "abc"); err != nil {
				t.Fatal(err)
			}
		} else if err := s.BeginPush(t.Context(), p.ID, p.Epoch, "sam/issue-1", begun); err != nil {
			t.Fatal(err)
		}
		if got := read(t, s, p.ID); got.Pushing != begun || got.Head != "abc" {
			t.Errorf("pushing %q with head %q, want %q", got.Pushing, got.Head, begun)
		}
	}
	note(task.Progress{End: &task.End{Outcome: task.Done, Headline: "Limit uploads"}})
	c := claim(t, s, p.ID)
	if c.State != task.Publishing || c.End == nil || c.End.Headline != "Limit uploads" || c.Head != "abc" {
		t.Fatalf("claimed %+v", c)
	}
	if nodes, err := s.Nodes(t.Context()); err != nil || len(nodes[0].Tasks) != 0 {
		t.Errorf("the node still has %+v, %v", nodes, err)
	}
	if err := s.NoteProgress(t.Context(), p, p.Epoch, task.Progress{End: &task.End{Outcome: task.Died}}, nil); !errors.Is(err, task.ErrStale) {
		t.Errorf("the node spoke after its end: %v", err)
	}
	if err := s.Move(t.Context(), c.Task, task.Succeeded, task.Change{Fields: map[task.Field]string{task.FieldPull: "2"}}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, p.ID); got.State != task.Succeeded || got.Pull != 2 {
		t.Errorf("ended as %+v", got)
	}
	if _, err := s.Claim(t.Context(), p.ID); why(t, err) != "final" {
		t.Errorf("claimed after its end: %v", err)
	}
	told := commands(t, s, 2)
	if len(told) != 2 || told[0].Kind != task.CommandStart || told[1].Kind != task.CommandDrop {
		t.Errorf("the node was told %v", told)
	}
}

func TestALostAttemptIsLeftForTheRunnerToPlaceAgain(t *testing.T) {
	s, _ := open(t)
	linkNode(t, s, 1)
	p := placed(t, s, spec(1))
	if err := s.NoteProgress(t.Context(), p, p.Epoch, task.Progress{Started: true, End: &task.End{Outcome: task.Lost}}, nil); err != nil {
		t.Fatal(err)
	}
	c := claim(t, s, p.ID)
	if c.State != task.Running || c.End.Outcome != task.Lost || c.Attempts != 1 {
		t.Errorf("claimed %+v", c)
	}
}

func TestAConfirmedCommandIsNotSentAgain(t *testing.T) {
	s, _ := open(t)
	for _, id := range []task.ID{"tone", "ttwo"} {
		if err := s.Command(t.Context(), "local", task.Command{Kind: task.CommandStop, Task: id, Epoch: 1}); err != nil {
			t.Fatal(err)
		}
	}
	first := commands(t, s, 1)
	if err := s.ConfirmCommand(t.Context(), "local", first[0].ID); err != nil {
		t.Fatal(err)
	}
	if rest := commands(t, s, 1); len(rest) != 1 || rest[0].Task != "ttwo" {
		t.Errorf("after the first was confirmed: %v", rest)
	}
}
