package model

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"
)

// event is one server-sent event.
type event struct {
	name  string
	data  []byte
	delta bool // of a block's text: what `slow` waits between and `half` counts
}

func newEvent(name string, fields map[string]any) event {
	fields["type"] = name
	return event{name: name, data: encode(fields), delta: name == "content_block_delta"}
}

// events are the whole stream of a message.
func (m *reply) events() []event {
	start := *m
	start.Content, start.StopReason, start.StopSequence = []outBlock{}, nil, nil
	start.Usage.Output = min(m.Usage.Output, 1)
	events := []event{newEvent("message_start", map[string]any{"message": &start})}
	for i, b := range m.Content {
		empty, deltas := b.deltas()
		events = append(events, newEvent("content_block_start", map[string]any{"index": i, "content_block": empty}))
		if i == 0 {
			events = append(events, newEvent("ping", map[string]any{}))
		}
		for _, d := range deltas {
			events = append(events, newEvent("content_block_delta", map[string]any{"index": i, "delta": d}))
		}
		events = append(events, newEvent("content_block_stop", map[string]any{"index": i}))
	}
	return append(events,
		newEvent("message_delta", map[string]any{
			"delta": map[string]any{"stop_reason": m.StopReason, "stop_sequence": m.StopSequence},
			"usage": map[string]int{
				"input_tokens": m.Usage.Input, "cache_creation_input_tokens": m.Usage.CacheCreation,
				"cache_read_input_tokens": m.Usage.CacheRead, "output_tokens": m.Usage.Output,
			},
		}),
		newEvent("message_stop", map[string]any{}))
}

// deltas are how a block begins, and what is then added to it.
func (b outBlock) deltas() (empty outBlock, deltas []map[string]any) {
	empty = outBlock{kind: b.kind, id: b.id, name: b.name}
	switch b.kind {
	case "tool_use":
		empty.input = json.RawMessage("{}")
		deltas = append(deltas, map[string]any{"type": "input_json_delta", "partial_json": ""})
		for _, piece := range cut(string(b.input)) {
			deltas = append(deltas, map[string]any{"type": "input_json_delta", "partial_json": piece})
		}
	case "thinking":
		for _, piece := range cut(b.text) {
			deltas = append(deltas, map[string]any{"type": "thinking_delta", "thinking": piece})
		}
		deltas = append(deltas, map[string]any{"type": "signature_delta", "signature": b.signature})
	default:
		pieces := b.pieces
		if pieces == nil {
			pieces = cut(b.text)
		}
		for _, piece := range pieces {
			deltas = append(deltas, map[string]any{"type": "text_delta", "text": quote(piece)})
		}
	}
	return empty, deltas
}

// cut cuts text into pieces of about the size that the service streams, in bytes, and never inside a letter.
func cut(text string) []string {
	const size = 48
	var pieces []string
	for len(text) > size {
		at := size
		for at < len(text) && !utf8.RuneStart(text[at]) {
			at++
		}
		pieces, text = append(pieces, text[:at]), text[at:]
	}
	if text != "" {
		pieces = append(pieces, text)
	}
	return pieces
}

// half ends a stream after half of what it adds to its blocks.
func half(events []event) []event {
	deltas := 0
	for _, e := range events {
		if e.delta {
			deltas++
		}
	}
	seen := 0
	for i, e := range events {
		if e.delta {
			seen++
		}
		if seen*2 >= deltas {
			return events[:i+1]
		}
	}
	return events
}

// stream writes the message as server-sent events.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, m *reply, a answer) {
	events := m.events()
	if a.ending != whole {
		events = half(events)
	}
	if a.ending == overloads {
		events = append(events, event{name: "error", data: overloaded().body(w.Header().Get("Request-Id"))})
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)

	ctx, free := s.until(r.Context())
	defer free()
	out := http.NewResponseController(w)
	for _, e := range events {
		if a.pace > 0 && e.delta {
			timer := time.NewTimer(a.pace)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				panic(http.ErrAbortHandler)
			}
		}
		_, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e.name, e.data)
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			s.opts.Log.Debug().Err(err).Msg("the client went in the middle of a stream")
			return
		}
	}
	if a.ending == drops {
		panic(http.ErrAbortHandler) // how a handler drops its connection
	}
}

// quote makes a JSON string of WTF-8, which is UTF-8 that may hold lone surrogates (three bytes, ED A0 80 to ED BF BF).
// JSON can say them and JavaScript keeps them, so a client must survive them; Go's own encoder would not send them.
func quote(s string) json.RawMessage {
	out := []byte{'"'}
	for s != "" {
		i := 0
		for i < len(s) && !surrogate(s[i:]) {
			i++
		}
		plain := encode(s[:i])
		out = append(out, plain[1:len(plain)-1]...)
		if s = s[i:]; s != "" {
			unit := rune(s[0]&0x0f)<<12 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f)
			out = fmt.Appendf(out, `\u%04x`, unit)
			s = s[3:]
		}
	}
	return append(out, '"')
}

func surrogate(s string) bool {
	return len(s) >= 3 && s[0] == 0xed && s[1] >= 0xa0 && s[1] <= 0xbf && s[2] >= 0x80 && s[2] <= 0xbf
}
