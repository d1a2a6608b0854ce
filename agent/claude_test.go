package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sam/agent/wire"
	"sam/sandbox/model"
	"sam/sandbox/seed"
	"sam/task"
)

// claudeBox is a process workspace whose way to a model and whose agents are the test's.
type claudeBox struct {
	*processWorkspace
	broker, agents string
}

func (b *claudeBox) Broker() string { return b.broker }
func (b *claudeBox) Agents() string { return b.agents }

// newClaudeBox makes a workspace in which Claude Code is a program of the test's.
func newClaudeBox(t *testing.T, program string) (*claudeBox, claudeDriver) {
	t.Helper()
	b := &claudeBox{processWorkspace: newTestWorkspace(t), agents: t.TempDir()}
	folder := filepath.Join(b.agents, claudeRelease().folder)
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "claude"), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	return b, newClaudeDriver(b.agents)
}

// claudeStart is what the driver is told in each of these tests.
func claudeStart(prompt string) wire.Start {
	return wire.Start{Ref: wire.Ref{Task: "tclaude", Epoch: 3}, Prompt: prompt, Agent: "claude", Token: claudeToken}
}

// claudeToken is long and odd: Claude Code blanks its key wherever it occurs in what it says.
const claudeToken = "wVq3Jx0-Zk9s_TaskToken-41mB7"

// ran is what a run of the driver came to.
type ran struct {
	events []task.Event
	end    task.End
	err    error
}

func runClaude(ctx context.Context, d claudeDriver, w Workspace, prompt string) ran {
	var r ran
	r.end, r.err = d.Run(ctx, w, claudeStart(prompt), func(e task.Event) error {
		if _, err := encode(e); err != nil {
			return err
		}
		r.events = append(r.events, e)
		return nil
	}, nil)
	return r
}

func (r ran) of(kind task.Kind) []task.Event {
	return slices.DeleteFunc(slices.Clone(r.events), func(e task.Event) bool { return e.Kind != kind })
}

// kinds are the events' kinds in order, a run of the same one as one.
func (r ran) kinds() string {
	var all []string
	for _, e := range r.events {
		all = append(all, string(e.Kind))
	}
	return strings.Join(slices.Compact(all), " ")
}

// realClaude is a workspace with the demo repository, the pinned Claude Code and a model of ours; or the test is skipped,
// and says how to have it.
func realClaude(t *testing.T, key string) (*claudeBox, claudeDriver, *model.Server) {
	t.Helper()
	binary, err := filepath.Abs(filepath.Join("..", ".cache", "claude", "claude"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Skipf("NOT TESTED WITH THE REAL CLAUDE CODE: %v. Run `make tools`.", err)
	}
	b := &claudeBox{processWorkspace: newTestWorkspace(t), agents: t.TempDir()}
	if err := os.Symlink(filepath.Dir(binary), filepath.Join(b.agents, claudeRelease().folder)); err != nil {
		t.Fatal(err)
	}
	b.wait = patience{interrupt: 5 * time.Second, terminate: time.Second}
	b.env = append(b.env, "GOFLAGS=-trimpath -buildvcs=false")
	for name, text := range seed.Files() {
		if err := os.WriteFile(filepath.Join(b.tree, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"config", "user.name", "A Tester"}, {"config", "user.email", "tester@example.com"}, {"add", "-A"}, {"commit", "-qm", "Begin"},
	} {
		if _, err := output(t.Context(), b, append([]string{"git"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	scripted := model.New(model.Options{APIKey: key})
	server := httptest.NewServer(http.StripPrefix(wire.ModelPath+"tclaude/anthropic", scripted.Handler()))
	t.Cleanup(server.Close)
	t.Cleanup(scripted.Close)
	b.broker = server.URL
	return b, newClaudeDriver(b.agents), scripted
}

func TestClaudeCodeDoesTheWorkAndItsEventsTellHow(t *testing.T) {
	t.Parallel()
	b, d, scripted := realClaude(t, claudeToken)
	r := runClaude(t.Context(), d, b, "add rate limiting to /api/upload")
	if r.err != nil || r.end.Outcome != task.Done || r.end.Headline != "Uploads are rate limited now, per client" || !strings.Contains(r.end.Summary, "ratelimit.go") {
		t.Fatalf("%+v, %v\n%s", r.end, r.err, r.kinds())
	}
	if out, err := output(t.Context(), b, "git", "log", "--format=%s"); err != nil || !strings.HasPrefix(out, "Limit how fast") {
		t.Errorf("committed %q, %v", out, err)
	}
	if len(r.events) == 0 || r.events[0].Kind != task.Stepped || r.events[0].Step.Name != task.StepAgent {
		t.Errorf("begins with %+v", r.events[:min(1, len(r.events))])
	}
	if n, m := len(r.of(task.ToolStarted)), len(r.of(task.ToolFinished)); n != m || n < 8 {
		t.Errorf("%d tools started, %d finished", n, m)
	}
	told := scripted.Totals().Usage
	used := r.of(task.Used)
	if len(used) != 1 || used[0].Usage.Input != int64(told.Input) || used[0].Usage.Output != int64(told.Output) || used[0].Usage.MicroUSD == 0 {
		t.Errorf("used %+v, the model says %+v", used, told)
	}
}

func TestClaudeCodeThatAsksEndsWithTheQuestion(t *testing.T) {
	t.Parallel()
	b, d, _ := realClaude(t, claudeToken)
	r := runClaude(t.Context(), d, b, "scenario ask")
	asked := r.of(task.Asked)
	if len(asked) != 1 || !strings.Contains(asked[0].Text, "How many uploads a second") || !strings.Contains(asked[0].Text, "- 2 a second: ") {
		t.Errorf("asked %+v", asked)
	}
	if r.err != nil || r.end.Outcome != task.GaveUp || !strings.Contains(r.end.Reason, "How many uploads a second") {
		t.Errorf("%+v, %v", r.end, r.err)
	}
}

func TestARefusedModelKeyIsToldAsThat(t *testing.T) {
	t.Parallel()
	b, d, _ := realClaude(t, "another key")
	r := runClaude(t.Context(), d, b, "scenario noop")
	if r.err != nil || r.end.Outcome != task.Died || !strings.Contains(r.end.Reason, "refused the key (401)") {
		t.Errorf("%+v, %v", r.end, r.err)
	}
}

func TestRetriesOfTheModelAreEvents(t *testing.T) {
	t.Parallel()
	b, d, _ := realClaude(t, claudeToken)
	r := runClaude(t.Context(), d, b, "scenario limited")
	var told []string
	for _, e := range r.of(task.Retried) {
		told = append(told, e.Text)
	}
	if all := strings.Join(told, "\n"); r.end.Outcome != task.Done || len(told) != 2 || !strings.Contains(all, "429 (rate limit)") || !strings.Contains(all, "529 (overloaded)") {
		t.Errorf("%+v, %v, %q", r.end, r.err, told)
	}
}

func TestAModelThatHangsIsEndedByTheWatchdog(t *testing.T) {
	t.Parallel()
	b, d, _ := realClaude(t, claudeToken)
	d.silence = 3 * time.Second
	r := runClaude(t.Context(), d, b, "scenario hang")
	if r.err != nil || r.end.Outcome != task.Died || !strings.Contains(r.end.Reason, "gave no sign for 3s while it waited for the model") {
		t.Errorf("%+v, %v", r.end, r.err)
	}
}

// The answer takes longer than the watchdog's limit, and shows itself all along.
func TestALongAnswerIsNoSilence(t *testing.T) {
	t.Parallel()
	b, d, _ := realClaude(t, claudeToken)
	d.silence = 20 * time.Second // its start counts too
	if r := runClaude(t.Context(), d, b, "scenario slow 220"); r.err != nil || r.end.Outcome != task.Done {
		t.Errorf("%+v, %v", r.end, r.err)
	}
}

func TestClaudeCodeStopsWhenItIsInterrupted(t *testing.T) {
	t.Parallel()
	b, d, _ := realClaude(t, claudeToken)
	b.wait.interrupt = 30 * time.Second
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	enough := errors.New("stopped by a test")
	var asked time.Time
	_, err := d.Run(ctx, b, claudeStart("scenario slow 5000"), func(e task.Event) error {
		if e.Kind == task.Thought {
			asked = time.Now()
			cancel(enough)
		}
		return nil
	}, nil)
	if took := time.Since(asked); !errors.Is(err, enough) || took > b.wait.interrupt {
		t.Errorf("%v after %s: not by its own interrupt", err, took)
	}
}

// recordedClaude is a Claude Code that reads its prompt and says what the real one said once.
func recordedClaude(t *testing.T, name string) (*claudeBox, claudeDriver) {
	t.Helper()
	lines, err := filepath.Abs(filepath.Join("testdata", "claude", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return newClaudeBox(t, "#!/bin/sh\nread prompt\ncat "+lines+"\ncat >/dev/null\n")
}

func TestWhatClaudeCodeSaidOnceIsTranslatedAsItMeans(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		outcome task.Outcome
		says    string // in the summary or the reason
		kinds   string
	}{
		"work":       {task.Done, "rate limited now", ""},
		"limited":    {task.Done, "got through at last", "stepped retried thought said used"},
		"denied":     {task.Done, "could not write", ""}, // its own word: the commits tell another story
		"exit127":    {task.Done, "not finished", ""},
		"overloaded": {task.Died, "The model did not answer", "stepped thought retried thought retried thought retried thought used"},
		"dead":       {task.Died, "500 Internal server error", "stepped retried"},
		"badkey":     {task.Died, "refused the key (401)", "stepped retried"},
		"ask":        {task.GaveUp, "How many uploads a second", "stepped thought said asked used"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, d := recordedClaude(t, name)
			r := runClaude(t.Context(), d, b, "do it")
			if r.err != nil || r.end.Outcome != want.outcome || !strings.Contains(r.end.Summary+r.end.Reason, want.says) {
				t.Errorf("%+v, %v", r.end, r.err)
			}
			if want.kinds != "" && r.kinds() != want.kinds {
				t.Errorf("events %s\nwant   %s", r.kinds(), want.kinds)
			}
			again := runClaude(t.Context(), d, b, "do it")
			if len(again.events) != len(r.events) || again.kinds() != r.kinds() {
				t.Errorf("said again, it makes other events")
			}
		})
	}
}

func TestAToolIsToldByItsCommandItsFileItsDiffAndItsExitCode(t *testing.T) {
	t.Parallel()
	b, d := recordedClaude(t, "work")
	r := runClaude(t.Context(), d, b, "do it")
	var told []string
	var diffs strings.Builder
	for _, e := range r.of(task.ToolFinished) {
		exit := "-"
		if e.Tool.Exit != nil {
			exit = fmt.Sprint(*e.Tool.Exit)
		}
		told = append(told, fmt.Sprintf("%s|%s|%s|%s", e.Tool.Name, keepHead(e.Tool.Title, 40), e.Tool.Location, exit))
		diffs.WriteString(e.Tool.Diff)
		if len(e.Raw) == 0 {
			t.Errorf("%s has no line of its own", e.Tool.Title)
		}
	}
	slices.Sort(told)
	want := []string{
		"Bash|git add ratelimit.go ratelimit_test.go h||0",
		"Bash|pwd; git log --oneline -5; git status --||0",
		"Bash|test -z \"$(gofmt -l .)\" && go vet ./... ||0",
		"Edit|README.md|README.md:17|-",
		"Edit|handler.go|handler.go:27|-",
		"Read|README.md|README.md|-",
		"Read|handler.go|handler.go|-",
		"Write|ratelimit.go|ratelimit.go|-",
		"Write|ratelimit_test.go|ratelimit_test.go|-",
	}
	if !slices.Equal(told, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
	// A patch's lines have spaces for tabs; the file's own are told.
	for _, part := range []string{
		"--- /dev/null\n+++ b/ratelimit.go\n@@ -0,0 +1,", "\n+package main\n+\n+import (\n+\t\"math\"\n",
		"--- a/handler.go\n+++ b/handler.go\n@@ -24,7 +24,7 @@\n \th := &handler{ledger: l}\n",
		"\n-\tmux.HandleFunc(\"POST /api/upload\", h.upload)\n+\tmux.HandleFunc(\"POST /api/upload\", newLimiter(",
	} {
		if !strings.Contains(diffs.String(), part) {
			t.Errorf("no %q in\n%s", part, diffs.String())
		}
	}
}

func TestADenialAndAFailedCommandAreFailedTools(t *testing.T) {
	t.Parallel()
	b, d := recordedClaude(t, "denied")
	r := runClaude(t.Context(), d, b, "do it")
	denied := 0
	for _, e := range r.of(task.ToolFinished) {
		if e.Tool.Failed && strings.HasPrefix(e.Tool.Output, "Permission denied. Permission to use Write has been denied") {
			denied++
		}
	}
	if denied != 2 || len(r.of(task.ToolStarted)) != len(r.of(task.ToolFinished)) {
		t.Errorf("%d denials, %d started, %d finished", denied, len(r.of(task.ToolStarted)), len(r.of(task.ToolFinished)))
	}
	b, d = recordedClaude(t, "exit127")
	r = runClaude(t.Context(), d, b, "do it")
	if !slices.ContainsFunc(r.of(task.ToolFinished), func(e task.Event) bool {
		return e.Tool.Failed && e.Tool.Exit != nil && *e.Tool.Exit == 127 && strings.Contains(e.Tool.Output, "gofmt: command not found")
	}) {
		t.Errorf("no command ended with 127: %+v", r.of(task.ToolFinished))
	}
}

const claudeDone = `{"type":"result","subtype":"success","is_error":false,"result":"All done. Nothing else."}`

func TestAnEndWithoutAResultIsADeath(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, reason string }{
		"exit 0, as after SIGINT":      {"read prompt; exit 0", "ended with exit code 0 before it said that it was finished"},
		"a session that is used again": {"echo 'Error: Session ID is already in use.' >&2; exit 1", "Session ID is already in use"},
		"a signal":                     {"kill -KILL $$", "was ended by signal 9"},
		"words that are no JSON":       {"echo 'Segmentation fault (core dumped)'; exit 139", "Segmentation fault"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, d := newClaudeBox(t, "#!/bin/sh\n"+c.script+"\n")
			r := runClaude(t.Context(), d, b, "do it")
			if r.err != nil || r.end.Outcome != task.Died || !strings.Contains(r.end.Reason, c.reason) {
				t.Errorf("%+v, %v; want %q", r.end, r.err, c.reason)
			}
		})
	}
}

func TestClaudeCodeThatDoesNotGoAfterItsLastWordIsEnded(t *testing.T) {
	t.Parallel()
	b, d := newClaudeBox(t, "#!/bin/sh\nread prompt\necho '"+claudeDone+"'\ntrap '' TERM\nwhile :; do read more || exec sleep 600; done\n")
	d.farewell = 50 * time.Millisecond
	if r := runClaude(t.Context(), d, b, "do it"); r.err != nil || r.end.Outcome != task.Done || r.end.Headline != "All done" {
		t.Errorf("%+v, %v", r.end, r.err)
	}
}

func TestMessagesThatAreQueuedAreWaitedFor(t *testing.T) {
	t.Parallel()
	first := strings.Replace(claudeDone, `"result":"All`, `"queued_turn_count":1,"result":"Not all`, 1)
	b, d := newClaudeBox(t, "#!/bin/sh\nread prompt\necho '"+first+"'\necho '"+claudeDone+"'\ncat >/dev/null\n")
	if r := runClaude(t.Context(), d, b, "do it"); r.end.Headline != "All done" {
		t.Errorf("%+v, %v", r.end, r.err)
	}
}

func TestASubagentsWordsAreThoughtsAndAPlanIsAPlan(t *testing.T) {
	t.Parallel()
	b, d := newClaudeBox(t, `#!/bin/sh
read prompt
cat <<'END'
{"type":"assistant","parent_tool_use_id":"toolu_1","message":{"content":[{"type":"text","text":"I look around."}]}}
{"type":"assistant","message":{"content":[{"type":"tool_use","id":"toolu_2","name":"TodoWrite","input":{"todos":[{"content":"Look","status":"completed"},{"content":"Write","status":"in_progress"},{"content":"Test","status":"pending"}]}}]}}
{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"toolu_2","content":"Todos have been modified"}]}}
{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"toolu_9","content":"of a tool that was never started"}]}}
{"type":"something new","message":17}
{"type":"assistant","message":{"content":[{"type":"text","text":"a field of another kind is no reason to lose this"}]},"error":{"code":1}}
`+claudeDone+`
END
cat >/dev/null
`)
	r := runClaude(t.Context(), d, b, "do it")
	if r.kinds() != "stepped thought planned said" || r.end.Outcome != task.Done {
		t.Fatalf("%s, %+v, %v", r.kinds(), r.end, r.err)
	}
	want := []task.PlanItem{{Text: "Look", Status: "done"}, {Text: "Write", Status: "active"}, {Text: "Test", Status: "pending"}}
	if got := r.of(task.Planned)[0].Plan; !slices.Equal(got, want) {
		t.Errorf("planned %+v", got)
	}
}

func TestALineOfTenMegabytesIsReadAndLongerOnesAreTold(t *testing.T) {
	t.Parallel()
	use := func(id string) string {
		return `echo '{"type":"assistant","message":{"content":[{"type":"tool_use","id":"` + id + `","name":"Bash","input":{"command":"cat big"}}]}}'` + "\n"
	}
	result := func(id string, size int) string {
		return `printf '{"type":"user","message":{"content":[{"tool_use_id":"` + id + `","type":"tool_result","content":"'` +
			fmt.Sprintf("; head -c %d /dev/zero | tr '\\0' x; ", size) + `printf 'the end"}]}}\n'` + "\n"
	}
	b, d := newClaudeBox(t, "#!/bin/sh\nread prompt\n"+use("toolu_1")+result("toolu_1", 10<<20)+use("toolu_2")+result("toolu_2", 20<<20)+"echo '"+claudeDone+"'\ncat >/dev/null\n")
	r := runClaude(t.Context(), d, b, "do it")
	ended := r.of(task.ToolFinished)
	if r.end.Outcome != task.Done || len(ended) != 2 {
		t.Fatalf("%+v, %v, %s", r.end, r.err, r.kinds())
	}
	if out := ended[0].Tool.Output; !strings.HasSuffix(out, "xxthe end") || len(out) > 2*task.MaxEvent || ended[0].Cut < 10<<20 {
		t.Errorf("%d bytes of output, %d cut", len(out), ended[0].Cut)
	}
	if out := ended[1].Tool.Output; !strings.Contains(out, "longer than 16 MiB") {
		t.Errorf("of the longer one: %q", out)
	}
}

func TestInvalidUTF8IsMadeValid(t *testing.T) {
	t.Parallel()
	b, d := newClaudeBox(t, "#!/bin/sh\nread prompt\nprintf '{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"so \\377\\376 far\"}]}}\\n'\necho '"+claudeDone+"'\ncat >/dev/null\n")
	r := runClaude(t.Context(), d, b, "do it")
	if said := r.of(task.Said); len(said) != 1 || said[0].Text != "so \ufffd\ufffd far" {
		t.Errorf("%+v, %+v, %v", said, r.end, r.err)
	}
}

func TestAGigabyteOfOutputNeedsLittleMemory(t *testing.T) {
	for name, flood := range map[string]string{
		"in one line":           "head -c 1073741824 /dev/zero",
		"in lines":              `yes "no JSON: $(head -c 4000 /dev/zero | tr '\0' x)" | head -c 1073741824`,
		"in pieces of messages": `yes '{"type":"stream_event","event":{"delta":{"text":"'"$(head -c 1000 /dev/zero | tr '\0' x)"'"}}}' | head -c 1073741824`,
	} {
		t.Run(name, func(t *testing.T) {
			b, d := newClaudeBox(t, "#!/bin/sh\nread prompt\n"+flood+"\necho\necho '"+claudeDone+"'\ncat >/dev/null\n")
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			r := runClaude(t.Context(), d, b, "do it")
			runtime.ReadMemStats(&after)
			if r.end.Outcome != task.Done {
				t.Errorf("%+v, %v", r.end, r.err)
			}
			if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 128<<20 {
				t.Errorf("the heap has grown by %d MiB", grown>>20)
			}
		})
	}
}

func TestAProgramOfAnotherLibcIsToldAsThat(t *testing.T) {
	t.Parallel()
	b, d := newClaudeBox(t, "#!/lib/ld-musl-of-no-machine.so.1\n") // to the kernel the same: the loader is not there
	r := runClaude(t.Context(), d, b, "do it")
	var given gaveUpError
	if !errors.As(r.err, &given) || !strings.Contains(r.err.Error(), "built for glibc") {
		t.Errorf("%+v, %v", r.end, r.err)
	}
	b, d = newClaudeBox(t, "#!/bin/sh\necho 'sh: exec: claude: not found' >&2; exit 127\n")
	if r = runClaude(t.Context(), d, b, "do it"); !errors.As(r.err, &given) || !strings.Contains(r.err.Error(), "built for glibc") {
		t.Errorf("%+v, %v", r.end, r.err)
	}
}

func TestEventsThatCannotBeKeptEndTheAgent(t *testing.T) {
	t.Parallel()
	b, d := newClaudeBox(t, "#!/bin/sh\nexec sleep 600\n")
	full := errors.New("no space left on device")
	if _, err := d.Run(t.Context(), b, claudeStart("x"), func(task.Event) error { return full }, nil); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

func TestEachAttemptHasASessionOfItsOwnAndTheSameOneEachTime(t *testing.T) {
	t.Parallel()
	first, second := claudeStart("x"), claudeStart("y")
	if claudeSession(first) != claudeSession(second) {
		t.Error("an attempt has two sessions")
	}
	second.Epoch++
	if id := claudeSession(first); id == claudeSession(second) || len(id) != 36 || id[14] != '8' {
		t.Errorf("sessions %s and %s", id, claudeSession(second))
	}
}

// The key in the environment is the task's own, and what the agent is started with is what is documented.
func TestClaudeCodeIsGivenTheTasksTokenForAKey(t *testing.T) {
	t.Parallel()
	b, d := newClaudeBox(t, "#!/bin/sh\nread prompt\nprintf '%s\\n' \"$prompt\" \"$@\" >args; env >env\necho '"+claudeDone+"'\ncat >/dev/null\n")
	b.broker = "http://127.0.0.1:9"
	prompt := strings.Repeat("a long prompt\n", 20_000) // more than a pipe holds
	if r := runClaude(t.Context(), d, b, prompt); r.end.Outcome != task.Done {
		t.Fatalf("%+v, %v", r.end, r.err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(b.tree, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	env := read("env")
	for _, pair := range []string{"ANTHROPIC_API_KEY=" + claudeToken, "ANTHROPIC_BASE_URL=http://127.0.0.1:9/model/tclaude/anthropic", "DISABLE_AUTOUPDATER=1"} {
		if !strings.Contains(env, pair+"\n") {
			t.Errorf("no %s in its environment", pair)
		}
	}
	if args := read("args"); strings.Count(args, "a long prompt") != 20_000 || !strings.Contains(args, "\nbypassPermissions\n") || strings.Contains(args, claudeToken) {
		t.Errorf("its prompt and arguments: %s", keepEnd(args, 500))
	}
}

func TestAHeadlineIsTheFirstSentence(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "",
		"\n## Rate limiting\n\nIt works.":    "Rate limiting",
		"**This is not finished.** I wrote":  "This is not finished",
		"I fixed `upload.go`. Then I rested": "I fixed upload.go",
		"Done!":                              "Done",
		strings.Repeat("word ", 60):          strings.TrimSpace(strings.Repeat("word ", 23)) + "…",
		strings.Repeat("é", 100):             strings.Repeat("é", 58) + "…",
	} {
		if got := headline(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
