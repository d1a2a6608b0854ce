package contract_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"sam/sandbox/github/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recordingTB keeps what is reported instead of failing the test.
type recordingTB struct {
	testing.TB
	mu    sync.Mutex
	lines []string
}

func (r *recordingTB) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *recordingTB) Helper() {}

func (r *recordingTB) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// answer is a handler that always says the same.
func answer(status int, header map[string]string, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(err)
		}
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		if _, err := io.WriteString(w, body); err != nil {
			panic(err)
		}
	}
}

func description(t *testing.T) *contract.Description {
	t.Helper()
	d, err := contract.Installed()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// exchange sends one request through Wrap and returns what was reported.
func exchange(t *testing.T, h http.Handler, method, target, body string) (reported string, answered *http.Response) {
	t.Helper()
	d, rec := description(t), &recordingTB{TB: t}
	srv := httptest.NewServer(d.Wrap(rec, h))
	defer srv.Close()
	before := d.Checked()

	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	srv.Close() // waits for the handler, and so for the check
	if got := d.Checked(); got <= before {
		t.Fatalf("checked stayed at %d", got)
	}
	return rec.text(), res
}

const (
	label   = `{"id":1,"node_id":"L","url":"http://x/l","name":"sam","color":"ededed","default":false,"description":null}`
	problem = `{"message":"Not Found","documentation_url":"https://docs.github.com/rest","status":"404"}`
	issue   = "/api/v3/repos/octo/hello/issues/1"
	ref     = `{"ref":"refs/heads/sam/x","node_id":"R","url":"http://x/r","object":{"type":"commit","sha":"c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1","url":"http://x/c"}}`
)

var jsonType = map[string]string{"Content-Type": "application/json; charset=utf-8"}

func TestAnExchangeThatFollowsTheDescriptionIsNotReported(t *testing.T) {
	for name, tc := range map[string]struct {
		method, target, sent string
		handler              http.Handler
	}{
		"a list":                                     {"GET", issue + "/labels?per_page=10", "", answer(200, jsonType, "["+label+"]")},
		"a documented error":                         {"GET", issue + "/labels", "", answer(404, jsonType, problem)},
		"an undocumented but general error":          {"GET", issue + "/labels", "", answer(401, jsonType, `{"message":"Bad credentials"}`)},
		"an undocumented rate limit":                 {"GET", issue + "/labels", "", answer(429, jsonType, `{"message":"slow down"}`)},
		"an undocumented failure":                    {"GET", issue + "/labels", "", answer(502, jsonType, `{"message":"Server Error"}`)},
		"a 304 without a body":                       {"GET", issue + "/labels", "", answer(304, nil, "")},
		"a redirect":                                 {"GET", issue + "/labels", "", answer(301, map[string]string{"Location": "/x", "Content-Type": "application/json"}, `{}`)},
		"HEAD in place of GET":                       {"HEAD", issue + "/labels", "", answer(200, jsonType, "")},
		"labels as a bare array":                     {"POST", issue + "/labels", `["sam"]`, answer(200, jsonType, "["+label+"]")},
		"labels as an object":                        {"POST", issue + "/labels", `{"labels":["sam"]}`, answer(200, jsonType, "["+label+"]")},
		"a label whose name holds a slash":           {"DELETE", issue + "/labels/kind%2Fbug", "", answer(200, jsonType, "["+label+"]")},
		"a ref with slashes":                         {"GET", "/api/v3/repos/octo/hello/git/ref/heads/sam/x", "", answer(200, jsonType, ref)},
		"a ref with slashes in the middle of a path": {"GET", "/api/v3/repos/octo/hello/commits/sam/x/check-runs", "", answer(200, jsonType, `{"total_count":0,"check_runs":[]}`)},
		"the root directory":                         {"GET", "/api/v3/repos/octo/hello/contents/", "", answer(200, jsonType, `[]`)},
		"a null body where none is needed": {"POST", "/api/v3/app/installations/1/access_tokens", "null\n",
			answer(201, jsonType, `{"token":"ghs_x","expires_at":"2026-01-01T00:00:00Z"}`)},
		"no content": {"DELETE", "/api/v3/repos/octo/hello/issues/comments/1", "", answer(204, nil, "")},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := exchange(t, tc.handler, tc.method, tc.target, tc.sent); got != "" {
				t.Errorf("reported:\n%s", got)
			}
		})
	}
}

func TestADifferenceIsReportedWithWhereItIs(t *testing.T) {
	without := func(field string) string {
		i := strings.Index(label, `"`+field+`"`)
		return "[" + label[:i] + `"other` + label[i+1:] + "]"
	}
	for name, tc := range map[string]struct {
		method, target, sent string
		handler              http.Handler
		want                 []string
	}{
		"a required field is missing": {"GET", issue + "/labels", "", answer(200, jsonType, without("node_id")),
			[]string{"GET /repos/octo/hello/issues/1/labels -> 200", "/0/node_id", "missing"}},
		"two fields are missing": {"GET", issue + "/labels", "", answer(200, jsonType, `[{"id":1,"node_id":"L","url":"http://x","name":"a"}]`),
			[]string{"/0/color", "/0/default", "/0/description"}},
		"a field has the wrong type": {"GET", issue + "/labels", "", answer(200, jsonType, strings.Replace("["+label+"]", `"id":1`, `"id":"1"`, 1)),
			[]string{"response body at /0/id", "integer"}},
		"a time is malformed": {"POST", issue + "/reactions", `{"content":"eyes"}`,
			answer(201, jsonType, `{"id":1,"node_id":"R","user":null,"content":"eyes","created_at":"2026-01-01 00:00"}`),
			[]string{"response body at /created_at"}},
		"the body is not JSON":               {"GET", issue + "/labels", "", answer(200, jsonType, `[`), []string{"response body", "EOF"}},
		"the content type is another":        {"GET", issue + "/labels", "", answer(200, map[string]string{"Content-Type": "text/html"}, `[]`), []string{"text/html"}},
		"the status is not documented":       {"GET", issue + "/labels", "", answer(202, jsonType, `[]`), []string{"-> 202", "status"}},
		"HEAD with an undocumented status":   {"HEAD", issue + "/labels", "", answer(202, jsonType, ``), []string{"status"}},
		"the path is unknown":                {"GET", "/api/v3/repos/octo/hello/isues", "", answer(404, jsonType, problem), []string{"no such operation"}},
		"the method is unknown":              {"DELETE", issue, "", answer(404, jsonType, problem), []string{"no such operation"}},
		"a parameter has the wrong type":     {"GET", "/api/v3/repos/octo/hello/issues/one", "", answer(404, jsonType, problem), []string{"issue_number"}},
		"a query is out of its set":          {"GET", "/api/v3/repos/octo/hello/issues?state=shut", "", answer(200, jsonType, `[]`), []string{`query parameter "state"`}},
		"the request lacks a required field": {"POST", issue + "/comments", `{"text":"hi"}`, answer(404, jsonType, problem), []string{"request body at /body", "missing"}},
		"the request has the wrong type":     {"POST", issue + "/comments", `{"body":7}`, answer(404, jsonType, problem), []string{"request body at /body", "string"}},
		"the request has no body":            {"POST", issue + "/comments", ``, answer(404, jsonType, problem), []string{"request body"}},
		"a label list of neither form":       {"POST", issue + "/labels", `7`, answer(404, jsonType, problem), []string{"request body"}},
		"an error without a message":         {"GET", issue + "/labels", "", answer(404, jsonType, `{"error":"x"}`), []string{"/message"}},
		"an error that is plain text":        {"GET", issue + "/labels", "", answer(500, nil, `boom`), []string{"content type"}},
		"an error with a numeric status":     {"GET", issue + "/labels", "", answer(403, jsonType, `{"message":"no","status":403}`), []string{"/status"}},
		"a validation error without links":   {"POST", issue + "/comments", `{"body":"x"}`, answer(422, jsonType, `{"message":"Validation Failed"}`), []string{"/documentation_url"}},
		"a redirect to nowhere":              {"GET", issue + "/labels", "", answer(301, jsonType, `{}`), []string{"Location"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := exchange(t, tc.handler, tc.method, tc.target, tc.sent)
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("want %q in the report:\n%s", want, got)
				}
			}
		})
	}
}

func TestTheExchangeItselfIsNotChanged(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != `{"body":7}` || r.URL.Path != issue+"/comments" {
			t.Errorf("the handler saw %s %q, %v", r.URL.Path, body, err)
		}
		w.Header().Set("X-Kept", "yes")
		w.WriteHeader(http.StatusTeapot)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("flush: %v", err)
		}
	})
	reported, res := exchange(t, h, "POST", issue+"/comments", `{"body":7}`)
	if res.StatusCode != http.StatusTeapot || res.Header.Get("X-Kept") != "yes" {
		t.Errorf("the client saw %d %v", res.StatusCode, res.Header)
	}
	if !strings.Contains(reported, "418") {
		t.Errorf("the teapot was not reported:\n%s", reported)
	}
}

func TestWhatIsNotTheRESTAPIPassesUnchecked(t *testing.T) {
	d, rec := description(t), &recordingTB{TB: t}
	before := d.Checked()
	w := httptest.NewRecorder()
	d.Wrap(rec, answer(200, nil, "page")).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/octo/hello/issues", nil))
	if w.Body.String() != "page" || d.Checked() != before || rec.text() != "" {
		t.Errorf("got %q, checked %d more, reported %q", w.Body, d.Checked()-before, rec.text())
	}
}

func TestAConnectionThatIsCutIsNotChecked(t *testing.T) {
	d, rec := description(t), &recordingTB{TB: t}
	before := d.Checked()
	srv := httptest.NewServer(d.Wrap(rec, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		_ = conn.Close()
	})))
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+issue, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := srv.Client().Do(req)
	if err == nil {
		_ = res.Body.Close()
		t.Fatal("the request succeeded on a cut connection")
	}
	srv.Close()
	if d.Checked() != before || rec.text() != "" {
		t.Errorf("checked %d more, reported %q", d.Checked()-before, rec.text())
	}
}

func TestExchangesAreCheckedConcurrently(t *testing.T) {
	d, rec := description(t), &recordingTB{TB: t}
	before := d.Checked()
	h := d.Wrap(rec, answer(200, jsonType, "["+label+"]"))
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", issue+"/labels", nil))
		})
	}
	wg.Wait()
	if got := d.Checked() - before; got != 32 || rec.text() != "" {
		t.Errorf("checked %d of 32, reported:\n%s", got, rec.text())
	}
}

func TestPathSaysWhatToDoWhenTheDescriptionIsMissing(t *testing.T) {
	t.Run("below the module root", func(t *testing.T) {
		root := t.TempDir()
		below := filepath.Join(root, "a", "b")
		if err := os.MkdirAll(below, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv(contract.EnvPath, "")
		t.Chdir(below)
		_, err := contract.Path()
		if !errors.Is(err, contract.ErrNotInstalled) || !strings.Contains(err.Error(), "make tools") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("where the environment says", func(t *testing.T) {
		t.Setenv(contract.EnvPath, filepath.Join(t.TempDir(), "none.json"))
		_, err := contract.Path()
		if !errors.Is(err, contract.ErrNotInstalled) || !strings.Contains(err.Error(), contract.EnvPath) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("is the file the environment names when it is there", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "some.json")
		if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv(contract.EnvPath, file)
		if got, err := contract.Path(); err != nil || got != file {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestLoadRefusesWhatIsNotTheDescription(t *testing.T) {
	for name, content := range map[string]string{
		"not JSON":    `openapi: 3.0.3`,
		"nothing":     `{}`,
		"another API": `{"openapi":"3.0.3","info":{"title":"x","version":"1"},"paths":{"/app":{}},"components":{"schemas":{"a":{}}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "api.json")
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := contract.Load(file); err == nil || !strings.Contains(err.Error(), file) {
				t.Errorf("got %v", err)
			}
		})
	}
}
