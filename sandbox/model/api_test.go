package model_test

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"sam/sandbox/model"
)

func TestOnlyTheKeyOpens(t *testing.T) {
	for _, v := range []struct {
		name          string
		apiKey, token string
		want          int
		message       string
	}{
		{"the key", key, "", 200, ""},
		{"the key as a bearer token", "", "Bearer " + key, 200, ""},
		{"no key", "", "", 401, "x-api-key header is required"},
		{"another key", "sk-ant-other", "", 401, "invalid x-api-key"},
		{"another bearer token", "", "Bearer other", 401, "Invalid bearer token"},
		{"another way", "", "Basic " + key, 401, "x-api-key header is required"},
	} {
		t.Run(v.name, func(t *testing.T) {
			_, c := serve(t, model.Options{})
			c.header = http.Header{"X-Api-Key": {v.apiKey}, "Authorization": {v.token}}
			answer := c.do(t, http.MethodGet, "/v1/models", nil)
			defer answer.Body.Close()
			if answer.StatusCode != v.want {
				t.Fatal(answer.Status)
			}
			if v.want == http.StatusOK {
				return
			}
			if _, kind, message := refused(t, answer); kind != "authentication_error" || message != v.message {
				t.Errorf("%s: %s", kind, message)
			}
		})
	}
}

func TestEveryAnswerCarriesTheServicesHeaders(t *testing.T) {
	_, c := serve(t, model.Options{})
	seen := map[string]bool{}
	for range 2 {
		answer := c.post(t, "/v1/messages", request("hello"))
		answer.Body.Close()
		id := answer.Header.Get("Request-Id")
		if !strings.HasPrefix(id, "req_") || seen[id] {
			t.Errorf("request-id %q", id)
		}
		seen[id] = true
		for _, kind := range []string{"Requests", "Tokens", "Input-Tokens", "Output-Tokens"} {
			for _, part := range []string{"Limit", "Remaining", "Reset"} {
				if name := "Anthropic-Ratelimit-" + kind + "-" + part; answer.Header.Get(name) == "" {
					t.Errorf("no %s", name)
				}
			}
		}
	}
}

func TestOtherPathsAndMethodsAreErrorsOfTheSameShape(t *testing.T) {
	for _, v := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/v1/messages", 405}, {"DELETE", "/v1/models", 405}, {"GET", "/v1/complete", 404}, {"GET", "/", 404},
		{"GET", "/v1/models/claude-nil", 404},
	} {
		_, c := serve(t, model.Options{})
		if status, _, _ := refused(t, c.do(t, v.method, v.path, nil)); status != v.status {
			t.Errorf("%s %s: %d", v.method, v.path, status)
		}
	}
	_, c := serve(t, model.Options{})
	c.header.Set("Anthropic-Version", "")
	if _, _, message := refused(t, c.post(t, "/v1/messages", request("x"))); message != "anthropic-version: header is required" {
		t.Error(message)
	}
}

func TestHelloNeedsNoKey(t *testing.T) {
	_, c := serve(t, model.Options{})
	c.header.Set("X-Api-Key", "")
	answer := c.do(t, http.MethodHead, "/api/hello", nil)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
}

func TestModelsAreListed(t *testing.T) {
	_, c := serve(t, model.Options{Models: []string{"claude-a", "claude-b"}})
	answer := c.do(t, http.MethodGet, "/v1/models", nil)
	defer answer.Body.Close()
	var list struct {
		Data    []struct{ ID, Type string }
		First   string `json:"first_id"`
		Last    string `json:"last_id"`
		HasMore *bool  `json:"has_more"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	if len(list.Data) != 2 || list.First != "claude-a" || list.Last != "claude-b" || list.HasMore == nil {
		t.Errorf("%+v", list)
	}
	one := c.do(t, http.MethodGet, "/v1/models/claude-b", nil)
	defer one.Body.Close()
	if text, err := io.ReadAll(one.Body); err != nil || !strings.Contains(string(text), `"id":"claude-b"`) {
		t.Errorf("%s %v", text, err)
	}
}

func TestTheSameConversationGetsTheSameAnswer(t *testing.T) {
	_, one := serve(t, model.Options{})
	_, other := serve(t, model.Options{})
	body := with(object{"messages": talk("scenario steps"), "tools": claudes(), "thinking": object{"type": "adaptive"}})
	streamed, whole := one.ask(t, body), other.askWhole(t, body)
	streamed.deltas = 0
	if !reflect.DeepEqual(streamed, whole) {
		t.Errorf("\n%+v\n%+v", streamed, whole)
	}
	if again := one.ask(t, with(object{"messages": talk("scenario steps", "no", "scenario steps"), "tools": claudes()})); again.ID == whole.ID {
		t.Error("two answers of one conversation have the same id")
	}
}

func TestThoughtsAreShownWhenAskedFor(t *testing.T) {
	for _, v := range []struct {
		name     string
		thinking object
		text     bool
	}{
		{"with a budget", object{"type": "enabled", "budget_tokens": 2000}, true},
		{"adaptive", object{"type": "adaptive"}, true},
		{"omitted: the signature alone", object{"type": "adaptive", "display": "omitted"}, false},
	} {
		t.Run(v.name, func(t *testing.T) {
			_, c := serve(t, model.Options{})
			m := c.ask(t, with(object{"thinking": v.thinking}))
			first := m.Content[0]
			if first.Type != "thinking" || first.Signature == "" || (*first.Thinking != "") != v.text {
				t.Errorf("%+v", first)
			}
			c.ask(t, with(object{"thinking": v.thinking, "messages": talk("hello", m.Content, "go on")}))
		})
	}
	_, c := serve(t, model.Options{})
	if m := c.ask(t, with(object{"thinking": object{"type": "disabled"}})); m.Content[0].Type != "text" {
		t.Errorf("thinks unasked: %+v", m.Content)
	}
}

func TestAnAnswerEndsWhereItMust(t *testing.T) {
	_, c := serve(t, model.Options{})
	whole := c.ask(t, request("hello"))
	if whole.Stop != "end_turn" || whole.Usage.Output < 20 {
		t.Fatalf("%+v", whole)
	}
	short := c.ask(t, with(object{"max_tokens": 10}))
	if short.Stop != "max_tokens" || short.Usage.Output > 10 || !strings.HasPrefix(whole.text(), short.text()) || short.text() == "" {
		t.Errorf("max_tokens: %+v", short)
	}
	stopped := c.ask(t, with(object{"stop_sequences": []string{"never said", " model"}}))
	if stopped.Stop != "stop_sequence" || stopped.Sequence == nil || *stopped.Sequence != " model" || stopped.text() != "I am a scripted stand-in for a" {
		t.Errorf("stop_sequences: %+v", stopped)
	}
	both := c.ask(t, with(object{"stop_sequences": []string{" model"}, "max_tokens": 3}))
	if both.Stop != "max_tokens" || both.Sequence != nil {
		t.Errorf("cut before its stop sequence: %+v", both)
	}
	tool := c.ask(t, with(object{"max_tokens": 25, "tools": claudes(), "messages": talk("scenario steps")}))
	if tool.Stop != "max_tokens" || len(tool.uses()) != 0 {
		t.Errorf("a tool that does not fit: %+v", tool)
	}
}

func TestUsageCountsTheWholeRequestOnce(t *testing.T) {
	_, c := serve(t, model.Options{})
	mark := object{"type": "ephemeral"}
	long := strings.Repeat("some words that make a long text ", 400)
	system := []object{{"type": "text", "text": long, "cache_control": mark}}
	user := func(text string) []object {
		return []object{{"type": "text", "text": text, "cache_control": mark}}
	}
	first := with(object{"system": system, "messages": talk(user(long + "hello"))})
	counted := func(body object) int {
		answer := c.post(t, "/v1/messages/count_tokens", body)
		defer answer.Body.Close()
		var n struct {
			Input int `json:"input_tokens"`
		}
		if err := json.NewDecoder(answer.Body).Decode(&n); err != nil {
			t.Fatal(err)
		}
		return n.Input
	}
	check := func(body object) *said {
		t.Helper()
		want := counted(body)
		m := c.ask(t, body)
		if u := m.Usage; u.Input+u.Creation+u.Read != want || u.Output < 1 {
			t.Errorf("%+v do not make %d", u, want)
		}
		return m
	}
	m := check(first)
	if m.Usage.Read != 0 || m.Usage.Creation < 4000 || m.Usage.Input > 50 {
		t.Errorf("first: %+v", m.Usage)
	}
	second := check(with(object{"system": system, "messages": talk(user(long+"hello"), m.Content, user("and now?"))}))
	if second.Usage.Read != m.Usage.Creation || second.Usage.Creation == 0 {
		t.Errorf("second: %+v, after %+v", second.Usage, m.Usage)
	}
	if plain := check(request("hello")); plain.Usage.Read+plain.Usage.Creation != 0 || plain.Usage.Input > 30 {
		t.Errorf("without marks: %+v", plain.Usage)
	}
	if n := counted(with(object{"max_tokens": nil})); n < 1 {
		t.Errorf("counted %d", n)
	}
}

func TestTotalsAreWhatManyClientsWereTold(t *testing.T) {
	s, c := serve(t, model.Options{})
	const clients, each = 16, 20
	var all sync.WaitGroup
	outputs := make([]int, clients)
	for i := range clients {
		all.Go(func() {
			for range each {
				m, err := c.try(t.Context(), request("hello"))
				if err != nil {
					t.Error(err)
					return
				}
				outputs[i] += m.Usage.Output
			}
		})
	}
	all.Wait()
	want := 0
	for _, n := range outputs {
		want += n
	}
	if got := s.Totals(); got.Messages != clients*each || got.Usage.Output != want || got.Refused != 0 {
		t.Errorf("%+v, want %d output tokens", got, want)
	}
}
