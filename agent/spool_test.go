package agent

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sam/agent/wire"
	"sam/task"
)

func said(text string) task.Event { return task.Event{Kind: task.Said, Text: text} }

func openTestSpools(t failing, dir string) *spools {
	t.Helper()
	set, err := openSpools(dir)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return set
}

// take reads what is to be sent, a batch at a time.
func take(t failing, s *spool, limit int) []task.Event {
	t.Helper()
	items, err := s.batch(limit)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var events []task.Event
	for _, item := range items {
		e, err := task.ParseEvent(item)
		if err != nil {
			t.Fatalf("%v: %s", err, item)
		}
		events = append(events, e)
	}
	return events
}

var testRef = wire.Ref{Task: "tspool", Epoch: 2}

func TestASpoolGoesOnAfterTheEventsThatAreStored(t *testing.T) {
	t.Parallel()
	set := openTestSpools(t, t.TempDir())
	defer set.close()
	s, err := set.create(testRef, 40)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a", "b", "c"} {
		if err := s.append(said(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got := take(t, s, 1<<20); len(got) != 3 || got[0].Seq != 41 || got[2].Text != "c" {
		t.Fatalf("got %+v", got)
	}
	if err := s.resume(42, lostWith()); err != nil {
		t.Fatal(err)
	}
	if got := take(t, s, 1<<20); len(got) != 1 || got[0].Seq != 43 {
		t.Errorf("after 42 it goes on with %+v", got)
	}
}

func TestNothingFollowsTheEndOfAnAttempt(t *testing.T) {
	t.Parallel()
	set := openTestSpools(t, t.TempDir())
	defer set.close()
	s, err := set.create(testRef, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.append(finished(task.End{Outcome: task.Done})); err != nil {
		t.Fatal(err)
	}
	for _, e := range []task.Event{said("more"), finished(task.End{Outcome: task.Died})} {
		if err := s.append(e); !errors.Is(err, errEnded) {
			t.Errorf("%s after the end: %v", e.Kind, err)
		}
	}
}

func TestADroppedSpoolIsGoneAndTakesNothing(t *testing.T) {
	t.Parallel()
	set := openTestSpools(t, t.TempDir())
	defer set.close()
	s, err := set.create(testRef, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(set.drop(testRef), set.drop(testRef)); err != nil {
		t.Fatal(err)
	}
	if err := s.append(said("late")); !errors.Is(err, errDropped) {
		t.Errorf("it took an event: %v", err)
	}
	if left, err := os.ReadDir(set.dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v %v", left, err)
	}
}

func TestASpoolSurvivesACrashInTheMiddleOfALine(t *testing.T) {
	t.Parallel()
	for _, torn := range []string{"", `{"seq":3,"ki`, "\x00\x00\x00\n", `{"seq":9,"kind":"said","text":"not the next"}` + "\n"} {
		t.Run(strconv.Quote(torn), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			set := openTestSpools(t, dir)
			s, err := set.create(testRef, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.append(said("a")), s.append(said("b"))); err != nil {
				t.Fatal(err)
			}
			set.close()
			file, err := os.OpenFile(filepath.Join(dir, spoolName(testRef)), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := file.WriteString(torn); err != nil {
				t.Fatal(err)
			}
			_ = file.Close()

			set = openTestSpools(t, dir)
			defer set.close()
			s = set.get(testRef)
			if err := s.resume(1, lostWith()); err != nil {
				t.Fatal(err)
			}
			got := take(t, s, 1<<20)
			if len(got) != 2 || got[0].Text != "b" || got[1].Seq != 3 || got[1].End == nil || got[1].End.Outcome != task.Lost {
				t.Errorf("it goes on with %+v", got)
			}
		})
	}
}

func TestASpoolThatWasNotBegunIsNothing(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", `{"spool":1,"af`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, spoolName(testRef)), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		set := openTestSpools(t, dir)
		if refs := set.refs(); len(refs) > 0 {
			t.Errorf("%q counts as %v", content, refs)
		}
		set.close()
	}
}

// A machine, not only a process, that crashes may lose the end of a file that the gateway has seen.
func TestTheEndOfALostAttemptComesAfterWhatTheGatewayHas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set := openTestSpools(t, dir)
	s, err := set.create(testRef, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.append(said("a")); err != nil {
		t.Fatal(err)
	}
	set.close()
	for range 2 { // and again, should the node restart before that is sent
		set = openTestSpools(t, dir)
		s = set.get(testRef)
		if err := s.resume(5, lostWith()); err != nil {
			t.Fatal(err)
		}
		if got := take(t, s, 1<<20); len(got) != 1 || got[0].Seq != 6 || got[0].End == nil {
			t.Errorf("got %+v", got)
		}
		set.close()
	}
}

func TestABatchIsCutToFit(t *testing.T) {
	t.Parallel()
	set := openTestSpools(t, t.TempDir())
	defer set.close()
	s, err := set.create(testRef, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		if err := s.append(said(strings.Repeat("<", 2*task.MaxEvent))); err != nil {
			t.Fatal(err)
		}
	}
	total := 0
	for {
		items, err := s.batch(usualPace().batch)
		if err != nil {
			t.Fatal(err)
		}
		if len(items) == 0 {
			break
		}
		total += len(items)
		data, err := json.Marshal(wire.Frame{Type: wire.TypeEvents, Events: &wire.Events{Ref: s.ref, Items: items}})
		if err != nil || len(data) > wire.MaxFrame {
			t.Errorf("a frame has %d bytes: %v", len(data), err)
		}
	}
	if total != 60 {
		t.Errorf("%d events came", total)
	}
}

// Any run of appends, sends, broken links, lazy acknowledgements and restarts gives the gateway each event once, in order.
func TestWhateverBreaksEachEventArrivesOnceInOrder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		dir := filepath.Join(root, strconv.Itoa(run))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		set := openTestSpools(t, dir)
		after := int64(rapid.IntRange(0, 3).Draw(t, "after"))
		s, err := set.create(testRef, after)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { set.close() }()
		var written, stored []string // by number
		receive := func(events []task.Event, keep int) {
			for _, e := range events[:keep] {
				if want := after + int64(len(stored)) + 1; e.Seq != want {
					t.Fatalf("number %d came, not %d", e.Seq, want)
				}
				stored = append(stored, e.Text)
				if (e.Text == "") != (e.Kind == task.Finished) {
					t.Fatalf("got %+v", e)
				}
			}
		}
		acked := after
		relink := func() {
			acked = after + int64(len(stored))
			if err := s.resume(after+int64(len(stored)), lostWith()); err != nil {
				t.Fatal(err)
			}
		}
		restarted := false
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				if restarted {
					if err := s.append(said("late")); !errors.Is(err, errEnded) {
						t.Fatalf("after the end of the attempt it is taken: %v", err)
					}
					return
				}
				text := strings.Repeat(strconv.Itoa(len(written)), rapid.SampledFrom([]int{1, 10, 30_000}).Draw(t, "size"))
				written = append(written, text)
				if err := s.append(said(text)); err != nil {
					t.Fatal(err)
				}
			},
			"send": func(t *rapid.T) {
				events := take(t, s, rapid.SampledFrom([]int{1, 100_000}).Draw(t, "limit"))
				receive(events, len(events))
			},
			"break in the middle of sending": func(t *rapid.T) {
				events := take(t, s, 1<<20)
				receive(events, rapid.IntRange(0, len(events)).Draw(t, "kept"))
				relink()
			},
			"acknowledge": func(t *rapid.T) {
				upTo := after + int64(rapid.IntRange(0, len(stored)).Draw(t, "up to"))
				if err := s.ack(upTo); (err != nil) != (upTo < acked) {
					t.Fatalf("%d after %d: %v", upTo, acked, err)
				}
				acked = max(acked, upTo)
			},
			"lose what was stored": func(*rapid.T) {
				stored = stored[:rapid.IntRange(0, len(stored)).Draw(t, "left")]
				relink()
			},
			"restart": func(t *rapid.T) {
				set.close()
				set = openTestSpools(t, dir)
				s, restarted = set.get(testRef), true
				relink()
			},
		})
		for {
			events := take(t, s, 1<<20)
			if len(events) == 0 {
				break
			}
			receive(events, len(events))
		}
		if restarted {
			written = append(written, "")
		}
		if strings.Join(stored, "|") != strings.Join(written, "|") {
			t.Fatalf("%d events were written, %d are stored", len(written), len(stored))
		}
	})
}
