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
	emit func(task.Event)
	send func(line []byte) // to its stdin

	lines    int
	cwd      string               // of the session: locations are told within it
	open     map[string]task.Tool // tools that have not finished, by id
	question string               // what it asks its person, which ends the run
	end      *task.End            // by its result, or earlier
	leave    bool                 // nothing good can come any more: it is to leave off
	words    tail                 // what is no line of the format
}

// claudeLine is one line, of any type, as far as SAM reads it.
type claudeLine struct {
	Type    string `json:"type"`
	Subtype string `json:"subtype"`
	Parent  string `json:"parent_tool_use_id"` // set: a subagent's

	Message     *claudeMessage  `json:"message"` // assistant, user; of a permission_denied a text, see UnmarshalJSON
	ToolResult  json.RawMessage `json:"tool_use_result"`
	IsSynthetic bool            `json:"isSynthetic"`          // a user's line that Claude Code wrote itself
	IsAPIError  bool            `json:"is_api_error_message"` // an assistant's that tells an error

	CWD string `json:"cwd"` // init

	Attempt     int     `json:"attempt"` // api_retry
	MaxRetries  int     `json:"max_retries"`
	RetryDelay  float64 `json:"retry_delay_ms"`
	ErrorStatus *int    `json:"error_status"`
	Error       string  `json:"error"`

	ToolName  string `json:"tool_name"` // permission_denied
	ToolUseID string `json:"tool_use_id"`

	RequestID string `json:"request_id"` // control_request
	Request   struct {
		Subtype  string `json:"subtype"`
		ToolName string `json:"tool_name"`
	} `json:"request"`

	claudeResult
}

// claudeResult is the end of a turn.
type claudeResult struct {
	IsError   bool     `json:"is_error"` // read this: a dead API has subtype success
	Terminal  string   `json:"terminal_reason"`
	APIStatus *int     `json:"api_error_status"`
	Result    string   `json:"result"`
	Errors    []string `json:"errors"`
	Queued    int      `json:"queued_turn_count"`
	// By model. total_cost_usd and modelUsage are sums over the session, resumed ones too.
	Usage map[string]struct {
		Input      int64   `json:"inputTokens"`
		Output     int64   `json:"outputTokens"`
		CacheRead  int64   `json:"cacheReadInputTokens"`
		CacheWrite int64   `json:"cacheCreationInputTokens"`
		USD        float64 `json:"costUSD"`
	} `json:"model_usage_since_last_result"`
}

type claudeMessage struct {
	Text    string // where the message is a text
	Content []claudeBlock
}

// UnmarshalJSON takes what "message" is on the different types of line: a text, or an object whose content is a text or a list.
func (m *claudeMessage) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &m.Text)
	}
	var object struct {
		Content claudeContent `json:"content"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	m.Content = object.Content
	return nil
}

// claudeBlock is a part of a message. ID, Name and Input are of a tool's use, ToolUseID, IsError and Content of its result.
type claudeBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Thinking  string          `json:"thinking"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	IsError   bool            `json:"is_error"`
	Content   claudeContent   `json:"content"`
}

// claudeContent is a list of blocks; a text stands for a list of one.
type claudeContent []claudeBlock

// UnmarshalJSON implements json.Unmarshaler.
func (c *claudeContent) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		*c = claudeContent{{Type: "text", Text: text}}
		return nil
	}
	return json.Unmarshal(data, (*[]claudeBlock)(c))
}

func (c claudeContent) text() string {
	var parts []string
	for _, b := range c {
		if b.Type == "text" {
			parts = append(parts, b.Text)
		} else {
			parts = append(parts, "["+b.Type+"]")
		}
	}
	return strings.Join(parts, "\n")
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
		t.control(l)
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
			events = append(events, t.use(b))
		}
	}
	return events
}

// use is a tool's start, or what only looks like one: a plan, a question.
func (t *claudeTalk) use(b claudeBlock) task.Event {
	if plan := claudePlan(b); len(plan) > 0 {
		return task.Event{Kind: task.Planned, Plan: plan}
	}
	if question := claudeQuestion(b); question != "" {
		t.question = question
		return task.Event{Kind: task.Asked, Text: question}
	}
	title, location := claudeTitle(b, t.cwd)
	tool := task.Tool{ID: b.ID, Name: b.Name, Title: title, Location: location}
	t.open[b.ID] = tool
	return task.Event{Kind: task.ToolStarted, Tool: &tool}
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

// control answers what Claude Code asks of whoever runs it. A question of the agent's ends the run; it was told of before.
func (t *claudeTalk) control(l claudeLine) {
	switch {
	case l.Request.Subtype != "can_use_tool":
		t.send(claudeUnable(l.RequestID))
	case t.question != "":
		t.send(claudeDenial(l.RequestID, "The person is asked, and this run ends here.", true))
	default:
		t.send(claudeDenial(l.RequestID, "There is nobody who could allow this. Find another way, or say in your last message what you needed.", false))
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
