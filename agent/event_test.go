package agent

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sam/task"
)

func TestALineOfTheAgentsThatIsNoJSONIsLeftOut(t *testing.T) {
	t.Parallel()
	data, err := encode(task.Event{Seq: 1, Kind: task.Said, Text: "hello", Raw: json.RawMessage(`{"a`)})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := task.ParseEvent(data); err != nil || e.Raw != nil || e.Cut != 3 || e.Text != "hello" {
		t.Errorf("it became %s, %v", data, err)
	}
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
