package github_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sam/sandbox/github"
)

// visitor is a browser without the browser: cookies, forms, redirects followed.
type visitor struct {
	t      *testing.T
	base   string
	client *http.Client
}

// harbour is a sandbox with one repository, two people who may write, one who
// may not, an issue and a pull request that closes it.
func harbour(t *testing.T) (*github.Server, visitor) {
	t.Helper()
	dir := t.TempDir()
	s, err := github.New(github.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	for _, login := range []string{"mara", "jonas", "stranger"} {
		_, err := s.CreateUser(login)
		noError(t, err)
	}
	r, err := s.CreateRepository(github.RepositorySpec{
		Owner: "mara", Name: "harbour", Description: "Berths & tides.",
		Files: map[string][]byte{"main.go": []byte("package main\n\nfunc main() {}\n"), "old.txt": []byte("gone\n")},
	})
	noError(t, err)
	noError(t, s.SetCollaborator("mara", "harbour", "jonas", "write"))
	_, err = s.CreateIssue("jonas", "mara", "harbour", "Uploads can be <flooded>", "Anyone can send **thousands**.")
	noError(t, err)
	commitTo(t, filepath.Join(dir, fmt.Sprintf("%d.git", r.ID)), "sam/1")
	_, err = s.CreatePullRequest("jonas", "mara", "harbour", "Limit uploads", "Five a second.\n\nFixes #1", "sam/1", "main")
	noError(t, err)

	srv := httptest.NewServer(github.Pages(s))
	t.Cleanup(srv.Close)
	jar, err := cookiejar.New(nil)
	noError(t, err)
	return s, visitor{t: t, base: srv.URL, client: &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// commitTo adds a commit on a new branch to a bare repository, without a push.
func commitTo(t *testing.T, gitDir, branch string) {
	t.Helper()
	stream := strings.Join([]string{
		"commit refs/heads/" + branch,
		"committer Jonas <jonas@example.com> 1790000000 +0000",
		"data 18", "upload: limit them", "from refs/heads/main^0",
		"M 100644 inline limit.go", "data 13", "package main", "", "D old.txt", "",
	}, "\n")
	cmd := exec.CommandContext(t.Context(), "git", "--git-dir", gitDir, "fast-import", "--quiet")
	cmd.Stdin = strings.NewReader(stream)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("fast-import: %v\n%s", err, out)
	}
}

func (v visitor) do(method, path string, header http.Header, form url.Values) (*http.Response, string) {
	v.t.Helper()
	ctx, cancel := context.WithCancel(v.t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, v.base+path, strings.NewReader(form.Encode()))
	noError(v.t, err)
	if header != nil {
		req.Header = header
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := v.client.Do(req)
	noError(v.t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	noError(v.t, err)
	return res, string(body)
}

func (v visitor) get(path string) string {
	v.t.Helper()
	_, body := v.do(http.MethodGet, path, nil, nil)
	return body
}

// post sends a form and returns where it led and what was shown there.
func (v visitor) post(path string, fields ...string) (*http.Response, string) {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return v.do(http.MethodPost, path, nil, form)
}

func (v visitor) actAs(login string) {
	v.t.Helper()
	if res, body := v.post("/-/actor", "login", login, "back", "/"); res.StatusCode != http.StatusOK {
		v.t.Fatalf("act as %s: %s\n%s", login, res.Status, body)
	}
}

func shows(t *testing.T, body string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not on the page:\n%s", want, body)
		}
	}
}

func hides(t *testing.T, body string, unwanted ...string) {
	t.Helper()
	for _, no := range unwanted {
		if strings.Contains(body, no) {
			t.Errorf("%q is on the page:\n%s", no, body)
		}
	}
}

func TestPagesShowWhatThereIs(t *testing.T) {
	_, v := harbour(t)
	for name, tc := range map[string]struct {
		path   string
		wanted []string
	}{
		"repositories":       {"/", []string{"harbour", "Berths &amp; tides.", "<option selected>mara</option>"}},
		"a repository":       {"/mara/harbour", []string{"<h1>Issues</h1>"}},
		"issues":             {"/mara/harbour/issues", []string{"2 open", "0 closed", "Uploads can be &lt;flooded&gt;", "/mara/harbour/pull/2", "pull request</span> #2"}},
		"closed issues":      {"/mara/harbour/issues?state=closed", []string{"Nothing is closed."}},
		"pull requests":      {"/mara/harbour/pulls", []string{"1 open", "Limit uploads"}},
		"the issue form":     {"/mara/harbour/issues/new", []string{"Create as mara"}},
		"an issue":           {"/mara/harbour/issues/1", []string{"Uploads can be &lt;flooded&gt;", "<strong>thousands</strong>", "Comment as mara", "Close this issue"}},
		"a pull request":     {"/mara/harbour/pull/2", []string{"by jonas", "<code>sam/1</code> → <code>main</code>", "1 commit", "upload: limit them", ">Merge<"}},
		"its changes":        {"/mara/harbour/pull/2", []string{"2 files", "limit.go", `<span class="tag">new</span>`, "old.txt", `<span class="tag">deleted</span>`, `<tr class="add"><td></td><td>1</td><td>package main</td></tr>`, `<tr class="del"><td>1</td><td></td><td>gone</td></tr>`}},
		"what it will close": {"/mara/harbour/pull/2", []string{`<a href="/mara/harbour/issues/1">#1 Uploads can be &lt;flooded&gt;</a>`, "when it is merged"}},
		"the wrong door":     {"/mara/harbour/issues/2", []string{"Limit uploads", "Changes"}},
		"the other one":      {"/mara/harbour/pull/1", []string{"Close this issue"}},
		"the style":          {"/-/style.css", []string{"prefers-color-scheme"}},
		"the script":         {"/-/live.js", []string{"data-live"}},
		"the mark":           {"/-/mark.svg", []string{"<svg"}},
	} {
		t.Run(name, func(t *testing.T) { shows(t, v.get(tc.path), tc.wanted...) })
	}
}

func TestAVisitorWritesAsThePersonTheyChose(t *testing.T) {
	s, v := harbour(t)
	v.actAs("jonas")

	res, body := v.post("/mara/harbour/issues", "title", " Tides are late ", "body", "By an hour.")
	if got := res.Request.URL.Path; got != "/mara/harbour/issues/3" {
		t.Fatalf("creating led to %s:\n%s", got, body)
	}
	shows(t, body, "Tides are late", "opened by jonas", "By an hour.")

	res, body = v.post("/mara/harbour/issues/3/comments", "body", "/sam fix it\r\nplease")
	comments, err := s.Comments("mara", "harbour", 3)
	noError(t, err)
	if len(comments) != 1 || comments[0].Author.Login != "jonas" || comments[0].Body != "/sam fix it\r\nplease" {
		t.Fatalf("comments are %+v", comments)
	}
	anchor := fmt.Sprintf("issuecomment-%d", comments[0].ID)
	if res.Request.URL.Fragment != anchor {
		t.Errorf("the comment led to #%s, want #%s", res.Request.URL.Fragment, anchor)
	}
	shows(t, body, `id="`+anchor+`"`, "/sam fix it")

	_, body = v.post("/mara/harbour/issues/3/label", "label", "bug")
	shows(t, body, "Remove the label bug")
	_, body = v.post("/mara/harbour/issues/3/unlabel", "label", "bug")
	hides(t, body, "Remove the label bug")
	_, body = v.post("/mara/harbour/issues/3/close")
	shows(t, body, "Reopen this issue")
	_, body = v.post("/mara/harbour/issues/3/reopen")
	shows(t, body, "Close this issue")
	shows(t, v.get("/mara/harbour/issues/3"), "Comment as jonas")
}

func TestAMergedPullRequestSaysSoAndClosesItsIssue(t *testing.T) {
	s, v := harbour(t)
	_, body := v.post("/mara/harbour/issues/2/merge")
	shows(t, body, `class="state merged"`, "Closed <a", "limit.go")
	hides(t, body, ">Merge<", "Reopen this", "Close this")
	issue, err := s.Issue("mara", "harbour", 1)
	noError(t, err)
	if issue.State != "closed" {
		t.Errorf("the issue is %s", issue.State)
	}
}

func TestARefusalIsAPageThatSaysWhy(t *testing.T) {
	s, v := harbour(t)
	v.actAs("stranger")
	for name, tc := range map[string]struct {
		method, path string
		form         []string
		status       int
		wanted       []string
	}{
		"no such repository":   {"GET", "/mara/none/issues", nil, 404, []string{"nothing at /mara/none/issues"}},
		"no such issue":        {"GET", "/mara/harbour/issues/99", nil, 404, []string{"nothing at"}},
		"no number":            {"GET", "/mara/harbour/issues/x", nil, 404, []string{"nothing at"}},
		"no such page":         {"GET", "/a/b/c/d", nil, 404, []string{"See what there is"}},
		"no right":             {"POST", "/mara/harbour/issues/1/label", []string{"label", "bug"}, 0, []string{"back button"}},
		"too long a comment":   {"POST", "/mara/harbour/issues/1/comments", []string{"body", strings.Repeat("ü", 65537)}, 422, []string{"body is too long (maximum is 65536 characters)"}},
		"too large a form":     {"POST", "/mara/harbour/issues/1/comments", []string{"body", strings.Repeat("x", 1<<20)}, 400, []string{"too large"}},
		"no such deed":         {"POST", "/mara/harbour/issues/1/paint", nil, 404, nil},
		"nobody of that name":  {"POST", "/-/actor", []string{"login", "ghost"}, 422, []string{"ghost"}},
		"an empty issue title": {"POST", "/mara/harbour/issues", []string{"title", "  "}, 422, []string{"title"}},
	} {
		t.Run(name, func(t *testing.T) {
			form := url.Values{}
			for i := 0; i < len(tc.form); i += 2 {
				form.Set(tc.form[i], tc.form[i+1])
			}
			res, body := v.do(tc.method, tc.path, nil, form)
			if res.StatusCode != tc.status && (tc.status != 0 || res.StatusCode < 400) {
				t.Errorf("status %d, want %d", res.StatusCode, tc.status)
			}
			shows(t, body, append(tc.wanted, "sandbox", fmt.Sprint(res.StatusCode))...)
		})
	}
	issue, err := s.Issue("mara", "harbour", 1)
	noError(t, err)
	if comments, err := s.Comments("mara", "harbour", 1); err != nil || len(comments) != 0 || len(issue.Labels) != 0 {
		t.Errorf("something was written: %+v %+v %v", comments, issue.Labels, err)
	}
}

func TestAFormFromAnotherSiteChangesNothing(t *testing.T) {
	s, v := harbour(t)
	for name, header := range map[string]http.Header{
		"by its origin":            {"Origin": {"https://elsewhere.example"}},
		"by what the browser says": {"Sec-Fetch-Site": {"cross-site"}},
	} {
		t.Run(name, func(t *testing.T) {
			res, body := v.do(http.MethodPost, "/mara/harbour/issues/1/close", header, nil)
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("status %d", res.StatusCode)
			}
			shows(t, body, "another site")
		})
	}
	if issue, err := s.Issue("mara", "harbour", 1); err != nil || issue.State != "open" {
		t.Errorf("the issue is %s, %v", issue.State, err)
	}
}

func TestChoosingAPersonNeverLeadsOffTheSite(t *testing.T) {
	_, v := harbour(t)
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for back, want := range map[string]string{
		"/mara/harbour/issues?state=closed": "/mara/harbour/issues?state=closed",
		"https://elsewhere.example/":        "/",
		"//elsewhere.example/":              "/",
		`/\elsewhere.example/`:              "/",
		"":                                  "/",
	} {
		res, _ := v.post("/-/actor", "login", "jonas", "back", back)
		if got := res.Header.Get("Location"); got != want {
			t.Errorf("back to %q led to %q, want %q", back, got, want)
		}
	}
}

func TestWhatPeopleWriteCannotRunInAPage(t *testing.T) {
	s, v := harbour(t)
	_, err := s.CreateComment("stranger", "mara", "harbour", 1, strings.Join([]string{
		"<script>alert(1)</script>", `<img src="x" onerror="alert(2)">`, "",
		"[click](javascript:alert(3))", "", `<a href="data:text/html,x">d</a>`, `<iframe src="/"></iframe>`, `<form action="/x"><input type="password" name="p"></form>`,
		"<style>body{display:none}</style>", "", "- [x] done", "", "<details><summary>more</summary>\n\ntext\n\n</details>", "", "one", "two",
	}, "\n"))
	noError(t, err)
	res, body := v.do(http.MethodGet, "/mara/harbour/issues/1", nil, nil)
	hides(t, body, "alert(1)", "onerror", "javascript:alert", "data:text", "<iframe", `type="password"`, "display:none")
	shows(t, body, `<input checked="" disabled="" type="checkbox"`, "<details><summary>more</summary>", "one<br>")
	policy := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %q", policy, want)
		}
	}
}

func TestAPageThatDidNotChangeIsNotSentAgain(t *testing.T) {
	s, v := harbour(t)
	res, _ := v.do(http.MethodGet, "/mara/harbour/issues/1", nil, nil)
	again := http.Header{"If-None-Match": {res.Header.Get("ETag")}}
	if res, _ := v.do(http.MethodGet, "/mara/harbour/issues/1", again.Clone(), nil); res.StatusCode != http.StatusNotModified {
		t.Errorf("status %d, want 304", res.StatusCode)
	}
	_, err := s.CreateComment("mara", "mara", "harbour", 1, "news")
	noError(t, err)
	res, body := v.do(http.MethodGet, "/mara/harbour/issues/1", again.Clone(), nil)
	if res.StatusCode != http.StatusOK {
		t.Errorf("status %d, want 200", res.StatusCode)
	}
	shows(t, body, "news")
}

func TestWithoutPeopleThePagesAreOnlyRead(t *testing.T) {
	s, err := github.New(github.Options{})
	noError(t, err)
	defer func() { noError(t, s.Close()) }()
	w := httptest.NewRecorder()
	github.Pages(s).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	shows(t, w.Body.String(), "no repositories yet")
	hides(t, w.Body.String(), "Acting as")
}
