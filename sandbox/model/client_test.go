package model_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sam/sandbox/model"
)

const key = "sk-ant-Zq7-odd-and-long-0xW3vKd91-for-tests-only"

// client is a small client of the Messages API. It is strict: a stream whose events are out of order fails the test.
type client struct {
	url    string
	http   *http.Client
	header http.Header // more than the usual, and instead of it
}

// serve runs a model for the length of the test.
func serve(t *testing.T, opts model.Options) (*model.Server, *client) {
	t.Helper()
	if opts.APIKey == "" {
		opts.APIKey = key
	}
	s := model.New(opts)
	web := httptest.NewServer(s.Handler())
	c := &client{url: web.URL, http: web.Client(), header: http.Header{}}
	t.Cleanup(func() {
		s.Close()
		web.CloseClientConnections()
		web.Close()
		c.http.CloseIdleConnections()
	})
	return s, c
}

type object = map[string]any

// request is a plain one, to be changed by its caller.
func request(text string) object {
	return object{"model": "claude-opus-5-5", "max_tokens": 4096, "messages": []object{{"role": "user", "content": text}}}
}

// post sends a body and returns the answer, which the caller must close.
func (c *client) post(t *testing.T, path string, body any) *http.Response {
	t.Helper()
	raw, isRaw := body.([]byte)
	if !isRaw {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	return c.do(t, http.MethodPost, path, bytes.NewReader(raw))
}

func (c *client) do(t *testing.T, method, path string, body io.Reader) *http.Response {
	t.Helper()
	answer, err := c.send(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func (c *client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	r.Header = http.Header{"X-Api-Key": {key}, "Anthropic-Version": {"2023-06-01"}, "Content-Type": {"application/json"}}
	for name, values := range c.header {
		r.Header[name] = values
		if values[0] == "" {
			r.Header.Del(name)
		}
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("send it: %w", err)
	}
	return answer, nil
}

// refused reads an error and returns its status, kind and message.
func refused(t *testing.T, answer *http.Response) (status int, kind, message string) {
	t.Helper()
	defer answer.Body.Close()
	var e struct {
		Type      string
		RequestID string `json:"request_id"`
		Error     struct{ Type, Message string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&e); err != nil {
		t.Fatal(err)
	}
	if e.Type != "error" || e.RequestID == "" || e.RequestID != answer.Header.Get("Request-Id") {
		t.Fatalf("not the shape of an error: %+v", e)
	}
	return answer.StatusCode, e.Error.Type, e.Error.Message
}

// said is a message as the client has put it together.
type said struct {
	ID       string
	Model    string
	Content  []part
	Stop     string  `json:"stop_reason"`
	Sequence *string `json:"stop_sequence"`
	Usage    struct {
		Input    int `json:"input_tokens"`
		Creation int `json:"cache_creation_input_tokens"`
		Read     int `json:"cache_read_input_tokens"`
		Output   int `json:"output_tokens"`
	}
	deltas int
}

type part struct {
	Type      string          `json:"type"`
	Text      string          `json:"text,omitempty"`
	Thinking  *string         `json:"thinking,omitempty"`
	Signature string          `json:"signature,omitempty"`
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
}

func (s *said) text() string {
	var all []string
	for _, p := range s.Content {
		if p.Type == "text" {
			all = append(all, p.Text)
		}
	}
	return strings.Join(all, "\n")
}

func (s *said) uses() []part {
	var all []part
	for _, p := range s.Content {
		if p.Type == "tool_use" {
			all = append(all, p)
		}
	}
	return all
}

// errCut is a stream that ended before its message did.
var errCut = errors.New("the stream was cut")

// ask sends a request, as a stream, and returns the message.
func (c *client) ask(t *testing.T, body object) *said {
	t.Helper()
	m, err := c.try(t.Context(), body)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// try does the same for any goroutine.
func (c *client) try(ctx context.Context, body object) (*said, error) {
	body["stream"] = true
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	answer, err := c.send(ctx, http.MethodPost, "/v1/messages", bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, err := io.ReadAll(answer.Body)
		return nil, fmt.Errorf("%d %s %w", answer.StatusCode, text, err)
	}
	return readStream(answer.Body)
}

// askWhole does the same without a stream.
func (c *client) askWhole(t *testing.T, body object) *said {
	t.Helper()
	body["stream"] = false
	answer := c.post(t, "/v1/messages", body)
	defer answer.Body.Close()
	var m said
	if err := json.NewDecoder(answer.Body).Decode(&m); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status, err)
	}
	return &m
}

type streamed struct {
	Type    string
	Index   int
	Message *said
	Block   *part `json:"content_block"`
	Delta   struct {
		Type, Text, Thinking, Signature string
		Partial                         string  `json:"partial_json"`
		Stop                            string  `json:"stop_reason"`
		Sequence                        *string `json:"stop_sequence"`
	}
	Usage struct {
		Output int `json:"output_tokens"`
	}
	Error struct{ Type, Message string }
}

// readStream puts a message together from its events and checks their order.
func readStream(body io.Reader) (*said, error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	var m *said
	var inputs []string
	name, open := "", false
	for lines.Scan() {
		line := lines.Text()
		if event, is := strings.CutPrefix(line, "event: "); is {
			name = event
			continue
		}
		data, is := strings.CutPrefix(line, "data: ")
		if !is {
			continue
		}
		var e streamed
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return m, fmt.Errorf("read %q: %w", data, err)
		}
		if e.Type != name {
			return m, fmt.Errorf("event %q holds %q", name, e.Type)
		}
		switch {
		case name == "error":
			return m, fmt.Errorf("%s: %s", e.Error.Type, e.Error.Message)
		case name == "message_start" && m == nil:
			m = e.Message
		case m == nil:
			return m, fmt.Errorf("%s before message_start", name)
		case name == "ping":
		case name == "content_block_start" && !open && e.Index == len(m.Content):
			m.Content, inputs, open = append(m.Content, *e.Block), append(inputs, ""), true
		case name == "content_block_delta" && open && e.Index == len(m.Content)-1:
			m.deltas++
			p := &m.Content[e.Index]
			switch d := e.Delta; p.Type + " " + d.Type {
			case "text text_delta":
				p.Text += d.Text
			case "tool_use input_json_delta":
				inputs[e.Index] += d.Partial
			case "thinking thinking_delta":
				*p.Thinking += d.Thinking
			case "thinking signature_delta":
				p.Signature += d.Signature
			default:
				return m, fmt.Errorf("%s in a block of %s", d.Type, p.Type)
			}
		case name == "content_block_stop" && open && e.Index == len(m.Content)-1:
			open = false
			if p := &m.Content[e.Index]; p.Type == "tool_use" {
				p.Input = json.RawMessage(inputs[e.Index])
				if !json.Valid(p.Input) {
					return m, fmt.Errorf("input %q", p.Input)
				}
			}
		case name == "message_delta" && !open && m.Stop == "":
			m.Stop, m.Sequence, m.Usage.Output = e.Delta.Stop, e.Delta.Sequence, e.Usage.Output
		case name == "message_stop" && m.Stop != "":
			return m, nil
		default:
			return m, fmt.Errorf("%s out of order", name)
		}
	}
	return m, errCut
}
