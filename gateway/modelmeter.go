package gateway

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Bounds of what the meter holds of an answer, in bytes. The events that tell usage have a few hundred; whole messages are
// short of a megabyte at the largest number of tokens that a model gives.
const (
	maxMeteredLine = 64 << 10
	maxMeteredBody = 8 << 20
)

// meter reads usage off an answer as it passes by: from the events of a stream, or from a whole message. What it cannot
// read it passes over, for the answer is the client's first of all.
type meter struct {
	stream bool
	held   []byte // the line of a stream that is not whole yet, or the body
	over   bool   // what is held would be too long, so it is not
	seen   bool   // usage was told
	metered
}

func newMeter(contentType string) *meter {
	return &meter{stream: strings.HasPrefix(contentType, "text/event-stream")}
}

// Write never fails.
func (m *meter) Write(p []byte) (int, error) {
	n := len(p)
	if !m.stream {
		m.hold(p, maxMeteredBody)
		return n, nil
	}
	for {
		part, rest, whole := bytes.Cut(p, []byte{'\n'})
		m.hold(part, maxMeteredLine)
		if !whole {
			return n, nil
		}
		m.line()
		p = rest
	}
}

func (m *meter) hold(p []byte, most int) {
	if m.over || len(m.held)+len(p) > most {
		m.held, m.over = m.held[:0], true
		return
	}
	m.held = append(m.held, p...)
}

// line reads a line of a stream. Only the two events that tell usage are decoded: the message's start and its last delta.
func (m *meter) line() {
	data, is := bytes.CutPrefix(m.held, []byte("data:"))
	if is && bytes.Contains(data, []byte(`"usage"`)) {
		m.read(data)
	}
	m.held, m.over = m.held[:0], false
}

// end is called once the answer is over, whole or not.
func (m *meter) end() {
	if !m.stream {
		m.read(m.held)
	}
	m.held = nil
}

// toldUsage is a message's usage as the API tells it. In a stream it comes twice; the numbers are totals both times, and
// the second leaves out what it has nothing new about.
type toldUsage struct {
	Input         int64 `json:"input_tokens"`
	Output        int64 `json:"output_tokens"`
	CacheRead     int64 `json:"cache_read_input_tokens"`
	CacheWrite    int64 `json:"cache_creation_input_tokens"`
	CacheCreation struct {
		Hour int64 `json:"ephemeral_1h_input_tokens"`
	} `json:"cache_creation"`
	ServerTools struct {
		WebSearches int64 `json:"web_search_requests"`
	} `json:"server_tool_use"`
}

func (m *meter) read(data []byte) {
	var told struct {
		Type    string     `json:"type"`
		Model   string     `json:"model"`
		Usage   *toldUsage `json:"usage"`
		Message struct {
			Model string     `json:"model"`
			Usage *toldUsage `json:"usage"`
		} `json:"message"`
	}
	if json.Unmarshal(data, &told) != nil {
		return
	}
	usage, model := told.Usage, told.Model
	switch told.Type {
	case "message_start":
		usage, model = told.Message.Usage, told.Message.Model
	case "message_delta", "message":
	default:
		return
	}
	if usage == nil {
		return
	}
	m.seen = true
	if model != "" {
		m.model = model
	}
	m.input, m.output = max(m.input, usage.Input), max(m.output, usage.Output)
	m.cacheRead, m.cacheWrite = max(m.cacheRead, usage.CacheRead), max(m.cacheWrite, usage.CacheWrite)
	m.cacheWrite1h, m.searches = max(m.cacheWrite1h, usage.CacheCreation.Hour), max(m.searches, usage.ServerTools.WebSearches)
}
