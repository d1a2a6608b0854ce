package agent

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"sam/task"
)

func TestAnEventIsCutWhereItsReaderMissesLeast(t *testing.T) {
	t.Parallel()
	long := "begin" + strings.Repeat("é", task.MaxEvent) + "end"
	for _, row := range []struct {
		name string
		e    task.Event
		ok   func(task.Event) bool
	}{
		{"the agent's own line goes first", task.Event{Kind: task.Said, Text: "hello", Raw: json.RawMessage(`"` + long + `"`)},
			func(e task.Event) bool { return e.Raw == nil && e.Text == "hello" && e.Cut == len(long)+2 }},
		{"a tool's output keeps its end", task.Event{Kind: task.ToolFinished, Tool: &task.Tool{ID: "1", Output: long, Diff: "diff"}},
			func(e task.Event) bool { return strings.HasSuffix(e.Tool.Output, "éend") && e.Tool.Diff == "diff" }},
		{"a diff keeps its head", task.Event{Kind: task.ToolFinished, Tool: &task.Tool{ID: "1", Diff: long}},
			func(e task.Event) bool { return strings.HasPrefix(e.Tool.Diff, "beginé") }},
		{"a text keeps its head", task.Event{Kind: task.Said, Text: long},
			func(e task.Event) bool { return strings.HasPrefix(e.Text, "beginé") }},
		{"a summary keeps its head, and the outcome stays", task.Event{Kind: task.Finished, End: &task.End{Outcome: task.Done, Summary: long}},
			func(e task.Event) bool {
				return strings.HasPrefix(e.End.Summary, "beginé") && e.End.Outcome == task.Done
			}},
		{"what is no JSON is not kept", task.Event{Kind: task.Said, Text: "hello", Raw: json.RawMessage(`{"a`)},
			func(e task.Event) bool { return e.Raw == nil && e.Cut == 3 }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.e.Seq = 1
			data, err := encode(row.e)
			if err != nil {
				t.Fatal(err)
			}
			e, err := task.ParseEvent(data)
			if err != nil {
				t.Fatal(err)
			}
			if !row.ok(e) || e.Cut == 0 {
				t.Errorf("it became %.200s…, cut %d", data, e.Cut)
			}
			if len(row.e.Raw) == 0 && len(data) < task.MaxEvent-100 {
				t.Errorf("%d bytes are left, more than needed was cut", len(data))
			}
		})
	}
}

func TestAnyEventFitsAndStaysWhole(t *testing.T) {
	t.Parallel()
	text := rapid.Custom(func(t *rapid.T) string {
		unit := rapid.SampledFrom([]string{"a", "é", "漢", "😀", "\"", "\x00", "<", "\xff", "\n"}).Draw(t, "unit")
		return strings.Repeat(unit, rapid.SampledFrom([]int{0, 1, 100, 20_000, 70_000}).Draw(t, "length"))
	})
	rapid.Check(t, func(t *rapid.T) {
		e := task.Event{Seq: 1, Kind: task.ToolFinished, Text: text.Draw(t, "text"), Tool: &task.Tool{
			ID: "1", Title: text.Draw(t, "title"), Output: text.Draw(t, "output"), Diff: text.Draw(t, "diff"),
		}}
		before := *e.Tool
		data, err := encode(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := task.ParseEvent(data)
		if err != nil {
			t.Fatal(err)
		}
		if *e.Tool != before {
			t.Fatal("the caller's event was changed")
		}
		if !utf8.Valid(data) {
			t.Fatal("it is not UTF-8")
		}
		kept := len(got.Text) + len(got.Tool.Title) + len(got.Tool.Output) + len(got.Tool.Diff)
		all := len(e.Text) + len(e.Tool.Title) + len(e.Tool.Output) + len(e.Tool.Diff)
		if !strings.Contains(e.Text+e.Tool.Title+e.Tool.Output+e.Tool.Diff, "\xff") && kept+got.Cut != all {
			t.Fatalf("of %d bytes %d are kept and %d are said to be cut", all, kept, got.Cut)
		}
	})
}

func TestLinesAreHandedOnWholeHoweverTheyCome(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([a-z]{0,12}\n){0,8}[a-z]{0,12}`).Draw(t, "text")
		var want, got []string
		whole := strings.Split(text, "\n")
		for _, line := range whole[:len(whole)-1] {
			want = append(want, line[:min(len(line), 8)])
		}
		if rest := whole[len(whole)-1]; len(rest) > 8 {
			want = append(want, rest[:8])
		}
		l := &lines{max: 8, each: func(line []byte, long bool) { got = append(got, string(line)) }}
		for len(text) > 0 {
			n := rapid.IntRange(1, len(text)).Draw(t, "n")
			if _, err := l.Write([]byte(text[:n])); err != nil {
				t.Fatal(err)
			}
			text = text[n:]
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}
