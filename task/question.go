package task

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Question is what an agent asked and cannot go on without. The task waits with it, with its node as long as that lives,
// and without one from then on.
type Question struct {
	ID      string   `json:"id"`  // of its Ask
	Seq     int64    `json:"seq"` // of its event: names it within the task, for ever
	Text    string   `json:"text"`
	Options []string `json:"options,omitempty"`

	Asked    time.Time `json:"asked,omitzero"`     // Redis's clock
	Reminded int       `json:"reminded,omitempty"` // how many reminders are owed or told
	Expired  bool      `json:"expired,omitempty"`  // nobody answered in time: the task is being ended
}

// Answer is a question with the words that answered it.
type Answer struct {
	Question string `json:"question"`
	Text     string `json:"text"`
	By       string `json:"by"` // GitHub login
}

// maxQuestion is how much of a question is kept with the task, bytes. All of it is in its event.
const maxQuestion = 16 << 10

// newQuestion is the question of an Asked event that has an Ask.
func newQuestion(e Event) *Question {
	text := keepHead(e.Text, maxQuestion)
	if len(text) < len(e.Text) {
		text += " …"
	}
	return &Question{ID: e.Ask.ID, Seq: e.Seq, Text: text, Options: e.Ask.Options}
}

// Key names the question within its task, for the comment that asks it.
func (q Question) Key() string { return strconv.FormatInt(q.Seq, 10) }

// Reminders are when a question that nobody has answered is told again, counted from when it was asked. Deadline(Waiting)
// is when it is given up.
func Reminders() []time.Duration { return []time.Duration{24 * time.Hour, 3 * 24 * time.Hour} }

// Waited is what a look after a waiting task did.
type Waited string

// What it does.
const (
	WaitedOn      Waited = "nothing"
	WaitedAlone   Waited = "alone"    // the node is lost: the task let go of it and waits on without one
	WaitedRemind  Waited = "reminded" // a reminder is owed
	WaitedTooLong Waited = "over"     // the time for an answer is over
)

// Unanswered is why a task ends with whose question nothing happened, for the person.
func Unanswered(t Task) string {
	days := int(Deadline(Waiting) / (24 * time.Hour))
	words := fmt.Sprintf("Nobody answered the agent's question within %d days.", days)
	if t.Ask != nil {
		words += "\n\n> " + strings.ReplaceAll(strings.TrimSpace(t.Ask.Text), "\n", "\n> ")
	}
	return words + "\n\nAsk again, with the answer in the request."
}

// ReminderEffect owes a short comment that the question still waits. The n-th, from 0, is owed once.
func ReminderEffect(t Task, n int) Effect {
	left := Deadline(Waiting) - Reminders()[n]
	return ReplyEffect(t.Project, t.Number, fmt.Sprintf("reminder-%s-%s-%d", t.ID, t.Ask.Key(), n+1), fmt.Sprintf(
		"@%s SAM still waits for an answer to its question above. Answer with `/sam` and your words; without an answer the task ends in %d days.",
		t.Requester, int(left/(24*time.Hour))))
}
