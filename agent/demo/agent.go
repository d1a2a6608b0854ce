package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// line is one line of what the agent speaks.
type line struct {
	Type     string   `json:"type"`
	Text     string   `json:"text,omitempty"`
	Items    []item   `json:"items,omitempty"`
	ID       string   `json:"id,omitempty"`
	Tool     string   `json:"tool,omitempty"`
	Title    string   `json:"title,omitempty"`
	At       string   `json:"at,omitempty"`
	Output   string   `json:"output,omitempty"`
	Diff     string   `json:"diff,omitempty"`
	Exit     *int     `json:"exit,omitempty"`
	Failed   bool     `json:"failed,omitempty"`
	MS       int64    `json:"ms,omitempty"`
	Verdict  string   `json:"verdict,omitempty"`
	Headline string   `json:"headline,omitempty"`
	Summary  string   `json:"summary,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Options  []string `json:"options,omitempty"`
}

type item struct {
	Text  string `json:"text"`
	State string `json:"state"`
}

// agent speaks, and uses its tools in dir. Once a line cannot be written it is broken and says no more.
type agent struct {
	in        *json.Decoder
	out       *json.Encoder
	dir       string
	told      request // what it was asked
	calls     int
	questions int
	broken    error
}

func (a *agent) tell(l line) {
	if a.broken != nil {
		return
	}
	if err := a.out.Encode(l); err != nil {
		a.broken = fmt.Errorf("write to stdout: %w", err)
	}
}

func (a *agent) say(text string)   { a.tell(line{Type: "say", Text: text}) }
func (a *agent) think(text string) { a.tell(line{Type: "think", Text: text}) }

func (a *agent) end(l line) error {
	l.Type = "end"
	a.tell(l)
	return a.broken
}

func (a *agent) cannot(reason string) error {
	return a.end(line{Verdict: "cannot", Reason: reason})
}

// ask asks the person and waits for the answer. The error says that none will come.
func (a *agent) ask(ctx context.Context, question string, options ...string) (string, error) {
	a.questions++
	a.tell(line{Type: "ask", ID: fmt.Sprintf("q%d", a.questions), Text: question, Options: options})
	var back struct {
		Answer string `json:"answer"`
	}
	read := make(chan error, 1)
	go func() { read <- a.in.Decode(&back) }() // ends with the process, where nobody answers
	select {
	case err := <-read:
		if err != nil {
			return "", fmt.Errorf("read the answer: %w", err)
		}
	case <-ctx.Done():
		return "", ctx.Err()
	}
	a.tell(line{Type: "answered", Text: back.Answer})
	return back.Answer, a.broken
}

// planned tells the steps, of which the first done are done and the next is under way.
func (a *agent) planned(steps []string, done int) {
	items := make([]item, len(steps))
	for i, text := range steps {
		items[i] = item{text, "open"}
		if i < done {
			items[i].State = "done"
		} else if i == done {
			items[i].State = "doing"
		}
	}
	a.tell(line{Type: "plan", Items: items})
}

func (a *agent) call(tool, title, at string) (id string, began time.Time) {
	a.calls++
	id = fmt.Sprintf("c%d", a.calls)
	a.tell(line{Type: "call", ID: id, Tool: tool, Title: title, At: at})
	return id, time.Now()
}

// look shows the lines around a place.
func (a *agent) look(code *source, p place) {
	at := fmt.Sprintf("%s:%d", p.path, p.line)
	id, began := a.call("Read", at, at)
	a.tell(line{Type: "return", ID: id, Tool: "Read", Title: at, At: at, Output: code.around(p), MS: time.Since(began).Milliseconds()})
}

// write puts a file into the repository and shows what that changed.
func (a *agent) write(ctx context.Context, f file) error {
	path := filepath.Join(a.dir, filepath.FromSlash(f.path))
	_, err := os.Stat(path)
	fresh := errors.Is(err, os.ErrNotExist)
	tool := "Edit"
	if fresh {
		tool = "Write"
	}
	at := fmt.Sprintf("%s:%d", f.path, max(1, f.line))
	id, began := a.call(tool, f.path, at)
	back := line{Type: "return", ID: id, Tool: tool, Title: f.path, At: at}
	if err := os.WriteFile(path, f.content, 0o644); err != nil { //nolint:gosec // a source file, read by whoever reads the repository
		back.Output, back.Failed = err.Error(), true
		a.tell(back)
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if fresh {
		back.Diff = added(f)
	} else if out, err := a.command(ctx, "git", "diff", "--no-color", "--no-ext-diff", "--", f.path).Output(); err == nil {
		back.Diff = string(out)
	}
	back.MS = time.Since(began).Milliseconds()
	a.tell(back)
	return a.broken
}

// added is the unified diff of a new file.
func added(f file) string {
	text := strings.TrimSuffix(string(f.content), "\n")
	all := strings.Split(text, "\n")
	return fmt.Sprintf("diff --git a/%[1]s b/%[1]s\nnew file mode 100644\n--- /dev/null\n+++ b/%[1]s\n@@ -0,0 +1,%[2]d @@\n+%[3]s\n",
		f.path, len(all), strings.Join(all, "\n+"))
}

// shell runs a program, shows it, and returns what it printed and its exit code. The error says that it could not run.
func (a *agent) shell(ctx context.Context, name string, args ...string) (string, int, error) {
	title := quoted(append([]string{name}, args...))
	id, began := a.call("Bash", title, "")
	out, err := a.command(ctx, name, args...).CombinedOutput()
	back := line{Type: "return", ID: id, Tool: "Bash", Title: title, Output: string(out), MS: time.Since(began).Milliseconds()}
	var failed *exec.ExitError
	code := 0
	switch {
	case ctx.Err() != nil:
		back.Failed, back.Output = true, back.Output+"stopped"
		a.tell(back)
		return "", 0, ctx.Err()
	case errors.As(err, &failed):
		code = failed.ExitCode()
	case err != nil:
		back.Failed, back.Output = true, err.Error()
		a.tell(back)
		return "", 0, fmt.Errorf("run %s: %w", name, err)
	}
	back.Exit, back.Failed = &code, code != 0
	a.tell(back)
	return string(out), code, a.broken
}

func (a *agent) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = a.dir
	c.WaitDelay = time.Second
	return c
}

// quoted is a command as a person would type it: each argument's first line, in quotes where it needs them.
func quoted(args []string) string {
	shown := make([]string, len(args))
	for i, arg := range args {
		first, _, more := strings.Cut(arg, "\n")
		if more {
			first += " …"
		}
		if strings.ContainsAny(first, " '\"$`") {
			first = "'" + strings.ReplaceAll(first, "'", `'\''`) + "'"
		}
		shown[i] = first
	}
	return strings.Join(shown, " ")
}
