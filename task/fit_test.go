package task_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"sam/task"
)

func TestAnEventIsCutWhereItsReaderMissesLeast(t *testing.T) {
	long := "begin" + strings.Repeat("é", task.MaxEvent) + "end"
	for name, row := range map[string]struct {
		e  task.Event
		ok func(task.Event) bool
	}{
		"the agent's own line goes first": {task.Event{Kind: task.Said, Text: "hello", Raw: json.RawMessage(`"` + long + `"`)},
			func(e task.Event) bool { return e.Raw == nil && e.Text == "hello" && e.Cut == len(long)+2 }},
		"a tool's output keeps its end": {task.Event{Kind: task.ToolFinished, Tool: &task.Tool{ID: "1", Output: long, Diff: "diff"}},
			func(e task.Event) bool { return strings.HasSuffix(e.Tool.Output, "éend") && e.Tool.Diff == "diff" }},
		"a diff keeps its head": {task.Event{Kind: task.ToolFinished, Tool: &task.Tool{ID: "1", Diff: long}},
			func(e task.Event) bool { return strings.HasPrefix(e.Tool.Diff, "beginé") }},
		"a text keeps its head": {task.Event{Kind: task.Said, Text: long},
			func(e task.Event) bool { return strings.HasPrefix(e.Text, "beginé") }},
		"a plan keeps its first items": {task.Event{Kind: task.Planned, Plan: []task.PlanItem{{Text: "look"}, {Text: long}}},
			func(e task.Event) bool { return len(e.Plan) == 1 && e.Plan[0].Text == "look" }},
		"a summary keeps its head, and the outcome stays": {task.Event{Kind: task.Finished, End: &task.End{Outcome: task.Done, Summary: long}},
			func(e task.Event) bool {
				return strings.HasPrefix(e.End.Summary, "beginé") && e.End.Outcome == task.Done
			}},
	} {
		for _, size := range []int{task.MaxEvent, task.MaxHead} {
			row.e.Seq = 1
			data, err := task.Fit(row.e, size)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			e, err := task.ParseEvent(data)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !row.ok(e) || e.Cut == 0 && row.e.Kind != task.Planned {
				t.Errorf("%s: it became %.200s…, cut %d", name, data, e.Cut)
			}
			if len(row.e.Raw) == 0 && row.e.Kind != task.Planned && len(data) < size-100 {
				t.Errorf("%s: %d bytes are left, more than needed was cut", name, len(data))
			}
		}
	}
}

func TestAnyEventFitsAndStaysWhole(t *testing.T) {
	text := rapid.Custom(func(t *rapid.T) string {
		unit := rapid.SampledFrom([]string{"a", "é", "漢", "😀", "\"", "\x00", "<", "\xff", "\n"}).Draw(t, "unit")
		return strings.Repeat(unit, rapid.SampledFrom([]int{0, 1, 100, 20_000, 70_000}).Draw(t, "length"))
	})
	rapid.Check(t, func(t *rapid.T) {
		e := task.Event{Seq: 1, Kind: task.ToolFinished, Text: text.Draw(t, "text"), Tool: &task.Tool{
			ID: "1", Title: text.Draw(t, "title"), Output: text.Draw(t, "output"), Diff: text.Draw(t, "diff"),
		}}
		before := *e.Tool
		size := rapid.SampledFrom([]int{task.MaxEvent, task.MaxHead}).Draw(t, "size")
		data, err := task.Fit(e, size)
		if err != nil {
			t.Fatal(err)
		}
		got, err := task.ParseEvent(data)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > size || !utf8.Valid(data) {
			t.Fatalf("%d bytes of at most %d, valid %v", len(data), size, utf8.Valid(data))
		}
		if *e.Tool != before {
			t.Fatal("the caller's event was changed")
		}
		kept := len(got.Text) + len(got.Tool.Title) + len(got.Tool.Output) + len(got.Tool.Diff)
		all := len(e.Text) + len(e.Tool.Title) + len(e.Tool.Output) + len(e.Tool.Diff)
		if !strings.Contains(e.Text+e.Tool.Title+e.Tool.Output+e.Tool.Diff, "\xff") && kept+got.Cut != all {
			t.Fatalf("of %d bytes %d are kept and %d are said to be cut", all, kept, got.Cut)
		}
	})
}

func TestAnEventThatHasNothingToCutIsAnError(t *testing.T) {
	if _, err := task.Fit(task.Event{Seq: 9, Kind: task.ToolStarted, Tool: &task.Tool{ID: strings.Repeat("x", 9000)}}, task.MaxHead); err == nil ||
		!strings.Contains(err.Error(), "event 9") {
		t.Errorf("a tool's id of 9,000 bytes: %v", err)
	}
}
