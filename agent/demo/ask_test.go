package demo_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"sam/sandbox/seed"
)

// asking starts the agent with a request and leaves its input open for answers. A line of what it says is read by next.
func (r *repository) asking(request string) (c *exec.Cmd, input io.WriteCloser, next func() map[string]any) {
	r.t.Helper()
	executable, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	c = r.command(executable)
	c.Env = append(c.Env, asAgent+"=1")
	out, err := c.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if input, err = c.StdinPipe(); err != nil {
		r.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	if err := json.NewEncoder(input).Encode(map[string]string{"request": request}); err != nil {
		r.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	return c, input, func() map[string]any {
		r.t.Helper()
		var one map[string]any
		if !lines.Scan() || json.Unmarshal(lines.Bytes(), &one) != nil {
			r.t.Fatalf("it said %q, %v", lines.Text(), lines.Err())
		}
		return one
	}
}

// until passes over what the agent says up to a type of line.
func until(next func() map[string]any, kind string) map[string]any {
	for {
		if one := next(); one["type"] == kind {
			return one
		}
	}
}

func TestItAsksAndGoesOnWithTheAnswer(t *testing.T) {
	t.Parallel()
	r := newRepository(t, seed.Files())
	c, input, next := r.asking("demo: ask")
	if one := until(next, "ask"); one["id"] != "q1" || one["text"] != "Which colour shall the sign have?" {
		t.Errorf("it asked %v", one)
	}
	if _, err := io.WriteString(input, `{"answer":"deep\nblue"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	if one := until(next, "answered"); one["text"] != "deep\nblue" {
		t.Errorf("it has %v", one)
	}
	if one := until(next, "end"); one["verdict"] != "done" || one["headline"] != "Put up a deep blue sign" {
		t.Errorf("it ended with %v", one)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if got := r.run("git", "show", "HEAD:SIGN.md"); !strings.Contains(got, "A sign in deep blue") {
		t.Errorf("it committed %q", got)
	}
}

func TestItCannotGoOnWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*exec.Cmd, io.Closer) error{
		"its input ends": func(_ *exec.Cmd, input io.Closer) error { return input.Close() },
		"it is stopped":  func(c *exec.Cmd, _ io.Closer) error { return c.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t, seed.Files())
			c, input, next := r.asking("demo: ask")
			until(next, "ask")
			if err := leave(c, input); err != nil {
				t.Fatal(err)
			}
			if one := until(next, "end"); one["verdict"] != "cannot" {
				t.Errorf("it ended with %v", one)
			}
			if err := c.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestItAsksNothingThatItsPromptAnswers(t *testing.T) {
	t.Parallel()
	r := newRepository(t, seed.Files())
	end := r.end("demo: ask twice", "It asked:\n\nWhich colour shall the sign have?\n\nada answered: green\n\nIt asked:\n\nAnd what shall stand on it?\n\nbob answered: Mind the step\n")
	if end.Verdict != "done" || end.Headline != "Put up a green sign" || !strings.Contains(end.Summary, "Mind the step") {
		t.Errorf("it ended with %+v", end)
	}
}
