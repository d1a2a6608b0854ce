package model

import (
	"encoding/json"
	"regexp"
	"slices"
	"sort"
	"strings"
)

const (
	// maxOutput is the largest max_tokens of any model here.
	maxOutput = 128_000
	// minThinking is the least budget_tokens of thinking.
	minThinking = 1024
)

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// strangers refuses fields that the API does not have.
func strangers(body []byte) *fault {
	known := []string{
		"model", "max_tokens", "messages", "system", "tools", "tool_choice", "stream", "metadata", "temperature", "top_p",
		"top_k", "stop_sequences", "thinking", "service_tier", "output_config", "cache_control", "inference_geo", "container",
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return invalid("The request body is not a JSON object")
	}
	var unknown []string
	for name := range fields {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	sort.Strings(unknown)
	return invalid("%s: Extra inputs are not permitted", unknown[0])
}

// check refuses what the service would. counting is a request for a count, which needs no max_tokens.
func (s *Server) check(r *request, counting bool) *fault {
	switch {
	case r.Model == "":
		return invalid("model: Field required")
	case !counting && r.MaxTokens == nil:
		return invalid("max_tokens: Field required")
	case r.Messages == nil:
		return invalid("messages: Field required")
	case len(r.Messages) == 0:
		return invalid("messages: at least one message is required")
	case !slices.Contains(s.opts.Models, r.Model):
		return notFound("model: " + r.Model)
	}
	if !counting {
		if f := checkSampling(r); f != nil {
			return f
		}
	}
	if f := checkTools(r); f != nil {
		return f
	}
	return checkMessages(r.Messages)
}

func checkSampling(r *request) *fault {
	switch {
	case *r.MaxTokens < 1:
		return invalid("max_tokens: Input should be greater than or equal to 1")
	case *r.MaxTokens > maxOutput:
		return invalid("max_tokens: %d > %d, which is the maximum allowed number of output tokens for %s",
			*r.MaxTokens, maxOutput, r.Model)
	case r.Temperature != nil && (*r.Temperature < 0 || *r.Temperature > 1):
		return invalid("temperature: range: 0..1")
	}
	switch r.Thinking.Type {
	case "", "disabled", "adaptive":
		return nil
	case "enabled":
	default:
		return invalid("thinking: Input tag '%s' found using 'type' does not match any of the expected tags: "+
			"'adaptive', 'disabled', 'enabled'", r.Thinking.Type)
	}
	switch {
	case r.Thinking.Budget == nil:
		return invalid("thinking.enabled.budget_tokens: Field required")
	case *r.Thinking.Budget < minThinking:
		return invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to %d", minThinking)
	case *r.Thinking.Budget >= *r.MaxTokens:
		return invalid("`max_tokens` must be greater than `thinking.budget_tokens`")
	}
	return nil
}

func checkTools(r *request) *fault {
	seen := map[string]bool{}
	for i, t := range r.Tools {
		custom := t.Type == "" || t.Type == "custom"
		switch {
		case !toolName.MatchString(t.Name):
			return invalid("tools.%d.custom.name: String should match pattern '%s'", i, toolName)
		case custom && len(t.Schema) == 0:
			return invalid("tools.%d.custom.input_schema: Field required", i)
		case seen[t.Name]:
			return invalid("tools: Tool names must be unique.")
		}
		seen[t.Name] = true
	}
	if r.ToolChoice.Type == "tool" && !seen[r.ToolChoice.Name] {
		return invalid("Tool '%s' not found in provided tools", r.ToolChoice.Name)
	}
	return nil
}

// checkMessages holds a conversation to its rules: who speaks, what a block holds, and that the results of the tools
// follow right after their use, all of them.
func checkMessages(messages []message) *fault {
	var open []string // ids of tool uses whose results must come now
	used := map[string]bool{}
	for i, m := range messages {
		if i == 0 && m.Role != "user" {
			return invalid("messages: first message must use the \"user\" role")
		}
		if !slices.Contains([]string{"user", "assistant", "system"}, m.Role) {
			return invalid("messages: Unexpected role \"%s\". Allowed roles are \"user\" or \"assistant\"", m.Role)
		}
		if len(m.Content) == 0 && (m.Role != "assistant" || i < len(messages)-1) {
			return invalid("messages.%d: all messages must have non-empty content except for the optional final assistant message", i)
		}
		results := map[string]bool{}
		var next []string
		for j, b := range m.Content {
			if f := checkBlock(i, j, m.Role, b); f != nil {
				return f
			}
			switch b.Type {
			case "tool_use":
				if used[b.ID] {
					return invalid("messages.%d.content.%d: `tool_use` ids must be unique", i, j)
				}
				used[b.ID] = true
				next = append(next, b.ID)
			case "tool_result":
				if !slices.Contains(open, b.ToolUseID) {
					return invalid("messages.%d.content.%d: unexpected `tool_use_id` found in `tool_result` blocks: %s. Each `tool_result` "+
						"block must have a corresponding `tool_use` block in the previous message.", i, j, b.ToolUseID)
				}
				if results[b.ToolUseID] {
					return invalid("messages.%d.content.%d: each tool_use must have a single result. Found multiple `tool_result` blocks "+
						"with id: %s", i, j, b.ToolUseID)
				}
				results[b.ToolUseID] = true
			}
		}
		if missing := without(open, results); len(missing) > 0 {
			return invalid("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s. Each `tool_use` "+
				"block must have a corresponding `tool_result` block in the next message.", i-1, strings.Join(missing, ", "))
		}
		open = next
	}
	if len(open) > 0 {
		return invalid("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s. Each `tool_use` "+
			"block must have a corresponding `tool_result` block in the next message.", len(messages)-1, strings.Join(open, ", "))
	}
	return nil
}

func without(ids []string, results map[string]bool) []string {
	var missing []string
	for _, id := range ids {
		if !results[id] {
			missing = append(missing, id)
		}
	}
	return missing
}

func checkBlock(i, j int, role string, b block) *fault {
	switch {
	case b.Type == "":
		return invalid("messages.%d.content.%d.type: Field required", i, j)
	case b.Type == "text" && b.Text == "":
		return invalid("messages: text content blocks must be non-empty")
	case b.Type == "tool_use" && role != "assistant":
		return invalid("messages.%d: `tool_use` blocks can only be in `assistant` messages", i)
	case b.Type == "tool_use" && (b.ID == "" || !toolName.MatchString(b.Name)):
		return invalid("messages.%d.content.%d.tool_use: id and name are required", i, j)
	case b.Type == "tool_result" && role != "user":
		return invalid("messages.%d: `tool_result` blocks can only be in `user` messages", i)
	case b.Type == "thinking" && role != "assistant":
		return invalid("messages.%d: `thinking` blocks can only be in `assistant` messages", i)
	case b.Type == "thinking" && b.Signature != sign(b.Thinking):
		return invalid("messages.%d.content.%d: Invalid `signature` in `thinking` block", i, j)
	case b.Cache != nil && b.Cache.TTL != "" && b.Cache.TTL != "5m" && b.Cache.TTL != "1h":
		return invalid("messages.%d.content.%d.cache_control.ephemeral.ttl: Input should be '5m' or '1h'", i, j)
	}
	return nil
}
