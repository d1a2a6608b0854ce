package model

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// answer is what a scenario wants said: texts, then tools to use. Or how it fails instead.
type answer struct {
	texts []string
	calls []call

	pieces []string // one text, cut already; sent instead of texts
	pace   time.Duration
	ending ending
	fault  *fault
	hang   bool
}

type ending int

const (
	whole     ending = iota
	drops            // the connection, half way
	overloads        // an error event, half way
)

func say(texts ...string) answer { return answer{texts: texts} }

// reply is a message as the API has it.
type reply struct {
	ID           string     `json:"id"`
	Type         string     `json:"type"`
	Role         string     `json:"role"`
	Model        string     `json:"model"`
	Content      []outBlock `json:"content"`
	StopReason   *string    `json:"stop_reason"`
	StopSequence *string    `json:"stop_sequence"`
	Usage        Usage      `json:"usage"`
}

// outBlock is a block of an answer. Which fields count depends on kind.
type outBlock struct {
	kind      string
	text      string // text or thinking; WTF-8, see quote
	signature string
	id, name  string
	input     json.RawMessage
	pieces    []string // how text is streamed; nil: cut by size
}

// MarshalJSON gives the block with the fields of its kind alone.
func (b outBlock) MarshalJSON() ([]byte, error) {
	switch b.kind {
	case "tool_use":
		return encode(map[string]any{"type": b.kind, "id": b.id, "name": b.name, "input": b.input}), nil
	case "thinking":
		return encode(map[string]any{"type": b.kind, "thinking": b.text, "signature": b.signature}), nil
	}
	return encode(map[string]any{"type": b.kind, "text": quote(b.text)}), nil
}

func (b outBlock) tokens() int {
	if b.kind == "tool_use" {
		return count(b.name) + count(string(b.input)) + perMessage
	}
	return count(b.text)
}

// seedOf is what the ids of an answer are made from: all that was said, and nothing that may differ between two tries
// of the same request, such as where the cache marks are.
func seedOf(r *request) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q", r.Model, r.System.text())
	for _, m := range r.Messages {
		fmt.Fprintf(h, " %q", m.Role)
		for _, b := range m.Content {
			fmt.Fprintf(h, " %q %q %q %q %q %q %q", b.Type, b.Text, b.Thinking, b.ID, b.Input, b.ToolUseID, b.Content.text())
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// id makes an id such as the service's own: a prefix and 22 letters and digits.
func id(prefix, seed string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", prefix, seed, n))
	letters := strings.NewReplacer("-", "x", "_", "z").Replace(base64.RawURLEncoding.EncodeToString(sum[:]))
	return prefix + "_01" + letters[:22]
}

// sign makes the signature of a thinking block. Its key is no secret: it finds blocks that were changed or come from
// another service.
func sign(thinking string) string {
	mac := hmac.New(sha256.New, []byte("a scripted model's thoughts"))
	mac.Write([]byte(thinking))
	return "Es" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// compose makes the message: thinking when it is asked for, the texts, the tools, within max_tokens and up to a stop
// sequence.
func compose(r *request, seed string, a answer) *reply {
	m := &reply{ID: id("msg", seed, 0), Type: "message", Role: "assistant", Model: r.Model, Usage: measure(r)}
	stop := "end_turn"
	if r.Thinking.on() {
		m.Content = append(m.Content, thought(r, a))
	}
	if a.pieces != nil {
		m.Content = append(m.Content, outBlock{kind: "text", text: strings.Join(a.pieces, ""), pieces: a.pieces})
	}
	for _, text := range a.texts {
		m.Content = append(m.Content, outBlock{kind: "text", text: text})
	}
	for i, c := range a.calls {
		m.Content = append(m.Content, outBlock{kind: "tool_use", id: id("toolu", seed, i), name: c.tool.name, input: encode(c.input)})
		stop = "tool_use"
	}
	m.StopReason = &stop
	m.stopAt(r.Stops)
	m.fit(*r.MaxTokens)
	for _, b := range m.Content {
		m.Usage.Output += b.tokens()
	}
	m.Usage.Output = max(m.Usage.Output, 1)
	return m
}

func thought(r *request, a answer) outBlock {
	text := "The conversation holds all I know. It has come to its end: I sum up."
	if len(a.calls) > 0 {
		text = "The script's next step uses " + a.calls[0].tool.name + "."
	}
	if r.Thinking.Display == "omitted" {
		text = ""
	}
	return outBlock{kind: "thinking", text: text, signature: sign(text)}
}

// stopAt ends the message before the first of the stop sequences.
func (m *reply) stopAt(sequences []string) {
	for i, b := range m.Content {
		if b.kind != "text" {
			continue
		}
		at, found := len(b.text), ""
		for _, s := range sequences {
			if j := strings.Index(b.text, s); s != "" && j >= 0 && j < at {
				at, found = j, s
			}
		}
		if found != "" {
			m.end(i, b.text[:at], "stop_sequence")
			m.StopSequence = &found
			return
		}
	}
}

// fit ends the message when it has used its tokens. A tool whose input would not fit is not used at all.
func (m *reply) fit(tokens int) {
	for i, b := range m.Content {
		if n := b.tokens(); n <= tokens {
			tokens -= n
			continue
		}
		text := ""
		if b.kind == "text" {
			text = head(b.text, tokens)
		}
		m.end(i, text, "max_tokens")
		return
	}
}

// end drops what follows block i, and puts text in its place.
func (m *reply) end(i int, text, reason string) {
	m.Content = m.Content[:i]
	if text != "" {
		m.Content = append(m.Content, outBlock{kind: "text", text: text})
	}
	m.StopReason, m.StopSequence = &reason, nil
}

// head is the longest beginning of text, in whole letters, that has at most so many tokens.
func head(text string, tokens int) string {
	low, high := 0, len(text)
	for low < high {
		middle := (low + high + 1) / 2
		if count(text[:middle]) <= tokens {
			low = middle
		} else {
			high = middle - 1
		}
	}
	for low > 0 && low < len(text) && !utf8.RuneStart(text[low]) {
		low--
	}
	return text[:low]
}
