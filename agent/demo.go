package agent

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"sam/agent/wire"
	"sam/task"
)

// demoDriver runs the built-in agent, `sam demo-agent`, as a process in the workspace.
type demoDriver struct{}

func (demoDriver) Name() string { return "demo" }
func (demoDriver) Real() bool   { return false }

// demoLine is one line of the demo agent's own format; see package demo.
type demoLine struct {
	Type     string   `json:"type"` // say, think, plan, call, return, ask, answered, end
	Text     string   `json:"text"`
	ID       string   `json:"id"`
	Tool     string   `json:"tool"`
	Title    string   `json:"title"`
	At       string   `json:"at"`
	Output   string   `json:"output"`
	Diff     string   `json:"diff"`
	Exit     *int     `json:"exit"`
	Failed   bool     `json:"failed"`
	MS       int64    `json:"ms"`
	Verdict  string   `json:"verdict"` // done, cannot
	Headline string   `json:"headline"`
	Summary  string   `json:"summary"`
	Reason   string   `json:"reason"`
	Options  []string `json:"options"`
	Items    []struct {
		Text  string `json:"text"`
		State string `json:"state"` // open, doing, done
	} `json:"items"`
}

// maxLine bounds one line of an agent, in bytes. A longer one is told of and left out.
const maxLine = 1 << 20

// Run implements Driver.
func (d demoDriver) Run(ctx context.Context, w Workspace, s wire.Start, emit func(task.Event) error, given *answers) (task.End, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	input, err := json.Marshal(map[string]string{"request": s.Request, "prompt": s.Prompt})
	if err != nil {
		return task.End{}, fmt.Errorf("tell the demo agent: %w", err)
	}
	in := newAgentInput(input, cancel)
	defer in.close()
	replies := newReplies(in.send, given, func() {})
	defer replies.close()
	var end *task.End
	record := func(e task.Event) {
		if err := emit(e); err != nil {
			cancel(err)
		}
	}
	begin := sync.OnceFunc(func() { // its first line may be read before Exec says that it runs
		record(stepped(task.StepAgent, began, "the demo agent runs, without a model"))
	})
	stray, words := &tail{max: 8 << 10}, &tail{max: 8 << 10} // of its two streams, which come at once
	exit, err := w.Exec(ctx, Command{
		Args:  []string{w.Sam(), "demo-agent"},
		Key:   agentKey,
		Stdin: in.reader,
		Stdout: &lines{max: maxLine, each: func(line []byte, long bool) {
			begin()
			e, said := d.translate(line, long, stray)
			if said != nil && end == nil {
				end = said
				in.end()
			}
			if e.Kind == task.Asked && !given.possible() {
				e.Ask = nil
				end = &task.End{Outcome: task.GaveUp, Reason: unanswerable("The demo agent", e.Text)}
				in.end()
			}
			if e.Kind != "" {
				record(e)
			}
			if e.Ask != nil {
				replies.ask(e.Ask.ID, demoAnswer)
			}
		}},
		Stderr:  words,
		Started: begin,
	})
	switch {
	case err != nil:
		return task.End{}, err
	case end != nil:
		return *end, nil
	case ctx.Err() != nil:
		return task.End{}, context.Cause(ctx)
	}
	reason := fmt.Sprintf("The demo agent's process %s before it said that it was finished.", exit)
	if last := cmp.Or(words.lastLines(10), stray.lastLines(10)); last != "" {
		reason += " Its last words:\n\n" + last
	}
	return task.End{Outcome: task.Died, Reason: reason}, nil
}

// demoAnswer is the line that answers a question of the demo agent's.
func demoAnswer(text string) []byte {
	line, err := json.Marshal(map[string]string{"answer": text})
	if err != nil { // a text always encodes
		panic(err)
	}
	return line
}

// translate returns the event that a line means, or how the agent ended. What is not in the format is kept for
// its last words.
func (d demoDriver) translate(line []byte, long bool, stray *tail) (task.Event, *task.End) {
	var l demoLine
	if long || json.Unmarshal(line, &l) != nil {
		_, _ = stray.Write(append(bytes.Clone(line[:min(len(line), 1<<10)]), '\n'))
		return task.Event{}, nil
	}
	e := task.Event{Raw: bytes.Clone(line)}
	switch l.Type {
	case "say":
		e.Kind, e.Text = task.Said, l.Text
	case "think":
		e.Kind, e.Text = task.Thought, l.Text
	case "plan":
		e.Kind = task.Planned
		status := map[string]string{"open": "pending", "doing": "active", "done": "done"}
		for _, item := range l.Items {
			e.Plan = append(e.Plan, task.PlanItem{Text: item.Text, Status: status[item.State]})
		}
	case "ask":
		e.Kind, e.Text = task.Asked, l.Text
		e.Ask = &task.Ask{ID: l.ID, Options: l.Options}
	case "answered":
		e.Kind, e.Text = task.Answered, l.Text
	case "call":
		e.Kind = task.ToolStarted
		e.Tool = &task.Tool{ID: l.ID, Name: l.Tool, Title: l.Title, Location: l.At}
	case "return":
		e.Kind = task.ToolFinished
		e.Tool = &task.Tool{
			ID: l.ID, Name: l.Tool, Title: l.Title, Location: l.At,
			Output: l.Output, Diff: l.Diff, Exit: l.Exit, Failed: l.Failed, MS: l.MS,
		}
	case "end":
		end := task.End{Outcome: task.GaveUp, Headline: l.Headline, Summary: l.Summary, Reason: strings.TrimSpace(l.Reason)}
		if l.Verdict == "done" {
			end.Outcome = task.Done
		}
		return task.Event{}, &end
	}
	return e, nil
}
