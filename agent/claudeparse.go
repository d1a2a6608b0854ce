package agent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"sam/task"
)

// claudeTalk translates what Claude Code says, line by line, into events. It is a function of the lines alone: the same
// ones make the same events, which is what a replay needs.
type claudeTalk struct {
	emit    func(task.Event)
	replies *replies // to what it asks
	answers *answers

	lines    int
	cwd      string               // of the session: locations are told within it
	open     map[string]task.Tool // tools that have not finished, by id
	request  string               // its request for that
	asks     string               // the question that it waits for the answer to, by its id; empty: none
	question string               // what it asks where nobody can answer, which ends the run
	end      *task.End            // by its result, or earlier
	leave    bool                 // nothing good can come any more: it is to leave off
	words    tail                 // what is no line of the format
}

// line takes one line of its output. One that is too long is cut: it is a tool's result, if anything, and told as that.
func (t *claudeTalk) line(line []byte, long bool) {
	t.lines++
	if t.open == nil {
		t.open, t.words.max = map[string]task.Tool{}, 8<<10
	}
	if long {
		t.tooLong(line)
		return
	}
	if bytes.HasPrefix(line, []byte(`{"type":"stream_event"`)) {
		return // a piece of a message that comes whole later
	}
	var l claudeLine
	if !bytes.HasPrefix(line, []byte("{")) {
		t.stray(line)
		return
	}
	if _ = json.Unmarshal(line, &l); l.Type == "" { // a field of another kind than expected is no reason to lose the others
		t.stray(line)
		return
	}
	var events []task.Event
	switch l.Type {
	case "system":
		events = t.system(l)
	case "assistant":
		events = t.assistant(l)
	case "user":
		events = t.user(l)
	case "result":
		events = t.result(l.Subtype, l.claudeResult)
	case "control_request":
		events = t.control(l)
	case "control_cancel_request":
		if t.asks != "" && l.RequestID == t.request {
			t.replies.withdraw(t.asks)
			t.asks = ""
		}
	}
	for i, e := range events {
		if i == 0 && len(line) <= task.MaxEvent {
			e.Raw = bytes.Clone(line)
		} else if i == 0 {
			e.Cut += len(line)
		}
		t.emit(e)
	}
}

// stray keeps the beginning of what is no line of the format, should these be its last words.
func (t *claudeTalk) stray(line []byte) {
	_, _ = t.words.Write(line[:min(len(line), 1<<10)])
	_, _ = t.words.Write([]byte{'\n'})
}

func (t *claudeTalk) system(l claudeLine) []task.Event {
	switch l.Subtype {
	case "init": // comes with every turn
		t.cwd = strings.TrimSuffix(l.CWD, "/") + "/"
	case "api_retry":
		if l.ErrorStatus != nil && isKeyRefusal(*l.ErrorStatus) && l.Attempt >= 2 { // it would go on for minutes
			end := keyRefused(*l.ErrorStatus)
			t.end, t.leave = &end, true
		}
		what := "did not answer"
		if l.ErrorStatus != nil {
			what = fmt.Sprintf("answered %d", *l.ErrorStatus)
		}
		wait := time.Duration(l.RetryDelay * float64(time.Millisecond)).Round(100 * time.Millisecond)
		return []task.Event{{Kind: task.Retried, Text: fmt.Sprintf("The model %s (%s): retry %d of %d in %s.",
			what, cmp.Or(strings.ReplaceAll(l.Error, "_", " "), "no reason given"), l.Attempt, l.MaxRetries, wait)}}
	case "permission_denied":
		why := ""
		if l.Message != nil {
			why = l.Message.Text
		}
		return t.finish(l.ToolUseID, task.Tool{Name: l.ToolName, Failed: true, Output: "Permission denied. " + why})
	}
	return nil
}

func (t *claudeTalk) assistant(l claudeLine) []task.Event {
	if l.Message == nil || l.IsAPIError {
		return nil // its words are Claude Code's own, and the result has them
	}
	var events []task.Event
	for _, b := range l.Message.Content {
		switch {
		case b.Type == "text" && strings.TrimSpace(b.Text) != "":
			kind := task.Said
			if l.Parent != "" {
				kind = task.Thought // a subagent speaks to the agent, not to the person
			}
			events = append(events, task.Event{Kind: kind, Text: b.Text})
		case b.Type == "thinking" && strings.TrimSpace(b.Thinking) != "":
			events = append(events, task.Event{Kind: task.Thought, Text: b.Thinking})
		case b.Type == "tool_use" && b.ID != "":
			events = append(events, t.use(b)...)
		}
	}
	return events
}

// use is a tool's start, or what only looks like one: a plan. A question is told when it is put to us: see control.
func (t *claudeTalk) use(b claudeBlock) []task.Event {
	if plan := claudePlan(b); len(plan) > 0 {
		return []task.Event{{Kind: task.Planned, Plan: plan}}
	}
	if b.Name == claudeAsks {
		return nil
	}
	title, location := claudeTitle(b, t.cwd)
	tool := task.Tool{ID: b.ID, Name: b.Name, Title: title, Location: location}
	t.open[b.ID] = tool
	return []task.Event{{Kind: task.ToolStarted, Tool: &tool}}
}

// finish closes a tool that was started; a second word about it, or one about a plan, is passed over.
func (t *claudeTalk) finish(id string, with task.Tool) []task.Event {
	started, ok := t.open[id]
	if !ok {
		return nil
	}
	delete(t.open, id)
	with.ID, with.Name, with.Title = id, started.Name, started.Title
	with.Location = cmp.Or(with.Location, started.Location)
	e := task.Event{Kind: task.ToolFinished, Tool: &with}
	if n := len(with.Output); n > 2*task.MaxEvent { // what is longer would be cut anyway
		with.Output = keepEnd(with.Output, 2*task.MaxEvent)
		e.Cut = n - len(with.Output)
	}
	return []task.Event{e}
}

var claudeExit = regexp.MustCompile(`^Exit code (\d{1,3})\b`)

func (t *claudeTalk) user(l claudeLine) []task.Event {
	if l.Message == nil {
		return nil
	}
	var results []claudeBlock
	for _, b := range l.Message.Content {
		if b.Type == "tool_result" {
			results = append(results, b)
		}
	}
	if len(results) == 0 && l.IsSynthetic && strings.HasPrefix(claudeContent(l.Message.Content).text(), "Your response above was cut off") {
		return []task.Event{{Kind: task.Retried, Text: "The model's answer broke off. It is asked to go on where it stopped."}}
	}
	var events []task.Event
	for _, b := range results {
		if t.asks != "" && b.ToolUseID == t.asks {
			events = append(events, t.gotAnswer()...)
			continue
		}
		tool := task.Tool{Output: b.Content.text(), Failed: b.IsError}
		detail := claudeDetail{}
		if len(results) == 1 && json.Unmarshal(l.ToolResult, &detail) == nil { // a text, where the tool failed
			tool.Diff = detail.diff(t.cwd)
			if at := detail.line(); at > 0 {
				tool.Location = fmt.Sprintf("%s:%d", inFolder(t.cwd, detail.FilePath), at)
			}
		}
		if t.open[b.ToolUseID].Name == "Bash" {
			tool.Exit = claudeExitCode(tool, detail)
		}
		events = append(events, t.finish(b.ToolUseID, tool)...)
	}
	return events
}

// claudeExitCode is a command's exit code where it is told: in words when it is not 0, not at all for one in the background.
func claudeExitCode(tool task.Tool, detail claudeDetail) *int {
	code := 0
	switch m := claudeExit.FindStringSubmatch(tool.Output); {
	case tool.Failed && m != nil:
		_, _ = fmt.Sscan(m[1], &code)
	case tool.Failed || detail.Interrupted || detail.Background != "":
		return nil
	}
	return &code
}

// tooLong tells of a result that is longer than what is read.
func (t *claudeTalk) tooLong(line []byte) {
	head := line[:min(len(line), 4<<10)]
	id := regexp.MustCompile(`"tool_use_id":"([^"]+)"`).FindSubmatch(head)
	if !bytes.HasPrefix(head, []byte(`{"type":"user"`)) || id == nil {
		t.stray(head)
		return
	}
	for _, e := range t.finish(string(id[1]), task.Tool{Output: "(what it gave back is longer than 16 MiB, and left out)"}) {
		e.Cut = len(line)
		t.emit(e)
	}
}

// result is the end of a turn: the last one, unless messages that came meanwhile are still queued.
func (t *claudeTalk) result(subtype string, r claudeResult) []task.Event {
	var events []task.Event
	for _, model := range slices.Sorted(maps.Keys(r.Usage)) {
		u := r.Usage[model]
		used := task.Usage{Model: model, Input: u.Input, Output: u.Output, CacheRead: u.CacheRead, CacheWrite: u.CacheWrite,
			MicroUSD: int64(math.Round(u.USD * 1e6))}
		if used != (task.Usage{Model: model}) {
			events = append(events, task.Event{Kind: task.Used, Usage: &used})
		}
	}
	if r.Queued > 0 && !r.IsError || t.leave {
		return events
	}
	end := claudeEnd(subtype, r)
	t.end = &end
	return events
}
