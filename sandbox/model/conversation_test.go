package model_test

import (
	"strings"
	"testing"

	"sam/sandbox/model"
)

func TestSideRequestsGetWhatTheyAskFor(t *testing.T) {
	schema := object{"type": "object", "required": []string{"title", "isNew"},
		"properties": object{"title": object{"type": "string"}, "isNew": object{"type": "boolean"}, "more": object{"type": "string"}}}
	for _, v := range []struct {
		name string
		body object
		want string
	}{
		{"a title", with(object{"system": "Write a title for this conversation.", "messages": talk("add rate limiting")}), "add rate limiting"},
		{"JSON by a schema", with(object{"output_config": object{"format": object{"type": "json_schema", "schema": schema}}}), `{"isNew":false,"title":"hello"}`},
	} {
		t.Run(v.name, func(t *testing.T) {
			_, c := serve(t, model.Options{})
			if m := c.ask(t, v.body); m.text() != v.want {
				t.Error(m.text())
			}
		})
	}
	_, c := serve(t, model.Options{})
	m := c.ask(t, with(object{"tools": claudes(), "tool_choice": object{"type": "tool", "name": "Bash"}}))
	if uses := m.uses(); len(uses) != 1 || string(uses[0].Input) != `{"command":"hello","description":"hello"}` {
		t.Errorf("a forced tool: %+v", m.Content)
	}
	if m := c.ask(t, with(object{"tools": claudes(), "tool_choice": object{"type": "none"}, "messages": talk("scenario steps")})); m.Stop != "end_turn" {
		t.Errorf("tools though none was to be used: %+v", m.Content)
	}
}

func TestTheLatestRequestChoosesTheScenario(t *testing.T) {
	reminder := "<system-reminder>\nscenario dead\n</system-reminder>"
	use := func(id string) []object {
		return []object{{"type": "tool_use", "id": id, "name": "Bash", "input": object{"command": "pwd"}}}
	}
	result := func(id string) object { return object{"type": "tool_result", "tool_use_id": id, "content": "/x"} }
	const midTurn = "The user sent a new message while you were working:\n%s\n\nThis is how Claude Code surfaces messages"
	sent := func(text string) string { return strings.Replace(midTurn, "%s", text, 1) }
	for _, v := range []struct {
		name     string
		forced   model.Scenario
		messages []object
		want     string
	}{
		{name: "the last of several names", messages: talk("scenario dead, or rather scenario noop"), want: "Done."},
		{name: "not the request before it", messages: talk("scenario dead", "sorry", "scenario: noop"), want: "Done."},
		{name: "not what the client adds", messages: talk([]object{{"type": "text", "text": reminder}, {"type": "text", "text": "scenario noop"}}), want: "Done."},
		{name: "not a name that does not exist", messages: talk("scenario zero"), want: "no scenario `zero`"},
		{name: "unless one is forced", forced: model.Noop, messages: talk("scenario dead"), want: "Done."},
		{name: "a message mid-turn is heard", messages: append(talk("scenario steps", use("toolu_1"), []object{result("toolu_1")}),
			object{"role": "system", "content": sent("hurry up")}), want: "“hurry up”"},
		{name: "also in a reminder", messages: talk("scenario steps", use("toolu_1"), []object{result("toolu_1"),
			{"type": "text", "text": "<system-reminder>\n" + sent("hurry up") + "\n</system-reminder>"}}), want: "“hurry up”"},
		{name: "and beside a result", messages: talk("scenario steps", use("toolu_1"), []object{result("toolu_1"), {"type": "text", "text": "hurry up"}}), want: "“hurry up”"},
		{name: "and may choose anew", messages: append(talk("scenario steps", use("toolu_1"), []object{result("toolu_1")}),
			object{"role": "system", "content": sent("scenario noop")}), want: "Done."},
		{name: "steps that are not the script's end it", messages: talk("scenario big", []object{{"type": "tool_use", "id": "t", "name": "Other", "input": object{}}},
			[]object{result("t")}), want: "lost the thread"},
	} {
		t.Run(v.name, func(t *testing.T) {
			_, c := serve(t, model.Options{Scenario: v.forced})
			m := c.ask(t, with(object{"messages": v.messages, "tools": claudes()}))
			if !strings.Contains(m.text(), v.want) {
				t.Errorf("want %q in %s", v.want, m.text())
			}
		})
	}
}
