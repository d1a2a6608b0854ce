package github_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v62/github"

	"sam/sandbox/github"
)

// control asks the path that is not GitHub's, with a JSON body if any, and decodes
// the answer into a value unless that is nil.
func (w *world) control(method, path, body string, status int, into any) {
	w.t.Helper()
	got := w.ask(method, w.url+"/_sandbox/"+path, body)
	if got.status != status {
		w.t.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
	}
	if into != nil {
		w.check(json.Unmarshal(got.body, into))
	}
}

func TestFaultsAreAskedForAndCountedOverHTTP(t *testing.T) {
	w := newWorld(t)
	auth := "Authorization: token " + w.token(nil)
	var report github.FaultReport
	w.control(http.MethodPut, "faults", `{"seed":3,"rules":[{"kind":"secondary_429","next":1,"for":"4s","path":"/repos/**"}]}`, 200, &report)
	if report.Seed != 3 || len(report.Rules) != 1 || report.Hits[github.Secondary429] != 0 {
		t.Errorf("set: %+v", report)
	}
	if got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", auth); got.status != 429 || got.header.Get("Retry-After") != "4" {
		t.Errorf("struck: %d %v", got.status, got.header)
	}
	w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", auth)
	w.control(http.MethodGet, "faults", "", 200, &report)
	if report.Hits[github.Secondary429] != 1 || report.Rules[0].Struck != 1 || report.TooSoon != 1 {
		t.Errorf("read: %+v", report)
	}
	report = github.FaultReport{}
	w.control(http.MethodDelete, "faults", "", 200, &report)
	if len(report.Rules) != 0 || report.Hits[github.Secondary429] != 1 {
		t.Errorf("ended: %+v", report)
	}
}

func TestTheControlPathRefusesWhatItDoesNotUnderstand(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		method, path, body, kind string
		status                   int
		message                  string
	}{
		"a kind of fault":   {"PUT", "faults", `{"rules":[{"kind":"slow","next":1}]}`, "application/json", 422, `kind "slow" is none of late`},
		"a field":           {"PUT", "faults", `{"seeds":1}`, "application/json", 422, `unknown field`},
		"a limit below 0":   {"PUT", "limits", `{"requests_per_hour":-1}`, "application/json", 422, "must not be negative"},
		"no JSON":           {"PUT", "faults", `late=1`, "application/json", 422, "not as it should be"},
		"a form":            {"POST", "tokens", `login=octo`, "application/x-www-form-urlencoded", 415, "application/json"},
		"a person":          {"POST", "tokens", `{"login":"nobody"}`, "application/json", 404, "Not Found"},
		"an installation":   {"DELETE", "installations/7", ``, "", 404, "Not Found"},
		"a path":            {"GET", "nothing", ``, "", 404, "see docs/sandbox.md"},
		"another site's":    {"DELETE", "faults", ``, "cross-site", 403, "cross-origin"},
		"a wrong id":        {"PUT", "installations/x/suspended", ``, "", 404, "Not Found"},
		"an issue not here": {"POST", "repositories/octo/hello/issues/9/delete", `{"actor":"octo"}`, "application/json", 404, "Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			header := "Content-Type: " + tc.kind
			if tc.kind == "cross-site" {
				header = "Sec-Fetch-Site: cross-site"
			}
			got := w.ask(tc.method, w.url+"/_sandbox/"+tc.path, tc.body, header)
			if got.status != tc.status || !strings.Contains(string(got.body), tc.message) && !strings.Contains(got.message(), tc.message) {
				t.Errorf("got %d %s, want %d %q", got.status, got.body, tc.status, tc.message)
			}
		})
	}
	w.expectHits(map[github.FaultKind]int{})
}

func TestAWorldIsMadeAndUnmadeOverHTTP(t *testing.T) {
	w := newWorld(t)
	w.control(http.MethodPost, "users", `{"login":"nell"}`, 201, nil)
	w.control(http.MethodPost, "users", `{"login":"dock","owner":"nell"}`, 201, nil)
	w.control(http.MethodPost, "repositories",
		`{"owner":"dock","name":"quay","files":{"README.md":"# Quay\n"},"collaborators":{"robin":"write"},"protected":["main"]}`, 201, nil)
	var in struct {
		ID           int64
		Repositories []string
	}
	w.control(http.MethodPost, "installations", fmt.Sprintf(`{"app_id":%d,"account":"dock"}`, w.app.ID), 201, &in)
	if len(in.Repositories) != 1 || in.Repositories[0] != "dock/quay" {
		t.Errorf("installed on %v", in.Repositories)
	}
	var robin struct{ Token string }
	w.control(http.MethodPost, "tokens", `{"login":"robin"}`, 201, &robin)
	auth := "Authorization: token " + robin.Token
	for _, title := range []string{"Slow", "Wrong"} {
		if got := w.ask(http.MethodPost, w.api("/repos/dock/quay/issues"), fmt.Sprintf(`{"title":%q}`, title), auth); got.status != 201 {
			t.Fatalf("robin opens an issue: %d %s", got.status, got.body)
		}
	}
	w.control(http.MethodPost, "repositories/dock/quay/issues/2/delete", `{"actor":"nell"}`, 204, nil)
	if got := w.ask(http.MethodGet, w.api("/repos/dock/quay/issues/2"), "", auth); got.status != 410 {
		t.Errorf("deleted: %d", got.status)
	}
	w.control(http.MethodPut, fmt.Sprintf("installations/%d/suspended", in.ID), "", 204, nil)
	var list []struct {
		ID        int64
		Suspended bool
	}
	w.control(http.MethodGet, "installations", "", 200, &list)
	if len(list) != 2 || list[1].ID != in.ID || !list[1].Suspended || list[0].Suspended {
		t.Errorf("installations %+v", list)
	}
	w.control(http.MethodDelete, fmt.Sprintf("installations/%d/suspended", in.ID), "", 204, nil)
	w.control(http.MethodDelete, fmt.Sprintf("installations/%d", in.ID), "", 204, nil)
	w.control(http.MethodGet, "installations", "", 200, &list)
	if len(list) != 1 || list[0].ID != w.inst.ID {
		t.Errorf("installations %+v", list)
	}
	w.control(http.MethodPut, "limits", `{"content":{"per_minute":1}}`, 204, nil)
	w.issue("Busy")
	bot := "Authorization: token " + w.token(nil)
	if a, b := w.create(bot).status, w.create(bot).status; a != 201 || b != 403 {
		t.Errorf("one a minute: %d, %d", a, b)
	}
}

func TestTheHistoryHasWhatIsThereNoMore(t *testing.T) {
	w := newWorld(t)
	w.listen(w.app)
	w.issue("Slow")
	gone := must(w.hub.CreateComment("robin", "octo", "hello", 1, "/sam fix"))
	must(w.hub.EditComment("robin", "octo", "hello", gone.ID, "/sam fix it"))
	auth := "Authorization: token " + w.token(nil)
	reactions := w.api(fmt.Sprintf("/repos/octo/hello/issues/comments/%d/reactions", gone.ID))
	var reaction struct{ ID int64 }
	w.check(json.Unmarshal(w.ask(http.MethodPost, reactions, `{"content":"eyes"}`, auth).body, &reaction))
	if got := w.ask(http.MethodDelete, fmt.Sprintf("%s/%d", reactions, reaction.ID), "", auth); got.status != 204 {
		t.Fatalf("unreacting: %d", got.status)
	}
	w.create(auth)
	w.check(w.hub.DeleteComment("robin", "octo", "hello", gone.ID))
	_, sha := w.branch("hello", "sam/1")
	for i := range 2 {
		pr, _, err := w.asBot().PullRequests.Create(t.Context(), "octo", "hello", &gogithub.NewPullRequest{
			Title: ptr(fmt.Sprint(i)), Body: ptr("Fixes #1"), Head: ptr("sam/1"), Base: ptr("main"),
		})
		w.check(err)
		w.check(w.hub.CloseIssue("octo", "octo", "hello", pr.GetNumber()))
	}
	w.check(w.hub.Settle(t.Context()))

	var h github.History
	w.control(http.MethodGet, "history", "", 200, &h)
	if c := h.Comments; len(c) != 2 || c[0].ID != gone.ID || c[0].Author != "robin" || c[0].Body != "/sam fix it" || c[0].Edits != 1 || c[0].DeletedAt == nil ||
		c[1].App != "helper-app" || c[1].DeletedAt != nil || c[1].Number != 1 || c[1].Repository != "octo/hello" {
		t.Errorf("comments %+v", c)
	}
	if r := h.Reactions; len(r) != 1 || r[0].ID != reaction.ID || r[0].CommentID != gone.ID || r[0].Content != "eyes" || r[0].Author != "helper-app[bot]" || r[0].RemovedAt == nil {
		t.Errorf("reactions %+v", r)
	}
	if p := h.PullRequests; len(p) != 2 || p[0].Head != "sam/1" || p[0].HeadSHA != sha || p[0].State != "closed" || p[0].Merged || p[0].ClosedAt == nil ||
		p[1].Number != 3 || p[1].App != "helper-app" {
		t.Errorf("pull requests %+v", p)
	}
	if p := h.Pushes; len(p) != 1 || p[0].Ref != "refs/heads/sam/1" || p[0].New != sha || strings.Trim(p[0].Old, "0") != "" || p[0].By != "helper-app[bot]" {
		t.Errorf("pushes %+v", p)
	}
	if i := h.Issues; len(i) != 1 || i[0].Title != "Slow" || i[0].State != "open" {
		t.Errorf("issues %+v", i)
	}
	events := []string{}
	for _, d := range h.Deliveries {
		events = append(events, strings.TrimSuffix(d.Event+"."+d.Action, "."))
		if len(d.Attempts) != 1 || d.Attempts[0].Answered != 200 || d.GUID == "" {
			t.Errorf("delivery %+v", d)
		}
	}
	want := "ping issues.opened issue_comment.created issue_comment.edited issue_comment.created issue_comment.deleted push " +
		"pull_request.opened pull_request.closed pull_request.opened pull_request.closed"
	if got := strings.Join(events, " "); got != want || h.Pending != 0 {
		t.Errorf("deliveries %s, %d pending", got, h.Pending)
	}
}
