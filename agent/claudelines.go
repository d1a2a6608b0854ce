package agent

import (
	"encoding/json"
	"strings"
)

// claudeLine is one line, of any type, as far as SAM reads it.
type claudeLine struct {
	Type    string `json:"type"`
	Subtype string `json:"subtype"`
	Parent  string `json:"parent_tool_use_id"` // set: a subagent's

	Message     *claudeMessage  `json:"message"` // assistant, user; of a permission_denied a text, see UnmarshalJSON
	ToolResult  json.RawMessage `json:"tool_use_result"`
	IsSynthetic bool            `json:"isSynthetic"`          // a user's line that Claude Code wrote itself
	IsAPIError  bool            `json:"is_api_error_message"` // an assistant's that tells an error

	CWD string `json:"cwd"` // init

	Attempt     int     `json:"attempt"` // api_retry
	MaxRetries  int     `json:"max_retries"`
	RetryDelay  float64 `json:"retry_delay_ms"`
	ErrorStatus *int    `json:"error_status"`
	Error       string  `json:"error"`

	ToolName  string `json:"tool_name"` // permission_denied
	ToolUseID string `json:"tool_use_id"`

	RequestID string `json:"request_id"` // control_request
	Request   struct {
		Subtype   string          `json:"subtype"`
		ToolName  string          `json:"tool_name"`
		ToolUseID string          `json:"tool_use_id"`
		Input     json.RawMessage `json:"input"`
	} `json:"request"`

	claudeResult
}

// claudeResult is the end of a turn.
type claudeResult struct {
	IsError   bool     `json:"is_error"` // read this: a dead API has subtype success
	Terminal  string   `json:"terminal_reason"`
	APIStatus *int     `json:"api_error_status"`
	Result    string   `json:"result"`
	Errors    []string `json:"errors"`
	Queued    int      `json:"queued_turn_count"`
	// By model. total_cost_usd and modelUsage are sums over the session, resumed ones too.
	Usage map[string]struct {
		Input      int64   `json:"inputTokens"`
		Output     int64   `json:"outputTokens"`
		CacheRead  int64   `json:"cacheReadInputTokens"`
		CacheWrite int64   `json:"cacheCreationInputTokens"`
		USD        float64 `json:"costUSD"`
	} `json:"model_usage_since_last_result"`
}

type claudeMessage struct {
	Text    string // where the message is a text
	Content []claudeBlock
}

// UnmarshalJSON takes what "message" is on the different types of line: a text, or an object whose content is a text or a list.
func (m *claudeMessage) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &m.Text)
	}
	var object struct {
		Content claudeContent `json:"content"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	m.Content = object.Content
	return nil
}

// claudeBlock is a part of a message. ID, Name and Input are of a tool's use, ToolUseID, IsError and Content of its result.
type claudeBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Thinking  string          `json:"thinking"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	IsError   bool            `json:"is_error"`
	Content   claudeContent   `json:"content"`
}

// claudeContent is a list of blocks; a text stands for a list of one.
type claudeContent []claudeBlock

// UnmarshalJSON implements json.Unmarshaler.
func (c *claudeContent) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		*c = claudeContent{{Type: "text", Text: text}}
		return nil
	}
	return json.Unmarshal(data, (*[]claudeBlock)(c))
}

func (c claudeContent) text() string {
	var parts []string
	for _, b := range c {
		if b.Type == "text" {
			parts = append(parts, b.Text)
		} else {
			parts = append(parts, "["+b.Type+"]")
		}
	}
	return strings.Join(parts, "\n")
}
