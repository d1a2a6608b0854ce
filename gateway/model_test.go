package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"sam/agent/wire"
	"sam/sandbox/model"
	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

// modelKey is the operator's. The workspace, the log and the answers must never hold it.
const modelKey = "sk-ant-operator-7c1d9e40aa"

var testPrices = Prices{
	"claude-opus-5":   {Input: 5, Output: 25, CacheRead: 0.5, CacheWrite: 6.25},
	"claude-opus-5-5": {Input: 4, Output: 20, CacheRead: 0.2, CacheWrite: 5},
	"claude-haiku":    {Input: 1, Output: 5, CacheRead: 0.1, CacheWrite: 1.25},
}

// modelWorld is a gateway with a model behind it, and one task that runs on the node "local".
type modelWorld struct {
	*nodeWorld
	task task.Task
	log  *safeBuffer
}

func newModelWorld(t *testing.T, upstream http.Handler) *modelWorld {
	t.Helper()
	server := httptest.NewServer(upstream)
	t.Cleanup(server.Close)
	return newModelWorldOn(t, server.URL)
}

func newModelWorldOn(t *testing.T, upstream string) *modelWorld {
	t.Helper()
	return newModelWorldWith(t, newBroker(t, upstream))
}

func newBroker(t *testing.T, upstream string) *Model {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	broker, err := NewModel(ModelOptions{BaseURL: upstream, Key: modelKey, Prices: testPrices, HTTP: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return broker
}

func newModelWorldWith(t *testing.T, broker *Model) *modelWorld {
	t.Helper()
	started, err := redis.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := &modelWorld{nodeWorld: newNodeWorldOn(t, started.Address, func(s *store.Store) Store { return s }), log: &safeBuffer{}}
	w.gateway = New(Options{Store: w.store, GitHub: w.github, Keys: w.keys, HTTP: w.client, Model: broker})
	log := zerolog.New(w.log)
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.gateway.ServeHTTP(rw, r.WithContext(log.WithContext(r.Context())))
	}))
	t.Cleanup(w.gateway.Close)
	t.Cleanup(w.server.Close)
	link, _ := w.link("local")
	t.Cleanup(func() { _ = link.conn.CloseNow() })
	w.task = w.place(1, "local")
	return w
}

// request makes one as sam node's forwarder would for the task's workspace.
func (w *modelWorld) request(method, path, body string) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+wire.ModelPath+string(w.task.ID)+"/anthropic/"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.keys.NodeToken("local"))
	r.Header.Set(wire.TaskTokenHeader, w.keys.taskToken(w.task.ID, w.task.Epoch, "local"))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Anthropic-Version", "2023-06-01")
	return r
}

// answer sends a request and reads its answer whole.
func (w *modelWorld) answer(r *http.Request) (*http.Response, string, error) {
	w.t.Helper()
	response, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

// refused sends a request and expects an error in the API's shape.
func (w *modelWorld) refused(r *http.Request, status int, kind, word string) {
	w.t.Helper()
	response, body, err := w.answer(r)
	if err != nil {
		w.t.Fatal(err)
	}
	var told struct {
		Type  string
		Error struct{ Type, Message string }
	}
	if err := json.Unmarshal([]byte(body), &told); err != nil {
		w.t.Fatalf("%v in %s", err, body)
	}
	if response.StatusCode != status || told.Type != "error" || told.Error.Type != kind || !strings.Contains(told.Error.Message, word) {
		w.t.Errorf("%d %s, want %d, %s, with %q", response.StatusCode, body, status, kind, word)
	}
	if strings.Contains(body, modelKey) {
		w.t.Errorf("the answer holds the key: %s", body)
	}
}

func ask(text string, stream bool) string {
	return fmt.Sprintf(`{"model":"claude-opus-5-5","max_tokens":1000,"stream":%t,"messages":[{"role":"user","content":%q}]}`, stream, text)
}

func TestAnAnswerPassesThroughAndIsMetered(t *testing.T) {
	for _, stream := range []bool{true, false} {
		scripted := model.New(model.Options{APIKey: modelKey})
		t.Cleanup(scripted.Close)
		w := newModelWorld(t, scripted.Handler())
		response, body, err := w.answer(w.request(http.MethodPost, "v1/messages?beta=true", ask("scenario noop", stream)))
		if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(body, "Rate limiting is in place") {
			t.Fatalf("%d %s, %v", response.StatusCode, body, err)
		}
		if response.Header.Get("Request-Id") == "" || response.Header.Get("Anthropic-Organization-Id") != "" {
			t.Errorf("headers %v", response.Header)
		}
		told := scripted.Totals().Usage
		want := task.Spent{Requests: 1, Input: int64(told.Input), Output: int64(told.Output), CacheRead: int64(told.CacheRead), CacheWrite: int64(told.CacheCreation)}
		want.MicroUSD = 4*want.Input + 20*want.Output + 5*want.CacheWrite
		if got := w.read(w.task.ID).Spent; got != want || got.Output == 0 {
			t.Errorf("stream %t: spent %+v, want %+v", stream, got, want)
		}
	}
}

func TestCountingTokensCostsNothingAndNothingElseIsThere(t *testing.T) {
	scripted := model.New(model.Options{APIKey: modelKey})
	t.Cleanup(scripted.Close)
	w := newModelWorld(t, scripted.Handler())
	r := w.request(http.MethodPost, "v1/messages/count_tokens", `{"model":"claude-opus-5-5","messages":[{"role":"user","content":"hello"}]}`)
	if response, body, err := w.answer(r); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%d %s, %v", response.StatusCode, body, err)
	}
	if got := w.read(w.task.ID).Spent; got != (task.Spent{}) {
		t.Errorf("spent %+v", got)
	}
	for _, ask := range []string{
		"POST v1/complete", "GET v1/messages", "GET v1/organizations/me", "GET v1/models", "GET v1/models/claude-opus-5-5",
		"POST v1/messages/batches", "POST v1/files", "POST v1/skills", "POST v1/messages/count_tokens/x", "POST v1/messages%2fbatches",
	} {
		method, path, _ := strings.Cut(ask, " ")
		w.refused(w.request(method, path, "{}"), 404, "not_found_error", "v1/messages")
	}
}

func TestOnlyARunningTaskOfTheNodeGetsAModel(t *testing.T) {
	scripted := model.New(model.Options{APIKey: modelKey})
	t.Cleanup(scripted.Close)
	w := newModelWorld(t, scripted.Handler())
	for name, spoil := range map[string]func(http.Header){
		"no node":             func(h http.Header) { h.Del("Authorization") },
		"another node":        func(h http.Header) { h.Set("Authorization", "Bearer "+w.keys.NodeToken("other")) },
		"no token":            func(h http.Header) { h.Del(wire.TaskTokenHeader) },
		"a token of an epoch": func(h http.Header) { h.Set(wire.TaskTokenHeader, w.keys.taskToken(w.task.ID, w.task.Epoch-1, "local")) },
	} {
		t.Run(name, func(t *testing.T) {
			r := w.request(http.MethodPost, "v1/messages", ask("scenario noop", false))
			spoil(r.Header)
			w.refused(r, 401, "authentication_error", "credentials")
		})
	}
	w.move(w.task, task.Failed)
	w.refused(w.request(http.MethodPost, "v1/messages", ask("scenario noop", false)), 403, "permission_error", "does not run any more")
	if n := scripted.Totals().Messages; n != 0 {
		t.Errorf("%d requests reached the model", n)
	}
}

func TestAWrongKeyIsToldAsTheOperators(t *testing.T) {
	scripted := model.New(model.Options{APIKey: "another one"})
	t.Cleanup(scripted.Close)
	w := newModelWorld(t, scripted.Handler())
	w.refused(w.request(http.MethodPost, "v1/messages", ask("scenario noop", true)), 401, "authentication_error", "refused SAM's own key")
	if told := w.log.String(); strings.Contains(told, modelKey) || !strings.Contains(told, "invalid x-api-key") {
		t.Errorf("the log says %s", told)
	}
}

func TestAModelThatRefusesIsHeardAsItIs(t *testing.T) {
	scripted := model.New(model.Options{APIKey: modelKey})
	t.Cleanup(scripted.Close)
	w := newModelWorld(t, scripted.Handler())
	for _, want := range []int{429, 529, 200} {
		response, body, err := w.answer(w.request(http.MethodPost, "v1/messages", ask("scenario limited", true)))
		if err != nil || response.StatusCode != want {
			t.Fatalf("%d %s, %v; want %d", response.StatusCode, body, err, want)
		}
		if want == 429 && response.Header.Get("Retry-After") == "" {
			t.Errorf("no Retry-After in %v", response.Header)
		}
	}
}

func TestAModelThatIsAwayIsToldInItsOwnShape(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + listener.Addr().String()
	listener.Close()
	w := newModelWorldOn(t, address)
	r := w.request(http.MethodPost, "v1/messages", ask("scenario noop", true))
	w.refused(r, 502, "api_error", "cannot reach the model")
	response, _, err := w.answer(w.request(http.MethodPost, "v1/messages", ask("scenario noop", true)))
	if err != nil || response.Header.Get("X-Should-Retry") != "true" {
		t.Errorf("%v, %v: clients are not told to try again", response.Header, err)
	}
}

func TestWithoutAKeyTheOperatorIsToldWhatToSet(t *testing.T) {
	w := newModelWorldWith(t, nil)
	w.refused(w.request(http.MethodPost, "v1/messages", ask("scenario noop", true)), 403, "permission_error", "model.anthropic.key_file")
}

func TestAStreamThatBreaksOffStaysBrokenAndIsMetered(t *testing.T) {
	scripted := model.New(model.Options{APIKey: modelKey})
	t.Cleanup(scripted.Close)
	w := newModelWorld(t, scripted.Handler())
	_, body, err := w.answer(w.request(http.MethodPost, "v1/messages", ask("scenario half", true)))
	if err == nil {
		t.Errorf("half an answer looks whole: %s", body)
	}
	w.until("what was seen is recorded", func() bool { return w.read(w.task.ID).Spent.Input > 0 })
}

// seen keeps what reaches the model.
type seen struct {
	header http.Header
	path   string
}

func TestOnlyTheHeadersOfTheAPIPass(t *testing.T) {
	got := make(chan seen, 1)
	w := newModelWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		got <- seen{r.Header.Clone(), r.URL.RequestURI()}
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Set-Cookie", "a=b")
		rw.Header().Set("Anthropic-Ratelimit-Tokens-Remaining", "5")
		_, _ = io.WriteString(rw, `{"type":"message","usage":{}}`)
	}))
	r := w.request(http.MethodPost, "v1/messages?beta=true&key=mine", "{}")
	for name, value := range map[string]string{
		"Anthropic-Beta": "claude-code-20250219, files-api-2025-04-14,effort-2025-11-24,mcp-client-2025-11-20", "X-Stainless-Os": "Linux", "X-Api-Key": "mine", "Cookie": "c=d", "X-Forwarded-For": "192.0.2.1",
		"User-Agent": "claude-cli/2", "Anthropic-Dangerous": "1", "Content-Type": "application/json; charset=utf-16",
	} {
		r.Header.Set(name, value)
	}
	response, _, err := w.answer(r)
	if err != nil || response.Header.Get("Set-Cookie") != "" || response.Header.Get("Anthropic-Ratelimit-Tokens-Remaining") != "5" {
		t.Errorf("answered with %v, %v", response.Header, err)
	}
	s := <-got
	if s.path != "/v1/messages?beta=true" {
		t.Errorf("asked for %s", s.path)
	}
	want := map[string]string{
		"Anthropic-Beta": "claude-code-20250219,effort-2025-11-24", "X-Stainless-Os": "Linux", "X-Api-Key": modelKey, "User-Agent": "claude-cli/2",
		"Anthropic-Version": "2023-06-01", "Content-Type": "application/json", "Accept-Encoding": "identity", "Content-Length": "2",
	}
	for name := range s.header {
		if s.header.Get(name) != want[name] {
			t.Errorf("%s: %q reached the model, want %q", name, s.header.Get(name), want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("these did not: %v", want)
	}
}

func TestARequestHasABound(t *testing.T) {
	w := newModelWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.WriteHeader(http.StatusOK)
	}))
	w.refused(w.request(http.MethodPost, "v1/messages", strings.Repeat("x", maxModelRequest+1)), 413, "request_too_large", "32 MiB")
	r := w.request(http.MethodPost, "v1/messages", "")
	r.Body = io.NopCloser(io.LimitReader(zeros{}, maxModelRequest+1)) // of a length that it does not tell
	r.ContentLength = -1
	w.refused(r, 413, "request_too_large", "32 MiB")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Each event must have reached the client before the model sends the next.
func TestAStreamIsNotHeldBack(t *testing.T) {
	next := make(chan struct{})
	w := newModelWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "text/event-stream")
		for i := range 5 {
			fmt.Fprintf(rw, "event: ping\ndata: {\"type\":\"ping\",\"n\":%d}\n\n", i)
			_ = http.NewResponseController(rw).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}))
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	response, err := w.client.Do(w.request(http.MethodPost, "v1/messages", ask("hello", true)).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for i := range 5 {
		for lines.Scan() && !strings.HasPrefix(lines.Text(), "data:") {
			continue
		}
		if want := fmt.Sprintf(`"n":%d`, i); !strings.Contains(lines.Text(), want) {
			t.Fatalf("%q, %v; want %s", lines.Text(), lines.Err(), want)
		}
		select {
		case next <- struct{}{}:
		case <-ctx.Done():
			t.Fatalf("the model was cut off after event %d", i)
		}
	}
}

func TestAClientThatGoesAwayEndsTheRequestAndIsMetered(t *testing.T) {
	ended := make(chan struct{})
	w := newModelWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer close(ended)
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(rw, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-opus-5-5\",\"usage\":{\"input_tokens\":1000,\"output_tokens\":1}}}\n\n")
		_ = http.NewResponseController(rw).Flush()
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	response, err := w.client.Do(w.request(http.MethodPost, "v1/messages", ask("hello", true)).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := response.Body.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	response.Body.Close()
	<-ended
	w.until("what was seen is recorded", func() bool { return w.read(w.task.ID).Spent.MicroUSD == 4020 })
}

func TestANewModelNeedsAnAddressAndAKey(t *testing.T) {
	for name, o := range map[string]ModelOptions{
		"no address":           {Key: modelKey},
		"a word":               {BaseURL: "anthropic", Key: modelKey},
		"credentials in it":    {BaseURL: "https://a:b@example.com", Key: modelKey},
		"no key":               {BaseURL: "https://example.com"},
		"a key with a newline": {BaseURL: "https://example.com", Key: modelKey + "\n"},
	} {
		o.HTTP = &http.Client{}
		if _, err := NewModel(o); err == nil || strings.Contains(err.Error(), modelKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
