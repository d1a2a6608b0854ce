package agent

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sam/task"
)

func always() bool { return true }

// runAsking is runClaude with a person who answers each question with what reply says.
func runAsking(ctx context.Context, d claudeDriver, w Workspace, prompt string, reply func(given *answers, e task.Event)) ran {
	var r ran
	given := newAnswers(always, nil)
	r.end, r.err = d.Run(ctx, w, claudeStart(prompt), func(e task.Event) error {
		if _, err := encode(e); err != nil {
			return err
		}
		r.events = append(r.events, e)
		if e.Ask != nil {
			reply(given, e)
		}
		return nil
	}, given)
	return r
}

// sessions are the ids of all sessions that the events came from.
func (r ran) sessions() []string {
	var ids []string
	for _, e := range r.events {
		var line struct {
			Session string `json:"session_id"`
		}
		if json.Unmarshal(e.Raw, &line) == nil && line.Session != "" && !slices.Contains(ids, line.Session) {
			ids = append(ids, line.Session)
		}
	}
	return ids
}

func TestClaudeCodeGoesOnWithTheAnswerInTheSameSession(t *testing.T) {
	t.Parallel()
	b, d, _ := realClaude(t, claudeToken)
	d.silence = time.Minute
	var options []string
	r := runAsking(t.Context(), d, b, "scenario ask", func(given *answers, e task.Event) {
		options = e.Ask.Options
		given.give(e.Ask.ID, "take 7 a second")
		given.give(e.Ask.ID, "no, 900") // the first answer stays
	})
	if r.err != nil || r.end.Outcome != task.Done {
		t.Fatalf("%+v, %v\n%s", r.end, r.err, r.kinds())
	}
	asked, answered := r.of(task.Asked), r.of(task.Answered)
	if len(asked) != 1 || !strings.Contains(asked[0].Text, "How many uploads a second") || !strings.Contains(asked[0].Text, "- 2 a second: ") {
		t.Errorf("asked %+v", asked)
	}
	if len(answered) != 1 || answered[0].Text != "take 7 a second" || len(options) != 3 {
		t.Errorf("answered %+v, of the options %q", answered, options)
	}
	if out, err := output(t.Context(), b, "git", "log", "-1", "-p"); err != nil || !strings.Contains(out, "7") || strings.Contains(out, "900") {
		t.Errorf("the commit does not have the answer: %v\n%s", err, out)
	}
	if ids := r.sessions(); !slices.Equal(ids, []string{claudeSession(claudeStart("scenario ask"))}) {
		t.Errorf("the events came from the sessions %q", ids)
	}
}

// The watchdog would end an agent that says nothing for so long.
func TestAnAgentThatWaitsForAnAnswerIsNotSilent(t *testing.T) {
	t.Parallel()
	b, d, _ := realClaude(t, claudeToken)
	d.silence, d.patience = 20*time.Second, 2*time.Minute
	r := runAsking(t.Context(), d, b, "scenario ask", func(given *answers, e task.Event) {
		time.AfterFunc(d.silence+2*time.Second, func() { given.give(e.Ask.ID, "2 a second") })
	})
	if r.err != nil || r.end.Outcome != task.Done {
		t.Errorf("%+v, %v", r.end, r.err)
	}
}

func TestClaudeCodeIsStoppedWhileItWaitsForAnAnswer(t *testing.T) {
	t.Parallel()
	b, d, _ := realClaude(t, claudeToken)
	b.wait.interrupt = 30 * time.Second
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	enough := errors.New("stopped by a test")
	var stopping time.Time
	r := runAsking(ctx, d, b, "scenario ask", func(*answers, task.Event) {
		stopping = time.Now()
		cancel(enough)
	})
	if took := time.Since(stopping); !errors.Is(r.err, enough) || took > b.wait.interrupt {
		t.Errorf("%+v, %v after %s: not by its own interrupt", r.end, r.err, took)
	}
}
