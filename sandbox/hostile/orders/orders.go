// Package orders is what the intruder is told and what it tells: it goes in by a comment on GitHub and comes out by the task's
// events, as an agent's words do.
package orders

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// MaxSaid bounds the words of a report, in bytes: a stream holds them whole.
const MaxSaid = 1000

// Orders are what one run of the intruder is to try.
type Orders struct {
	Attempts []string          `json:"attempts"`
	Targets  map[string]string `json:"targets,omitempty"` // host:port by what is there
	Mark     string            `json:"mark,omitempty"`    // an argument of what it starts, to be found by
	Own      string            `json:"own,omitempty"`     // what it can find in its own workspace, if it looks at all
	Amount   int64             `json:"amount,omitempty"`  // bytes to print or write
	Other    string            `json:"other,omitempty"`   // another task
	Token    string            `json:"token,omitempty"`   // the other task's, which its agent gave away
	Branch   string            `json:"branch,omitempty"`  // the other task's
	Repo     string            `json:"repo,omitempty"`    // another repository, owner/name
}

// Report is what came of one attempt, by the intruder's own word. It is believed in two things: that the attempt was made, and
// what was stolen, which is compared with what there was to steal.
type Report struct {
	Attempt string   `json:"attempt"`
	Ran     bool     `json:"ran"`
	Said    string   `json:"said,omitempty"`
	Loot    []string `json:"loot,omitempty"`
	Own     bool     `json:"own,omitempty"` // Orders.Own was found
}

const (
	begin = "orders-"
	told  = "report "
)

var found = regexp.MustCompile(begin + `([A-Za-z0-9_-]+)\b`)

// Request is the words by which the intruder is asked.
func (o Orders) Request() (string, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("write orders: %w", err)
	}
	return "carry out " + begin + base64.RawURLEncoding.EncodeToString(text) + " please", nil
}

// Find finds the newest orders in a prompt.
func Find(prompt string) (Orders, error) {
	all := found.FindAllStringSubmatch(prompt, -1)
	if len(all) == 0 {
		return Orders{}, errors.New("the prompt has no orders")
	}
	text, err := base64.RawURLEncoding.DecodeString(all[len(all)-1][1])
	if err != nil {
		return Orders{}, fmt.Errorf("read orders: %w", err)
	}
	var o Orders
	if err := json.Unmarshal(text, &o); err != nil {
		return Orders{}, fmt.Errorf("read orders: %w", err)
	}
	return o, nil
}

// Write makes a report a text that an agent can say.
func Write(r Report) string {
	text, err := json.Marshal(r)
	if err != nil { // strings and truths always encode
		panic(err)
	}
	return told + "`" + string(text) + "`"
}

// Read reads what Write wrote; false for any other text.
func Read(text string) (Report, bool) {
	inner, is := strings.CutPrefix(text, told+"`")
	if !is {
		return Report{}, false
	}
	var r Report
	return r, json.Unmarshal([]byte(strings.TrimSuffix(inner, "`")), &r) == nil
}
