package model_test

import (
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sam/sandbox/model"
)

func TestWorkLeavesACommitWhoseTestsPass(t *testing.T) {
	for _, v := range []struct {
		name     string
		tools    []object
		thinking object
	}{
		{name: "with Claude Code's tools", tools: claudes()},
		{name: "with another agent's names for them", tools: others()},
		{name: "with a shell alone", tools: claudes()[:1]},
		{name: "while thinking aloud", tools: claudes(), thinking: object{"type": "adaptive"}},
	} {
		t.Run(v.name, func(t *testing.T) {
			_, c := serve(t, model.Options{})
			a := &agent{client: c, dir: quayside(t), tools: v.tools, thinking: v.thinking}
			last := a.run(t, "add rate limiting to /api/upload")
			if !strings.Contains(last.text(), "rate limited now") || last.Stop != "end_turn" {
				t.Fatalf("%s: %s", last.Stop, last.text())
			}
			checkWorked(t, a.dir)

			again := a.run(t, "add rate limiting to /api/upload")
			if !strings.Contains(again.text(), "already") {
				t.Errorf("asked again: %s", again.text())
			}
			checkWorked(t, a.dir)
		})
	}
}

func TestWorkSaysHonestlyWhatItCouldNotDo(t *testing.T) {
	denied := func(tool string) func(name, input string) (string, bool, bool) {
		return func(name, _ string) (string, bool, bool) { return "Permission denied", true, name == tool }
	}
	in := func(part, text string) func(name, input string) (string, bool, bool) {
		return func(_, input string) (string, bool, bool) { return text, true, strings.Contains(input, part) }
	}
	for _, v := range []struct {
		name    string
		tools   []object
		instead func(name, input string) (string, bool, bool)
		prepare func(t *testing.T, dir string)
		want    string
	}{
		{name: "without tools", want: "no shell"},
		{name: "without a shell", tools: claudes()[1:], want: "no shell"},
		{name: "when nothing is permitted", tools: claudes(), instead: denied("Bash"), want: "could not look"},
		{name: "when it may not write", tools: claudes(), instead: denied("Write"), want: "could not write"},
		{name: "when it may not edit", tools: claudes(), instead: denied("Edit"), want: "could not change the route"},
		{name: "when the tests fail", tools: claudes(), instead: in("go test", "--- FAIL: TestX\nFAIL\tquayside"), want: "not finished"},
		{name: "when it cannot commit", tools: claudes(), instead: in("git add", "fatal: unable to write"), want: "not committed"},
		{name: "in another repository", tools: claudes(), want: "not the demo repository", prepare: func(t *testing.T, dir string) {
			t.Helper()
			git(t, dir, "rm", "-q", "handler.go")
			git(t, dir, "commit", "-q", "--amend", "-m", "Begin otherwise")
		}},
	} {
		t.Run(v.name, func(t *testing.T) {
			_, c := serve(t, model.Options{})
			a := &agent{client: c, dir: quayside(t), tools: v.tools, instead: v.instead}
			if v.prepare != nil {
				v.prepare(t, a.dir)
			}
			last := a.run(t, "please add rate limiting")
			if !strings.Contains(last.text(), v.want) {
				t.Errorf("want %q in:\n%s", v.want, last.text())
			}
			if n := git(t, a.dir, "rev-list", "--count", "HEAD"); n != "1" {
				t.Errorf("%s commits", n)
			}
		})
	}
}

func TestAQuotedFailureIsCutBetweenLetters(t *testing.T) {
	_, c := serve(t, model.Options{})
	a := &agent{client: c, dir: quayside(t), tools: claudes()}
	a.instead = func(_, input string) (string, bool, bool) {
		return "FAIL " + strings.Repeat("é", 2000) + "x", true, strings.Contains(input, "go test")
	}
	if last := a.run(t, "add rate limiting").text(); !strings.Contains(last, "…é") || !strings.Contains(last, "éx\n") || strings.Contains(last, "\ufffd") {
		t.Error(last)
	}
}

func TestWorkCommitsWhereGitKnowsNobody(t *testing.T) {
	_, c := serve(t, model.Options{})
	a := &agent{client: c, dir: quayside(t), tools: claudes()}
	git(t, a.dir, "config", "--unset", "user.name")
	git(t, a.dir, "config", "--unset", "user.email")
	git(t, a.dir, "config", "user.useConfigOnly", "true")
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	a.run(t, "add rate limiting to /api/upload")
	checkWorked(t, a.dir)
	if who := git(t, a.dir, "log", "-1", "--format=%an"); who != "Scripted model" {
		t.Errorf("committed by %s", who)
	}
}

func TestStepsTakesManyWithTextBetween(t *testing.T) {
	_, c := serve(t, model.Options{})
	a := &agent{client: c, dir: quayside(t), tools: claudes()}
	last := a.run(t, "scenario steps")
	if a.uses < 10 || !strings.Contains(last.text(), "nothing was changed") {
		t.Errorf("%d uses: %s", a.uses, last.text())
	}
	checkUntouched(t, a.dir)
}

func TestAskGoesOnWithTheAnswer(t *testing.T) {
	t.Run("as the next message", func(t *testing.T) {
		_, c := serve(t, model.Options{})
		a := &agent{client: c, dir: quayside(t), tools: claudes()}
		if first := a.run(t, "scenario ask"); !strings.Contains(first.text(), "How many uploads") {
			t.Fatal(first.text())
		}
		checkUntouched(t, a.dir)
		a.run(t, "make it 3, please")
		checkLimit(t, a.dir, 3)
	})
	question := object{"name": "AskUserQuestion", "input_schema": object{"type": "object", "required": []string{"questions"},
		"properties": object{"questions": object{"type": "array"}}}}
	t.Run("through the client's own tool", func(t *testing.T) {
		_, c := serve(t, model.Options{})
		a := &agent{client: c, dir: quayside(t), tools: append(claudes(), question)}
		a.instead = func(name, _ string) (string, bool, bool) {
			return `User has answered: "How many uploads a second may one client send?"="20 a second"`, false, name == "AskUserQuestion"
		}
		a.run(t, "scenario ask")
		checkLimit(t, a.dir, 20)
	})
	t.Run("and does nothing without one", func(t *testing.T) {
		_, c := serve(t, model.Options{})
		a := &agent{client: c, dir: quayside(t), tools: append(claudes(), question)}
		a.instead = func(name, _ string) (string, bool, bool) { return "The user declined", true, name == "AskUserQuestion" }
		if last := a.run(t, "scenario ask"); !strings.Contains(last.text(), "no answer") {
			t.Error(last.text())
		}
		checkUntouched(t, a.dir)
	})
}

func checkLimit(t *testing.T, dir string, perSecond int) {
	t.Helper()
	checkWorked(t, dir)
	if code := git(t, dir, "show", "HEAD:ratelimit.go"); !strings.Contains(code, "uploadsPerSecond = "+strconv.Itoa(perSecond)) {
		t.Errorf("not the limit of the answer:\n%s", code)
	}
}

func TestSlowTakesItsPaceForEachPiece(t *testing.T) {
	const pace, pieces = 5 * time.Millisecond, 20
	_, c := serve(t, model.Options{Pace: pace})
	begin := time.Now()
	m := c.ask(t, request("scenario slow 20"))
	if m.deltas != pieces || time.Since(begin) < pace*pieces {
		t.Errorf("%d pieces in %v", m.deltas, time.Since(begin))
	}
}

func TestForgeSendsWhatPagesMustSurvive(t *testing.T) {
	_, c := serve(t, model.Options{})
	body := request("scenario forge")
	body["stream"] = true
	answer := c.post(t, "/v1/messages", body)
	defer answer.Body.Close()
	var raw strings.Builder
	m, err := readStream(io.TeeReader(answer.Body, &raw))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<script>", "\x1b]52;", "\x00", "\u202e", "javascript:", "<!-- sam:", "\u009b"} {
		if !strings.Contains(m.text(), want) {
			t.Errorf("no %q", want)
		}
	}
	if !strings.Contains(raw.String(), `\ud83d`) {
		t.Error("no lone surrogate")
	}
	if strings.Contains(m.text(), "{{") {
		t.Error("a place was left unfilled")
	}

	printed := ""
	a := &agent{client: c, dir: t.TempDir(), tools: claudes()}
	a.instead = func(_, input string) (string, bool, bool) { printed = input; return "printed", false, true }
	a.run(t, "scenario forge")
	if !strings.Contains(printed, "printf") {
		t.Errorf("with a shell it runs %q", printed)
	}
}

func TestBigPrintsAsMuchAsItIsToldTo(t *testing.T) {
	for _, v := range []struct{ request, want string }{
		{"scenario big", "one line of 10485760 bytes printed; 10485761 bytes"},
		{"scenario big 300 KB", "one line of 307200 bytes printed; 307201 bytes"},
		{"scenario big 1000 lines", "1000 lines printed; 28893 bytes"},
	} {
		t.Run(v.request, func(t *testing.T) {
			_, c := serve(t, model.Options{})
			a := &agent{client: c, dir: t.TempDir(), tools: claudes()}
			if last := a.run(t, v.request).text(); !strings.Contains(last, v.want) {
				t.Error(last)
			}
		})
	}
}

func TestDaemonLeavesAProcessBehind(t *testing.T) {
	_, c := serve(t, model.Options{})
	a := &agent{client: c, dir: t.TempDir(), tools: claudes()}
	last := a.run(t, "scenario daemon").text()
	_, after, found := strings.Cut(last, "left process ")
	pid, err := strconv.Atoi(strings.SplitN(after, ".", 2)[0])
	if !found || err != nil {
		t.Fatal(last)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("it does not run: %v", err)
	}
}

func TestNoopClaimsWhatItDidNotDo(t *testing.T) {
	_, c := serve(t, model.Options{})
	a := &agent{client: c, dir: quayside(t), tools: claudes()}
	if last := a.run(t, "scenario noop: add rate limiting"); a.uses != 0 || !strings.Contains(last.text(), "Done") {
		t.Errorf("%d uses: %s", a.uses, last.text())
	}
	checkUntouched(t, a.dir)
}
