package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// request is the body of POST /v1/messages, as far as this model reads it.
type request struct {
	Model        string     `json:"model"`
	MaxTokens    *int       `json:"max_tokens"`
	Messages     []message  `json:"messages"`
	System       content    `json:"system"`
	Tools        []tool     `json:"tools"`
	ToolChoice   toolChoice `json:"tool_choice"`
	Stream       bool       `json:"stream"`
	Thinking     thinking   `json:"thinking"`
	Stops        []string   `json:"stop_sequences"`
	Temperature  *float64   `json:"temperature"`
	OutputConfig struct {
		Format format `json:"format"`
	} `json:"output_config"`
	OutputFormat format `json:"output_format"` // where the beta had it
}

type message struct {
	Role    string  `json:"role"`
	Content content `json:"content"`
}

// content is a string or a list of blocks.
type content []block

// block is any kind of block, told by Type.
type block struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`        // text
	Thinking  string          `json:"thinking"`    // thinking
	Signature string          `json:"signature"`   // thinking
	ID        string          `json:"id"`          // tool_use
	Name      string          `json:"name"`        // tool_use
	Input     json.RawMessage `json:"input"`       // tool_use
	ToolUseID string          `json:"tool_use_id"` // tool_result
	Content   content         `json:"content"`     // tool_result
	IsError   bool            `json:"is_error"`    // tool_result
	Cache     *cache          `json:"cache_control"`
}

type cache struct {
	Type string `json:"type"`
	TTL  string `json:"ttl"` // 5m or 1h
}

type tool struct {
	Type        string          `json:"type"` // a server tool, or empty or custom
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"input_schema"`
	Cache       *cache          `json:"cache_control"`
}

type toolChoice struct {
	Type string `json:"type"` // auto, any, tool or none
	Name string `json:"name"`
}

type thinking struct {
	Type    string `json:"type"` // enabled, adaptive or disabled
	Budget  *int   `json:"budget_tokens"`
	Display string `json:"display"` // omitted: the signature alone
}

func (t thinking) on() bool { return t.Type == "enabled" || t.Type == "adaptive" }

type format struct {
	Type   string          `json:"type"` // json_schema
	Schema json.RawMessage `json:"schema"`
}

// UnmarshalJSON takes a list of blocks, or a string for one text block.
func (c *content) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte{'"'}) {
		var text string
		if err := json.Unmarshal(b, &text); err != nil {
			return fmt.Errorf("read text: %w", err)
		}
		*c = content{{Type: "text", Text: text}}
		return nil
	}
	var blocks []block
	if err := json.Unmarshal(b, &blocks); err != nil {
		return fmt.Errorf("read content: %w", err)
	}
	*c = blocks
	return nil
}

// text joins the text blocks.
func (c content) text() string {
	var all []string
	for _, b := range c {
		if b.Type == "text" {
			all = append(all, b.Text)
		}
	}
	return strings.Join(all, "\n")
}

// schema is what the answer must follow, or nil.
func (r *request) schema() json.RawMessage {
	for _, f := range []format{r.OutputConfig.Format, r.OutputFormat} {
		if f.Type == "json_schema" {
			return f.Schema
		}
	}
	return nil
}

// read parses and checks a request's body.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (*request, *fault) {
	if r.Header.Get("Anthropic-Version") == "" {
		return nil, invalid("anthropic-version: header is required")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, tooLarge()
		}
		return nil, invalid("The request body could not be read")
	}
	var req request
	if err := json.Unmarshal(body, &req); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return nil, invalid("%s: Input should be a valid %s", wrong.Field, wrong.Type.Kind())
		}
		return nil, invalid("The request body is not valid JSON: %v", err)
	}
	// Betas bring fields of their own; without one every field is known.
	if r.Header.Get("Anthropic-Beta") == "" {
		if f := strangers(body); f != nil {
			return nil, f
		}
	}
	return &req, nil
}
