package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
)

// maxInput is the most that is read of the request and the answers, in bytes.
const maxInput = 1 << 20

// Main runs the agent in the current directory and returns its exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		fmt.Fprintln(stderr, "demo-agent takes no arguments: the request comes on stdin, as JSON")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var asked request
	in := json.NewDecoder(io.LimitReader(stdin, maxInput))
	if err := in.Decode(&asked); err != nil {
		fmt.Fprintf(stderr, "demo-agent: read the request: %v\n", err)
		return 2
	}
	a := &agent{in: in, out: json.NewEncoder(stdout), dir: "."}
	if err := a.answer(ctx, asked); err != nil {
		fmt.Fprintf(stderr, "demo-agent: %v\n", err)
		return 2
	}
	return 0
}

// request is what is asked: the person's words, and all that SAM tells an agent, the issue among it.
type request struct {
	Request string `json:"request"`
	Prompt  string `json:"prompt"`
}

// refusal is why the agent does not do what was asked, for the person.
type refusal string

func (r refusal) Error() string { return string(r) }

// answer does what is asked and says how it ended. The error is of saying it.
func (a *agent) answer(ctx context.Context, asked request) error {
	a.told = asked
	if trick := misbehaviour(asked.Request); trick != nil {
		return trick(ctx, a)
	}
	done, err := a.work(ctx, asked)
	var no refusal
	switch {
	case err == nil:
		return a.end(line{Verdict: "done", Headline: done.headline, Summary: done.summary})
	case a.broken != nil:
		return a.broken
	case ctx.Err() != nil:
		return a.cannot("I was told to stop before I was finished.")
	case errors.As(err, &no):
		return a.cannot(no.Error())
	}
	return a.cannot("I could not go on: " + err.Error() + ".")
}

// work finds the recipe, makes the change that it describes, tests and commits it.
func (a *agent) work(ctx context.Context, asked request) (change, error) {
	chosen, words, err := choose(asked)
	if err != nil {
		return change{}, err
	}
	a.say("This is the demo agent, which has recipes and no model. This one I know: **" + chosen.name + "**. I look for the place in the code.")
	code, err := load(a.dir)
	if err != nil {
		return change{}, err
	}
	found, err := chosen.change(code, words)
	if err != nil {
		return change{}, err
	}
	a.planned(found.steps, 0)
	for _, place := range found.places {
		a.look(code, place)
	}
	a.think(found.thought)
	a.planned(found.steps, 1)
	for _, file := range found.files {
		if err := a.write(ctx, file); err != nil {
			return change{}, err
		}
	}
	a.planned(found.steps, 2)
	tests, exit, err := a.shell(ctx, "go", "test", "./...")
	switch {
	case err != nil:
		return change{}, err
	case exit != 0:
		return change{}, refusal("The change is written, but `go test ./...` fails with it, so I do not commit it:\n\n" + fenced(tests))
	}
	a.planned(found.steps, 3)
	if err := a.commit(ctx, found); err != nil {
		return change{}, err
	}
	a.planned(found.steps, 4)
	found.summary += "\n\n**Tests.** `go test ./...` passes:\n\n" + fenced(tests) +
		"\n\nMade by the demo agent from a fixed recipe, without a model."
	return found, nil
}

func (a *agent) commit(ctx context.Context, c change) error {
	add := []string{"add", "--"}
	for _, file := range c.files {
		add = append(add, file.path)
	}
	for _, args := range [][]string{add, {"commit", "-m", c.headline, "-m", c.why}} {
		said, exit, err := a.shell(ctx, "git", args...)
		if err != nil {
			return err
		}
		if exit != 0 {
			return fmt.Errorf("git %s: %s", args[0], strings.TrimSpace(said))
		}
	}
	return nil
}

func fenced(text string) string {
	text = strings.TrimRight(text, "\n")
	const most = 3000
	if len(text) > most {
		text = "…" + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return "```\n" + text + "\n```"
}
