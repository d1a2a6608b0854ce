package model_test

import (
	"bytes"
	"strings"
	"testing"

	"sam/sandbox/model"
)

// with is a plain request with some fields set, or removed where the value is nil.
func with(fields object) object {
	r := request("hello")
	for name, value := range fields {
		r[name] = value
		if value == nil {
			delete(r, name)
		}
	}
	return r
}

// talk makes messages of alternating roles, the user first.
func talk(contents ...any) []object {
	var all []object
	for i, c := range contents {
		all = append(all, object{"role": []string{"user", "assistant"}[i%2], "content": c})
	}
	return all
}

func TestWhatTheServiceRefusesIsRefused(t *testing.T) {
	use := []object{{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": object{}}}
	result := object{"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
	for _, v := range []struct {
		name   string
		body   any
		status int
		want   string // a part of the message
	}{
		{"no JSON", []byte("{"), 400, "not valid JSON"},
		{"a field of the wrong type", with(object{"max_tokens": "many"}), 400, "max_tokens: Input should be a valid int"},
		{"an unknown field", with(object{"max_token": 5}), 400, "max_token: Extra inputs are not permitted"},
		{"no model", with(object{"model": nil}), 400, "model: Field required"},
		{"an unknown model", with(object{"model": "claude-nil"}), 404, "model: claude-nil"},
		{"no max_tokens", with(object{"max_tokens": nil}), 400, "max_tokens: Field required"},
		{"max_tokens of zero", with(object{"max_tokens": 0}), 400, "greater than or equal to 1"},
		{"too many max_tokens", with(object{"max_tokens": 1 << 20}), 400, "maximum allowed number of output tokens"},
		{"too warm", with(object{"temperature": 2}), 400, "temperature"},
		{"no messages", with(object{"messages": nil}), 400, "messages: Field required"},
		{"an empty conversation", with(object{"messages": []object{}}), 400, "at least one message"},
		{"the assistant first", with(object{"messages": []object{{"role": "assistant", "content": "hi"}}}), 400, `first message must use the "user" role`},
		{"an unknown role", with(object{"messages": append(talk("hi"), object{"role": "robot", "content": "hi"})}), 400, `Unexpected role "robot"`},
		{"an empty text", with(object{"messages": talk("")}), 400, "non-empty"},
		{"no content", with(object{"messages": talk([]object{})}), 400, "non-empty content"},
		{"a tool without a schema", with(object{"tools": []object{{"name": "Bash"}}}), 400, "input_schema: Field required"},
		{"a tool twice", with(object{"tools": append(claudes(), claudes()...)}), 400, "Tool names must be unique"},
		{"a choice that is not offered", with(object{"tool_choice": object{"type": "tool", "name": "X"}}), 400, "'X' not found"},
		{"a tool without its result", with(object{"messages": talk("a", use, "b")}), 400, "without `tool_result` blocks immediately after: toolu_1"},
		{"a tool without its result at the end", with(object{"messages": talk("a", use)}), 400, "without `tool_result` blocks"},
		{"a result without its tool", with(object{"messages": talk([]object{result})}), 400, "unexpected `tool_use_id` found in `tool_result` blocks: toolu_1"},
		{"a result twice", with(object{"messages": talk("a", use, []object{result, result})}), 400, "single result"},
		{"a tool that the user uses", with(object{"messages": talk(use)}), 400, "only be in `assistant`"},
		{"a thought that was changed", with(object{"messages": talk("a", []object{{"type": "thinking", "thinking": "x", "signature": "y"}}, "b")}), 400, "Invalid `signature`"},
		{"too little to think", with(object{"thinking": object{"type": "enabled", "budget_tokens": 5}}), 400, "greater than or equal to 1024"},
		{"thinking without an end", with(object{"thinking": object{"type": "enabled", "budget_tokens": 5000}}), 400, "must be greater than `thinking.budget_tokens`"},
		{"thinking of an unknown kind", with(object{"thinking": object{"type": "hard"}}), 400, "Input tag 'hard'"},
		{"more than 32 MB", append([]byte(`{"model":"`), bytes.Repeat([]byte("x"), 32<<20)...), 413, "exceeds the maximum size"},
	} {
		t.Run(v.name, func(t *testing.T) {
			_, c := serve(t, model.Options{})
			kinds := map[int]string{400: "invalid_request_error", 404: "not_found_error", 413: "request_too_large"}
			status, kind, message := refused(t, c.post(t, "/v1/messages", v.body))
			if status != v.status || kind != kinds[status] || !strings.Contains(message, v.want) {
				t.Errorf("%d %s: %s", status, kind, message)
			}
		})
	}
}
