package task_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"sam/task"
)

func TestParseEventTakesWholeEventsAndNothingElse(t *testing.T) {
	said := `{"seq":1,"kind":"said","text":"` + strings.Repeat("x", task.MaxEvent-len(`{"seq":1,"kind":"said","text":""}`)) + `"}`
	for name, c := range map[string]struct {
		json string
		why  string // empty: it is taken
	}{
		"said":                     {`{"seq":1,"kind":"said","text":"hello"}`, ""},
		"stepped":                  {`{"seq":2,"kind":"stepped","step":{"name":"mirror","ms":3}}`, ""},
		"a tool":                   {`{"seq":3,"kind":"tool_finished","tool":{"id":"1","name":"Bash","exit":0}}`, ""},
		"a plan":                   {`{"seq":4,"kind":"planned","plan":[{"text":"look","status":"done"}]}`, ""},
		"used nothing":             {`{"seq":5,"kind":"used","usage":{}}`, ""},
		"finished":                 {`{"seq":6,"kind":"finished","end":{"outcome":"done"}}`, ""},
		"a field of a later node":  {`{"seq":7,"kind":"said","text":"hi","mood":"good"}`, ""},
		"as large as may be":       {said, ""},
		"one byte larger":          {said + " ", "65537 bytes, at most 65536"},
		"empty":                    {``, "unexpected end of JSON input"},
		"cut off":                  {`{"seq":1,"kind":"said"`, "unexpected end of JSON input"},
		"two in one":               {`{"seq":1,"kind":"said","text":"a"}{}`, "invalid character"},
		"an unknown kind":          {`{"seq":1,"kind":"sang","text":"la"}`, `kind "sang"`},
		"no kind":                  {`{"seq":1,"text":"la"}`, `kind ""`},
		"null":                     {`null`, `kind ""`},
		"no number":                {`{"kind":"said","text":"a"}`, "sequence number 0"},
		"a negative number":        {`{"seq":-1,"kind":"said","text":"a"}`, "sequence number -1"},
		"a broken number":          {`{"seq":1.5,"kind":"said","text":"a"}`, "cannot unmarshal"},
		"said without words":       {`{"seq":1,"kind":"said"}`, "said without its body"},
		"asked without a question": {`{"seq":1,"kind":"asked"}`, "asked without its body"},
		"stepped without a step":   {`{"seq":1,"kind":"stepped"}`, "stepped without its body"},
		"a step without a name":    {`{"seq":1,"kind":"stepped","step":{}}`, "stepped without its body"},
		"a tool without an id":     {`{"seq":1,"kind":"tool_started","tool":{"name":"Bash"}}`, "tool_started without its body"},
		"an empty plan":            {`{"seq":1,"kind":"planned","plan":[]}`, "planned without its body"},
		"finished without an end":  {`{"seq":1,"kind":"finished"}`, "finished without its body"},
		"an end without outcome":   {`{"seq":1,"kind":"finished","end":{}}`, "finished without its body"},
		"used without usage":       {`{"seq":1,"kind":"used"}`, "used without its body"},
	} {
		_, err := task.ParseEvent([]byte(c.json))
		switch {
		case c.why == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.why != "" && (!errors.Is(err, task.ErrEvent) || !strings.Contains(err.Error(), c.why)):
			t.Errorf("%s: %v, want an ErrEvent that says %q", name, err, c.why)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	for _, seed := range []string{
		`{"seq":1,"kind":"said","text":"hello"}`, `{"seq":2,"at":"2026-11-23T12:00:00Z","kind":"stepped","step":{"name":"mirror","ms":3}}`,
		`{"seq":3,"kind":"tool_finished","tool":{"id":"1","name":"Bash","exit":0},"raw":{"a":[1,2]}}`,
		`{"seq":9,"kind":"finished","end":{"outcome":"done"}}`, `{"seq":1,"kind":"said","text":"<&>\u2028"}`, `[]`, `nul`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := task.ParseEvent(data)
		if err != nil {
			if !errors.Is(err, task.ErrEvent) {
				t.Fatalf("%v is no ErrEvent", err)
			}
			return
		}
		if e.Seq < 1 || len(data) > task.MaxEvent {
			t.Fatalf("took number %d in %d bytes", e.Seq, len(data))
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if len(again) > task.MaxEvent { // escaping may let it grow: see agent, which cuts before it sends
			return
		}
		same, err := task.ParseEvent(again)
		if err != nil {
			t.Fatalf("read once, but not again: %v", err)
		}
		e.Raw, same.Raw = nil, nil // spaces go
		if !reflect.DeepEqual(e, same) {
			t.Fatalf("%+v became %+v", e, same)
		}
	})
}
