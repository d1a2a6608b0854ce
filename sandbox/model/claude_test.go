package model_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sam/sandbox/model"
)

// claudePath finds the pinned Claude Code, or skips the test and says how to have it.
func claudePath(t *testing.T) string {
	t.Helper()
	path := os.Getenv("SAM_CLAUDE")
	if path == "" {
		root, err := filepath.Abs("../..")
		if err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(root, ".cache", "claude", "claude")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("NOT TESTED WITH THE REAL CLAUDE CODE: %v. Run `make tools`, or set SAM_CLAUDE to its binary.", err)
	}
	return path
}

// heard is an event of Claude Code's stream-json.
type heard struct {
	Type, Subtype string
	SessionID     string `json:"session_id"`
	RequestID     string `json:"request_id"`
	Request       struct {
		Subtype string
		Input   object
	}
	Message struct {
		Content json.RawMessage
	}
	IsError     bool   `json:"is_error"`
	Terminal    string `json:"terminal_reason"`
	Turns       int    `json:"num_turns"`
	ErrorStatus *int   `json:"error_status"`
	Result      string
	Usage       struct {
		Input    int `json:"input_tokens"`
		Creation int `json:"cache_creation_input_tokens"`
		Read     int `json:"cache_read_input_tokens"`
		Output   int `json:"output_tokens"`
	}
}

// claude is a run of Claude Code on a model of ours.
type claude struct {
	dir, home string
	url       string
	answer    string   // what to choose when it asks; empty: it may not ask
	session   string   // resumed when it is not empty
	env       []string // beside the usual
}

// run gives it one request and returns all events of the turn; the last is its result.
func (c *claude) run(t *testing.T, prompt string) []heard {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	args := []string{"-p", "--output-format", "stream-json", "--verbose", "--input-format", "stream-json", "--permission-mode", "bypassPermissions"}
	if c.answer != "" {
		args = append(args, "--permission-prompt-tool", "stdio")
	}
	if c.session != "" {
		args = append(args, "--resume", c.session)
	}
	cmd := exec.CommandContext(ctx, claudePath(t), args...)
	cmd.Dir = c.dir
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + c.home, "ANTHROPIC_BASE_URL=" + c.url, "ANTHROPIC_API_KEY=" + key,
		"DISABLE_TELEMETRY=1", "DISABLE_AUTOUPDATER=1", "DISABLE_ERROR_REPORTING=1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "IS_SANDBOX=1",
		"GOCACHE=" + command(t, ".", "go", "env", "GOCACHE"), "GOTOOLCHAIN=local", "GOFLAGS=" + goFlags,
	}, c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	send(t, in, object{"type": "user", "message": object{"role": "user", "content": prompt}})
	events := c.listen(t, in, out)
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil && ctx.Err() != nil {
		t.Fatalf("%v, %v: %s", ctx.Err(), err, complaints.String())
	}
	if len(events) == 0 || events[len(events)-1].Type != "result" {
		t.Fatalf("no result after %d events: %s", len(events), complaints.String())
	}
	c.session = events[0].SessionID
	return events
}

// listen reads events until the turn's result, and answers its questions.
func (c *claude) listen(t *testing.T, in io.Writer, out io.Reader) []heard {
	t.Helper()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	var events []heard
	for lines.Scan() {
		var e heard
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		events = append(events, e)
		if e.Type == "control_request" {
			input := e.Request.Input
			if questions, is := input["questions"].([]any); is {
				answers := object{}
				for _, q := range questions {
					if asked, is := q.(object); is {
						answers[fmt.Sprint(asked["question"])] = c.answer
					}
				}
				input["answers"] = answers
			}
			send(t, in, object{"type": "control_response", "response": object{"subtype": "success", "request_id": e.RequestID,
				"response": object{"behavior": "allow", "updatedInput": input}}})
		}
		if e.Type == "result" {
			break
		}
	}
	return events
}

func send(t *testing.T, in io.Writer, v any) {
	t.Helper()
	if err := json.NewEncoder(in).Encode(v); err != nil {
		t.Fatal(err)
	}
}

// hire makes a Claude Code with a home of its own and the demo repository.
func hire(t *testing.T, env ...string) (*model.Server, *claude) {
	t.Helper()
	claudePath(t)
	s, c := serve(t, model.Options{})
	return s, &claude{dir: quayside(t), home: t.TempDir(), url: c.url, env: env}
}

func last(events []heard) heard { return events[len(events)-1] }

// uses counts the tools that were used.
func uses(t *testing.T, events []heard) int {
	t.Helper()
	n := 0
	for _, e := range events {
		if e.Type != "assistant" {
			continue
		}
		var parts []part
		if err := json.Unmarshal(e.Message.Content, &parts); err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			if p.Type == "tool_use" {
				n++
			}
		}
	}
	return n
}

func TestClaudeCodeDoesTheWork(t *testing.T) {
	s, c := hire(t)
	end := last(c.run(t, "add rate limiting to /api/upload"))
	if end.IsError || !strings.Contains(end.Result, "rate limited now") {
		t.Fatalf("%+v", end)
	}
	checkWorked(t, c.dir)

	told := s.Totals().Usage
	if u := end.Usage; u.Input != told.Input || u.Creation != told.CacheCreation || u.Read != told.CacheRead || u.Output != told.Output {
		t.Errorf("it counts %+v, it was told %+v", u, told)
	}
	if told.CacheRead < told.CacheCreation {
		t.Errorf("the cache is of no use: %+v", told)
	}

	again := last(c.run(t, "add rate limiting to /api/upload"))
	if again.IsError || !strings.Contains(again.Result, "already") {
		t.Errorf("resumed: %+v", again)
	}
	checkWorked(t, c.dir)
}

func TestClaudeCodeTakesManySteps(t *testing.T) {
	_, c := hire(t)
	events := c.run(t, "scenario steps")
	if end := last(events); end.IsError || uses(t, events) < 10 || !strings.Contains(end.Result, "12 succeeded") {
		t.Errorf("%d uses, %+v", uses(t, events), end)
	}
	checkUntouched(t, c.dir)
}

func TestClaudeCodePassesTheQuestionOn(t *testing.T) {
	t.Run("through its own tool", func(t *testing.T) {
		_, c := hire(t)
		c.answer = "20 a second"
		if end := last(c.run(t, "scenario ask")); end.IsError {
			t.Fatalf("%+v", end)
		}
		checkLimit(t, c.dir, 20)
	})
	t.Run("as its last words, and goes on when it is resumed", func(t *testing.T) {
		_, c := hire(t)
		if end := last(c.run(t, "scenario ask")); !strings.Contains(end.Result, "How many uploads") {
			t.Fatalf("%+v", end)
		}
		checkUntouched(t, c.dir)
		if end := last(c.run(t, "2 is enough")); end.IsError {
			t.Fatalf("%+v", end)
		}
		checkLimit(t, c.dir, 2)
	})
}

func TestClaudeCodeRetriesWhatIsLimited(t *testing.T) {
	_, c := hire(t)
	events := c.run(t, "scenario limited")
	var retried []int
	for _, e := range events {
		if e.Subtype == "api_retry" && e.ErrorStatus != nil {
			retried = append(retried, *e.ErrorStatus)
		}
	}
	if end := last(events); end.IsError || !strings.Contains(end.Result, "got through") || fmt.Sprint(retried) != "[429 529]" {
		t.Errorf("after %v: %+v", retried, end)
	}
}

func TestClaudeCodeGivesUpOnWhatStaysBroken(t *testing.T) {
	for _, scenario := range []string{"dead", "half", "overloaded", "hang"} {
		t.Run(scenario, func(t *testing.T) {
			_, c := hire(t, "CLAUDE_CODE_MAX_RETRIES=1", "API_TIMEOUT_MS=2000")
			if end := last(c.run(t, "scenario "+scenario)); !end.IsError || end.Terminal != "api_error" {
				t.Errorf("%+v", end)
			}
			checkUntouched(t, c.dir)
		})
	}
}

func TestClaudeCodeReportsWhatWasNeverDone(t *testing.T) {
	_, c := hire(t)
	if end := last(c.run(t, "scenario noop: add rate limiting")); end.IsError || !strings.HasPrefix(end.Result, "Done.") {
		t.Errorf("%+v", end)
	}
	checkUntouched(t, c.dir)
}

func TestClaudeCodeSurvivesForgedText(t *testing.T) {
	_, c := hire(t)
	if end := last(c.run(t, "scenario forge")); end.IsError || !strings.Contains(end.Result, "<!-- sam:status") {
		t.Errorf("%+v", end)
	}
}
