package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"sam/task"
)

// ended decides about an attempt that is over before the agent could finish: preparing failed, the agent gave no sign for too
// long, or the node is lost. Only a node gets a second try: what the agent or the repository did once they do again.
func (r *Runner) ended(ctx context.Context, p task.Project, c task.Claimed) error {
	reason := fmt.Sprintf("Its node %s has been silent for %s.", c.Node, task.NodeSilence)
	switch {
	case c.End != nil && c.End.Outcome == task.Stopped:
		return r.cancelled(ctx, c.Task, c.End.Reason)
	case c.End != nil && c.End.Outcome != task.Lost:
		return r.fail(ctx, c.Task, c.End.Reason)
	case c.End != nil:
		reason = c.End.Reason
	case !c.Progressed.IsZero() && c.Claimed.Sub(c.Progressed) >= r.Bounds.Silence:
		return r.fail(ctx, c.Task, fmt.Sprintf("The agent %s gave no sign for %s, so it was stopped: it is stuck, or it waits for a program that does not end. "+
			"Ask again, and say what it should leave out or how long things may take.%s", c.Agent, r.Bounds.Silence, r.lastWords(ctx, c.Task)))
	}
	if c.Attempts >= r.Bounds.Attempts {
		return r.fail(ctx, c.Task, fmt.Sprintf("%s It was attempt %d of %d. Ask again when the nodes are well.%s",
			reason, c.Attempts, r.Bounds.Attempts, r.lastWords(ctx, c.Task)))
	}
	zerolog.Ctx(ctx).Warn().Str("node", c.Node).Str("reason", reason).Msg("the attempt is lost; the task is placed again")
	again := c.Task
	again.State, again.Node, again.Avoid, again.Sought = task.Placing, "", c.Node, c.Claimed
	again.Waits = reason + " It is tried once more."
	if err := r.store.Move(ctx, c.Task, task.Placing, task.Change{
		Fields: map[task.Field]string{
			task.FieldNode: "", task.FieldAvoid: again.Avoid, task.FieldWaits: again.Waits,
			task.FieldSought: strconv.FormatInt(again.Sought.UnixMilli(), 10),
		},
		Effects: []task.Effect{task.StatusEffect(c.Spec)},
	}); err != nil {
		return err
	}
	return r.place(ctx, p, again)
}

const (
	lastEvents = 40  // how far back the last words are looked for
	lastLines  = 8   // how many lines of them are told
	lastLine   = 200 // characters of a line
)

// lastWords is the last that was heard of the agent, quoted, for a task whose end it could not explain itself; empty when it
// said nothing, or when that cannot be read: the task ends all the same.
func (r *Runner) lastWords(ctx context.Context, t task.Task) string {
	events, err := r.store.Events(ctx, t.ID, max(0, t.Last-lastEvents), lastEvents)
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("the agent's last words cannot be read")
		return ""
	}
	var lines []string
	for _, n := range events {
		var e task.Event
		if err := json.Unmarshal(n.JSON, &e); err != nil {
			continue // it was checked when it was stored, and is of a later release
		}
		lines = append(lines, words(e)...)
	}
	if len(lines) == 0 {
		return ""
	}
	lines = lines[max(0, len(lines)-lastLines):]
	return "\n\nThe last that was heard of it:\n\n> " + strings.Join(lines, "\n> ")
}

// words are an event's lines as a person reads them.
func words(e task.Event) []string {
	text := ""
	switch {
	case e.Kind == task.Said || e.Kind == task.Retried || e.Kind == task.Asked:
		text = e.Text
	case e.Kind == task.ToolStarted && e.Tool != nil:
		text = strings.TrimSpace(e.Tool.Name + " " + e.Tool.Title)
	case e.Kind == task.ToolFinished && e.Tool != nil:
		text = e.Tool.Output
	}
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if cut := []rune(line); len(cut) > lastLine {
			line = string(cut[:lastLine]) + "…"
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
