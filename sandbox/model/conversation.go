package model

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"
)

// turn is a conversation as the scripts see it: the latest request of the user, and what was done for it since.
type turn struct {
	request string   // empty when there is none
	asked   string   // the model's last text before the request
	steered []string // what the user sent while the model worked
	steps   []step
	dir     string // the client's working directory, as its system messages tell; may be empty
	tools   toolbox
	offered int // how many tools there are, known or not
	forced  *offered
	title   bool            // a request for a title of the conversation
	schema  json.RawMessage // what the answer must look like; nil: text

	pace    time.Duration
	attempt func() int // how often this very request was made before
}

// step is a use of a tool with what came of it.
type step struct {
	id, name string
	input    json.RawMessage
	text     string
	failed   bool
}

// How Claude Code wraps what is not the user's own request, measured with 2.1.330: context in system-reminder blocks,
// and in role system when the service takes that; a message that comes mid-turn in either, with this sentence before it
// and an explanation after.
var (
	reminder  = regexp.MustCompile(`(?s)<system-reminder>.*?</system-reminder>`)
	midTurn   = regexp.MustCompile(`(?s)The user sent a new message while you were working:\n(.*?)(?:\n\nThis is how Claude Code|\n\nIMPORTANT:|</system-reminder>|$)`)
	directory = regexp.MustCompile(`(?:Primary working directory|Working directory): (\S.*)`)
)

// converse reads the conversation of a request that has passed its checks.
func converse(r *request) *turn {
	t := &turn{tools: open(r), offered: len(r.Tools), schema: r.schema()}
	system := r.System.text()
	t.title = len(r.Tools) == 0 && strings.Contains(strings.ToLower(system), "title")
	if m := directory.FindStringSubmatch(system); m != nil {
		t.dir = strings.TrimSpace(m[1])
	}
	if r.ToolChoice.Type == "tool" {
		for _, o := range r.Tools {
			if o.Name == r.ToolChoice.Name {
				t.forced = &offered{name: o.Name, schema: o.Schema}
			}
		}
	}
	said := ""
	for _, m := range r.Messages {
		switch m.Role {
		case "assistant":
			for _, b := range m.Content {
				switch b.Type {
				case "text":
					said = b.Text
				case "tool_use":
					t.steps = append(t.steps, step{id: b.ID, name: b.Name, input: b.Input})
				}
			}
		case "system":
			text := m.Content.text()
			if m := directory.FindStringSubmatch(text); m != nil {
				t.dir = strings.TrimSpace(m[1])
			}
			t.steer(text)
		case "user":
			t.hear(m.Content, said)
		}
	}
	return t
}

// hear takes in a message of the user: results of tools, a new request, or both, and then the text is no new request
// but came while the tools ran.
func (t *turn) hear(c content, said string) {
	results := false
	for _, b := range c {
		if b.Type != "tool_result" {
			continue
		}
		results = true
		for i := range t.steps {
			if t.steps[i].id == b.ToolUseID {
				t.steps[i].text, t.steps[i].failed = b.Content.text(), b.IsError
			}
		}
	}
	all := c.text()
	t.steer(all)
	own := strings.TrimSpace(reminder.ReplaceAllString(all, ""))
	switch {
	case own == "" || strings.HasPrefix(own, "[Request interrupted by user"):
	case results:
		t.steered = append(t.steered, own)
		t.anew(own)
	default:
		t.request, t.asked, t.steered, t.steps = requestIn(own), said, nil, nil
	}
}

// steer finds the messages that came mid-turn.
func (t *turn) steer(text string) {
	for _, m := range midTurn.FindAllStringSubmatch(text, -1) {
		own := strings.TrimSpace(m[1])
		t.steered = append(t.steered, own)
		t.anew(own)
	}
}

// anew begins a turn when a message that came mid-turn names a scenario of its own.
func (t *turn) anew(text string) {
	if _, known := named(text); known {
		t.request, t.steered, t.steps = text, nil, nil
	}
}
