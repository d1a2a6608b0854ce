package agent

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"sam/task"
)

// claudeAsks is Claude Code's tool for asking its person. It asks for leave to use it, with the questions as input, and
// takes the answers out of the input that it is allowed: so the leave is the answer.
const claudeAsks = "AskUserQuestion"

// claudeQuestion is one of those that it asks at once, at most four.
type claudeQuestion struct {
	Question string `json:"question"`
	Options  []struct {
		Label       string `json:"label"`
		Description string `json:"description"`
	} `json:"options"`
}

// Bounds of what is told of a question's options.
const (
	maxOptions     = 16
	maxOptionBytes = 200
)

// control answers what Claude Code asks of whoever runs it.
func (t *claudeTalk) control(l claudeLine) []task.Event {
	if l.Request.Subtype != "can_use_tool" {
		t.replies.say(claudeUnable(l.RequestID))
		return nil
	}
	questions, id := claudeQuestions(l.Request.ToolName, l.Request.Input), cmp.Or(l.Request.ToolUseID, l.RequestID)
	switch {
	case len(questions) == 0 || len(id) > task.MaxAskID:
		t.replies.say(claudeDenial(l.RequestID, "There is nobody who could allow this. Find another way, or say in your last message what you needed.", false))
		return nil
	case t.asks != "":
		t.replies.say(claudeDenial(l.RequestID, "Another question of yours is with the person. Ask one thing at a time: ask this when that is answered.", false))
		return nil
	}
	asked := task.Event{Kind: task.Asked, Text: claudeAsked(questions)}
	if !t.answers.possible() {
		t.question = asked.Text
		t.replies.say(claudeDenial(l.RequestID, "The person is asked, and this run ends here.", true))
		return []task.Event{asked}
	}
	t.asks, t.request = id, l.RequestID
	asked.Ask = &task.Ask{ID: id, Options: claudeOptions(questions)}
	t.replies.ask(id, func(answer string) []byte {
		return claudeLeave(l.RequestID, claudeAnswers(l.Request.Input, questions, answer))
	})
	return []task.Event{asked}
}

// gotAnswer tells of the answer when Claude Code has it.
func (t *claudeTalk) gotAnswer() []task.Event {
	text, ok, _ := t.answers.get(t.asks)
	if !ok { // it was interrupted
		t.replies.withdraw(t.asks)
		t.asks = ""
		return nil
	}
	t.asks = ""
	return []task.Event{{Kind: task.Answered, Text: text}}
}

// unanswerable is how an attempt ends whose question nobody can answer while the agent waits.
func unanswerable(agent, question string) string {
	return agent + " needs an answer before it can go on. Ask again, with the answer in the request.\n\n" + question
}

// claudeQuestions reads a use of its tool for asking; nil for another tool, or when it asks nothing.
func claudeQuestions(tool string, input json.RawMessage) []claudeQuestion {
	var in struct {
		Questions []claudeQuestion `json:"questions"`
	}
	if tool != claudeAsks || json.Unmarshal(input, &in) != nil {
		return nil
	}
	for _, q := range in.Questions {
		if strings.TrimSpace(q.Question) == "" {
			return nil
		}
	}
	return in.Questions
}

// claudeAsked is the questions as Markdown.
func claudeAsked(questions []claudeQuestion) string {
	var text strings.Builder
	for _, q := range questions {
		fmt.Fprintf(&text, "%s\n\n", strings.TrimSpace(q.Question))
		for _, o := range q.Options {
			fmt.Fprintf(&text, "- %s\n", strings.TrimSuffix(o.Label+": "+o.Description, ": "))
		}
		text.WriteByte('\n')
	}
	return strings.TrimSpace(text.String())
}

// claudeOptions are the answers that are offered, when it is one question.
func claudeOptions(questions []claudeQuestion) []string {
	if len(questions) != 1 {
		return nil
	}
	var labels []string
	for _, o := range questions[0].Options[:min(maxOptions, len(questions[0].Options))] {
		labels = append(labels, keepHead(o.Label, maxOptionBytes))
	}
	return labels
}

// claudeAnswers is the input of the tool with the answers in it: to each question, by its text, a text. Measured with
// 2.1.330: that may be an option's label or any other words. A number stands for the option; several questions are
// answered a line each, or all with the same words.
func claudeAnswers(input json.RawMessage, questions []claudeQuestion, answer string) json.RawMessage {
	lines := answerLines(answer)
	answers := map[string]string{}
	for i, q := range questions {
		words := strings.TrimSpace(answer)
		if len(questions) > 1 && len(lines) == len(questions) {
			words = lines[i]
		}
		answers[q.Question] = q.choose(words)
	}
	var whole map[string]json.RawMessage
	encoded, err := json.Marshal(answers)
	if err == nil {
		err = json.Unmarshal(input, &whole) // it was read as an object before
	}
	if err == nil {
		whole["answers"] = encoded
		if encoded, err = json.Marshal(whole); err == nil {
			return encoded
		}
	}
	panic(err) // texts always encode
}

// choose is the option that the words mean, or the words.
func (q claudeQuestion) choose(words string) string {
	if n, err := strconv.Atoi(strings.TrimRight(words, ".)")); err == nil && n >= 1 && n <= len(q.Options) && !q.numbered() {
		return q.Options[n-1].Label
	}
	for _, o := range q.Options {
		if strings.EqualFold(words, o.Label) {
			return o.Label
		}
	}
	return words
}

// numbered reports whether an option begins with a digit: then a number is an answer and not the place of one.
func (q claudeQuestion) numbered() bool {
	for _, o := range q.Options {
		if o.Label != "" && o.Label[0] >= '0' && o.Label[0] <= '9' {
			return true
		}
	}
	return false
}

var listMark = regexp.MustCompile(`^\s*(?:\d+[.)]|[-*])\s+`)

// answerLines are the lines of an answer that say something, without a list's marks.
func answerLines(answer string) []string {
	var lines []string
	for line := range strings.Lines(answer) {
		if line = strings.TrimSpace(listMark.ReplaceAllString(line, "")); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// claudeLeave allows the use of a tool, with another input than it asked for.
func claudeLeave(request string, input json.RawMessage) []byte {
	type leave struct {
		Behavior string          `json:"behavior"`
		Input    json.RawMessage `json:"updatedInput"`
	}
	return claudeAnswer(map[string]any{"subtype": "success", "request_id": request, "response": leave{"allow", input}})
}
