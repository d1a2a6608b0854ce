package dashboard

import (
	"bytes"
	"encoding/json"
	"html/template"
	"strings"
	"time"

	"sam/task"
)

// How much of one event a page holds at once; the rest is fetched when somebody wants to see it.
const (
	inlineText   = 12 << 10
	inlineOutput = 4 << 10
)

// eventView is one event as templates/event.html shows it.
type eventView struct {
	Task   task.ID
	Seq    int64
	At     time.Time
	Kind   task.Kind
	Known  bool
	Full   bool          // all of it, whatever its size
	HTML   template.HTML // of its text, or of what the program has printed that a step or a notice is about
	Words  string        // its text as one line
	Tool   *toolView
	Step   *task.Step
	Plan   []task.PlanItem
	Done   int // of the plan
	Usage  *task.Usage
	Notice *noticeView
	End    *task.End
	Cut    int // bytes that its node left out
	Left   int // bytes that this page leaves out
	Raw    string
	// Fate is of a tool that started: open, settled (its end is shown), or left (its end is elsewhere or never came).
	Fate string
}

type toolView struct {
	task.Tool
	Title  string // one line
	Whole  string // the title where it is longer
	Output template.HTML
	Files  []diffFile
	Diff   string // what should be a diff and is none
	Body   bool   // there is something to unfold
	Code   string // the exit code, "" for none
	Bad    bool   // it is not 0
}

// Added is how many lines the tool added.
func (t *toolView) Added() int {
	n := 0
	for _, f := range t.Files {
		n += f.Added
	}
	return n
}

// Deleted is how many lines the tool deleted.
func (t *toolView) Deleted() int {
	n := 0
	for _, f := range t.Files {
		n += f.Deleted
	}
	return n
}

func (e eventView) ToolID() string {
	if e.Tool == nil {
		return ""
	}
	return visible(head(e.Tool.ID, 200))
}

// decode reads an event of this or of a later release: what is wrong with it makes it unknown, never an error.
func decode(n task.Numbered) (task.Event, bool) {
	e, err := task.ParseEvent(n.JSON)
	if err == nil {
		e.Seq = n.Seq
		return e, true
	}
	var odd struct {
		Kind task.Kind `json:"kind"`
		At   time.Time `json:"at"`
	}
	_ = json.Unmarshal(n.JSON, &odd) // then it has no kind and no time
	return task.Event{Seq: n.Seq, Kind: odd.Kind, At: odd.At}, false
}

// view prepares an event for its template.
func (r *render) view(id task.ID, n task.Numbered, full bool) eventView {
	e, known := decode(n)
	v := eventView{Task: id, Seq: e.Seq, At: e.At, Kind: e.Kind, Known: known, Full: full, Cut: e.Cut, Step: e.Step,
		Plan: e.Plan, Usage: e.Usage, End: e.End}
	if !known {
		v.Words = line(string(e.Kind), 40)
		v.Raw = visible(head(string(n.JSON), inlineOutput))
		v.Left = max(0, len(n.JSON)-inlineOutput)
		return v
	}
	if full {
		v.Raw = raw(e, n.JSON)
	}
	switch e.Kind {
	case task.Said, task.Asked, task.Answered, task.Thought:
		text := e.Text
		if !full {
			text = head(text, inlineText)
		}
		v.Left = len(e.Text) - len(text)
		v.HTML, v.Words = r.markdown.html(text), line(e.Text, 140)
	case task.Stepped:
		text := e.Text
		if !full {
			text = head(text, inlineText)
		}
		v.Left = len(e.Text) - len(text)
		if text != "" {
			v.HTML = r.terminal.html(text)
		}
	case task.Retried:
		v.Words = line(e.Text, 400)
	case task.Noticed:
		words, printed := noticed(e.Text)
		v.Words, v.Notice = line(words, 600), notice(*e.Notice)
		if !full {
			text := rear(printed, inlineText)
			v.Left, printed = len(printed)-len(text), text
		}
		if printed != "" {
			v.HTML = r.terminal.html(printed)
		}
	case task.ToolStarted, task.ToolFinished:
		v.Tool, v.Left = r.tool(*e.Tool, full)
		v.Fate = "open"
	case task.Planned:
		for _, item := range e.Plan {
			if item.Status == "done" {
				v.Done++
			}
		}
	case task.Finished:
		v.Words = line(e.End.Reason, 400)
	}
	return v
}

func (r *render) tool(t task.Tool, full bool) (*toolView, int) {
	v := &toolView{Tool: t, Title: line(t.Title, 200)}
	if v.Whole = visible(t.Title); v.Whole == v.Title || len(v.Whole) > inlineText {
		v.Whole = ""
	}
	v.Body = t.Output != "" || t.Diff != "" || v.Whole != ""
	if t.Exit != nil {
		v.Code, v.Bad = decimal(int64(*t.Exit)), *t.Exit != 0
	}
	if t.Diff != "" {
		v.Files = parseDiff(t.Diff)
	}
	if size := len(t.Output) + len(t.Diff); size > inlineOutput && !full {
		return v, size
	}
	if t.Output != "" {
		v.Output = r.terminal.html(t.Output)
	}
	if t.Diff != "" && v.Files == nil {
		v.Diff = visible(t.Diff)
	}
	return v, 0
}

// noticeView is what a notice is about: what kind it is in words, and what it names.
type noticeView struct{ Title, Subject string }

// noticeTitles are the notices that a page has words for.
var noticeTitles = map[string]string{
	"host_refused":          "A host was refused",
	"push_refused":          "A push was refused",
	"model_refused":         "A request to the model was refused",
	"output_cut":            "Output was cut",
	"devcontainer_refused":  "Left out of the project's environment",
	"devcontainer_failed":   "The project's environment failed",
	"devcontainer_left_out": "Not to be had, and left out of the project's environment",
	"devcontainer_ignored":  "Not used of the project's environment",
	"grant_refused":         "Somebody else's credential was refused",
	"token_refused":         "The task's token was refused elsewhere",
	"processes_refused":     "The limit of processes was reached",
	"memory_exhausted":      "The memory was exhausted",
	"repository_ignored":    "Not followed in the repository",
	"restored_from_base":    "Restored from the base branch",
	"secret_withheld":       "A secret was withheld",
	"service_ended":         "A service of the project ended",
}

func notice(n task.Notice) *noticeView {
	title, known := noticeTitles[n.Code]
	if !known {
		title = strings.ReplaceAll(line(n.Code, 40), "_", " ")
	}
	return &noticeView{Title: title, Subject: line(n.Subject, 200)}
}

// noticed parts what a notice says from what a program printed: its end is what tells why it failed, and is to be
// read line by line. A node's notice has that in a fence, whose end is the last one: what is printed may have some, too.
func noticed(text string) (words, printed string) {
	words, printed, fenced := strings.Cut(text, "\n```\n")
	if !fenced {
		return text, ""
	}
	after := ""
	if end := strings.LastIndex(printed, "\n```"); end >= 0 {
		printed, after = printed[:end], printed[end+len("\n```"):]
	}
	return words + after, printed
}

// maxIndent is how deep JSON nests that is still laid out: every level indents all that is in it.
const maxIndent = 64

// raw is the agent's own line, or the event itself where that was not kept.
func raw(e task.Event, whole []byte) string {
	source := []byte(e.Raw)
	if len(source) == 0 {
		source = whole
	}
	if levels(source) > maxIndent {
		return visible(string(source))
	}
	var b bytes.Buffer
	if err := json.Indent(&b, source, "", "  "); err != nil || b.Len() > 4*task.MaxEvent {
		return visible(string(source))
	}
	return visible(b.String())
}

// levels is how deep JSON nests.
func levels(source []byte) int {
	deepest, now := 0, 0
	text, escaped := false, false
	for _, c := range source {
		switch {
		case escaped:
			escaped = false
		case text:
			escaped, text = c == '\\', c != '"'
		case c == '"':
			text = true
		case c == '[' || c == '{':
			now++
			deepest = max(deepest, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return deepest
}

// settle says of each tool that started whether its end is among these events too. At the end of a task nothing is open.
func settle(views []eventView, open bool) {
	started := map[string]int{}
	leave := func() {
		for _, i := range started {
			views[i].Fate = "left"
		}
		clear(started)
	}
	for i, v := range views {
		switch v.Kind {
		case task.ToolStarted:
			if v.Tool != nil {
				started[v.Tool.ID] = i
			}
		case task.ToolFinished:
			if v.Tool == nil {
				continue
			}
			if begin, ok := started[v.Tool.ID]; ok {
				views[begin].Fate = "settled"
				delete(started, v.Tool.ID)
			}
		case task.Finished:
			leave()
		}
	}
	if !open {
		leave()
	}
}
