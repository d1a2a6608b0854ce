package dashboard

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sam/task"
)

// Run with -update to write the golden file anew.
var update = flag.Bool("update", false, "write the golden files")

func rendering(t testing.TB) *render {
	t.Helper()
	assets, err := loadAssets()
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRender(assets)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *render) shown(t testing.TB, n task.Numbered, full bool) string {
	t.Helper()
	words, err := r.execute("event", r.view("tabc", n, full))
	if err != nil {
		t.Fatal(err)
	}
	return string(words)
}

const unified = `diff --git a/upload.go b/upload.go
--- a/upload.go
+++ b/upload.go
@@ -12,3 +12,4 @@ func Routes()
 	mux := http.NewServeMux()
-	mux.HandleFunc("POST /upload", upload)
+	limit := newLimiter(10)
+	mux.Handle("POST /upload", limit.wrap(upload))
 	return mux
`

func TestEveryKindOfEventIsShown(t *testing.T) {
	zero, two := 0, 2
	at := time.Date(2026, 11, 23, 12, 30, 1, 0, time.UTC)
	events := []struct {
		name  string
		event task.Event
	}{
		{"a step", task.Event{Kind: task.Stepped, Step: &task.Step{Name: task.StepMirror, MS: 412, Note: "main at 9c81470a"}}},
		{"a step under way", task.Event{Kind: task.Stepped, Step: &task.Step{Name: task.StepEnvironment, MS: 41_000, Note: "building .devcontainer/Dockerfile: added 312 packages", UnderWay: true},
			Text: "Step 4/7 : RUN npm ci\n\x1b[32madded\x1b[0m 312 packages <script>alert(1)</script>\n"}},
		{"a step under way that has printed nothing", task.Event{Kind: task.Stepped, Step: &task.Step{Name: task.StepEnvironment, MS: 1000, Note: "postCreateCommand", UnderWay: true}}},
		{"words", task.Event{Kind: task.Said, Text: "I add a **limit**:\n\n- `429`\n- [why](https://example.com/)"}},
		{"a thought", task.Event{Kind: task.Thought, Text: "A *bucket* per client should do."}},
		{"a tool that starts", task.Event{Kind: task.ToolStarted, Tool: &task.Tool{ID: "c1", Name: "Bash", Title: "go test ./..."}}},
		{"a tool that ends well", task.Event{Kind: task.ToolFinished, Tool: &task.Tool{ID: "c1", Name: "Bash", Title: "go test ./...", Output: "\x1b[32mok\x1b[0m  \tquayside\n", Exit: &zero, MS: 1210}}},
		{"a tool that fails", task.Event{Kind: task.ToolFinished, Tool: &task.Tool{ID: "c2", Name: "Bash", Title: "false", Exit: &two, Failed: true, MS: 4}}},
		{"an edit", task.Event{Kind: task.ToolFinished, Tool: &task.Tool{ID: "c3", Name: "Edit", Title: "upload.go", Location: "upload.go:12", Diff: unified}}},
		{"what should be a diff and is none", task.Event{Kind: task.ToolFinished, Tool: &task.Tool{ID: "c4", Name: "Edit", Title: "x", Diff: "- <b>\n"}}},
		{"long output", task.Event{Kind: task.ToolFinished, Tool: &task.Tool{ID: "c5", Name: "Bash", Title: "yes", Output: strings.Repeat("y\n", 9000), Exit: &zero}, Cut: 10_000_000}},
		{"a plan", task.Event{Kind: task.Planned, Plan: []task.PlanItem{{Text: "look", Status: "done"}, {Text: "write", Status: "active"}, {Text: "test", Status: "pending"}}}},
		{"a question", task.Event{Kind: task.Asked, Text: "MIT or Apache?"}},
		{"an answer", task.Event{Kind: task.Answered, Text: "Apache"}},
		{"a retry", task.Event{Kind: task.Retried, Text: "529 overloaded"}},
		{"a host that was refused", task.Event{Kind: task.Noticed, Notice: &task.Notice{Code: "host_refused", Subject: "static.example.org:443"},
			Text: "static.example.org:443 was refused: the host is not listed, and this server's network policy admits listed ones only. If the task needs it, whoever runs the server can add static.example.org to network.allow."}},
		{"a refused host with a hostile name", task.Event{Kind: task.Noticed, Notice: &task.Notice{Code: "host_refused", Subject: "<script>alert(1)</script>\u202egro.ipyp:443"},
			Text: "<img src=x onerror=alert(1)>:443 was refused: its name is none. Ask for a host by its name, as host:port."}},
		{"a notice without a subject", task.Event{Kind: task.Noticed, Notice: &task.Notice{Code: "host_refused"}, Text: "More than 50 hosts were refused in this attempt. Those after them are not told."}},
		{"an environment that failed", task.Event{Kind: task.Noticed, Notice: &task.Notice{Code: "devcontainer_failed", Subject: "devcontainer.json"},
			Text: "Build .devcontainer/Dockerfile: it ended with exit code 3.\n\nThe end of its log:\n\n```\nStep 3/3 : RUN make\n```\nAll is well. <b>\n\x1b[31mno such target\x1b[0m\n```\n\n\nThe work goes on in the node's default image."}},
		{"a notice of a later release", task.Event{Kind: task.Noticed, Notice: &task.Notice{Code: "disk_<b>full", Subject: "/workspace"}, Text: "The disk is full."}},
		{"usage", task.Event{Kind: task.Used, Usage: &task.Usage{Model: "claude-sonnet-4-5", Input: 1234, Output: 56, CacheRead: 51_200, MicroUSD: 61_200}}},
		{"a good end", task.Event{Kind: task.Finished, End: &task.End{Outcome: task.Done, Headline: "Limit uploads"}}},
		{"a bad end", task.Event{Kind: task.Finished, End: &task.End{Outcome: task.Died, Reason: "The process was killed."}}},
		{"a feature that is not there", task.Event{Kind: task.Noticed, Notice: &task.Notice{Code: "devcontainer_left_out", Subject: "features.lint"}, Text: "The feature lint is left out."}},
	}
	r := rendering(t)
	var b strings.Builder
	for i, e := range events {
		e.event.Seq, e.event.At = int64(i+1), at
		fmt.Fprintf(&b, "<!-- %s -->\n%s\n\n", e.name, r.shown(t, encoded(t, e.event), false))
	}
	for i, odd := range []string{`{"seq":16,"kind":"sang","text":"<la>"}`, `not JSON <script>`, `{"seq":18,"kind":"said"}`} {
		fmt.Fprintf(&b, "<!-- of another release: %d -->\n%s\n\n", i+1, r.shown(t, task.Numbered{Seq: int64(len(events) + 1 + i), JSON: []byte(odd)}, false))
	}
	golden := filepath.Join("testdata", "events.html")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	got, wanted := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(got), len(wanted)) {
		if got[i] != wanted[i] {
			t.Fatalf("%s:%d is\n%s\nwant\n%s", golden, i+1, got[i], wanted[i])
		}
	}
	if len(got) != len(wanted) {
		t.Fatalf("%s has %d lines, want %d", golden, len(got), len(wanted))
	}
}

func TestANoticeShowsTheEndOfWhatWasPrinted(t *testing.T) {
	lines := strings.Repeat("Get:1 a package that was fetched\n", 600)
	e := encoded(t, task.Event{Seq: 1, At: time.Unix(0, 0), Kind: task.Noticed, Notice: &task.Notice{Code: "devcontainer_failed", Subject: "postCreateCommand"},
		Text: "It failed.\n\nIts last words:\n\n```\nthe first line\n" + lines + "the cause of it\n```\n\nMend it."})
	r := rendering(t)
	short := r.shown(t, e, false)
	for _, want := range []string{"It failed. Its last words: Mend it.", "the cause of it", "Show all of it"} {
		if !strings.Contains(short, want) {
			t.Errorf("the page does not show %q:\n%s", want, short)
		}
	}
	if strings.Contains(short, "the first line") || strings.Contains(short, "```") {
		t.Errorf("the page shows the beginning, or the fence:\n%s", short)
	}
	if whole := r.view("t1", e, true); whole.Left != 0 || !strings.Contains(string(whole.HTML), "the first line") {
		t.Errorf("the event's own page leaves something out: %d bytes, %s", whole.Left, whole.HTML)
	}
}

func TestAToolThatStartedIsShownUntilItsEndIs(t *testing.T) {
	begin := func(id string) eventView {
		return eventView{Kind: task.ToolStarted, Tool: &toolView{Tool: task.Tool{ID: id}}, Fate: "open"}
	}
	end := func(id string) eventView {
		return eventView{Kind: task.ToolFinished, Tool: &toolView{Tool: task.Tool{ID: id}}}
	}
	over := eventView{Kind: task.Finished}
	for name, c := range map[string]struct {
		views []eventView
		open  bool
		want  string
	}{
		"under way":                       {[]eventView{begin("1")}, true, "open"},
		"ended":                           {[]eventView{begin("1"), end("1")}, true, "settled -"},
		"two at a time":                   {[]eventView{begin("1"), begin("2"), end("1")}, true, "settled open -"},
		"the task is over":                {[]eventView{begin("1")}, false, "left"},
		"the attempt is over":             {[]eventView{begin("1"), over, begin("1")}, true, "left - open"},
		"an id again in a second attempt": {[]eventView{begin("1"), end("1"), over, begin("1"), end("1")}, true, "settled - - settled -"},
		"an end without a beginning":      {[]eventView{end("1"), begin("1")}, true, "- open"},
	} {
		settle(c.views, c.open)
		var fates []string
		for _, v := range c.views {
			if v.Fate == "" {
				v.Fate = "-"
			}
			fates = append(fates, v.Fate)
		}
		if got := strings.Join(fates, " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
