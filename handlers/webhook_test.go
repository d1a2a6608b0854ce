package handlers_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"sam/handlers"
	"sam/task"
)

// nobody is a GitHub that is never asked: the door writes down, and asks later.
type nobody struct{ t *testing.T }

func (n nobody) Role(context.Context, task.Project, string) (task.Role, error) {
	n.t.Error("GitHub was asked for a role at the door")
	return task.RoleNone, nil
}

func (n nobody) Projects(context.Context, int64) ([]task.Project, error) {
	n.t.Error("GitHub was asked for projects at the door")
	return nil, nil
}

func (n nobody) Whereabouts(context.Context, task.Project) (task.Project, error) {
	n.t.Error("GitHub was asked for a project at the door")
	return task.Project{}, nil
}

func (n nobody) Closed(context.Context, task.Project, task.Spec) (bool, error) {
	n.t.Error("GitHub was asked for a comment at the door")
	return false, nil
}

func (n nobody) ThreadState(context.Context, task.Project, task.Task) (task.ThreadState, error) {
	n.t.Error("GitHub was asked for a thread at the door")
	return task.ThreadState{}, nil
}

const (
	guid    = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
	comment = `{"action":"created","issue":{"number":1,"id":11,"title":"Slow"},"comment":{"id":5,"body":"/sam fix it","created_at":"2026-11-23T12:00:00Z"},` +
		`"repository":{"id":7,"name":"hello","owner":{"login":"octo","id":9}},"sender":{"login":"ada","id":3},"installation":{"id":2}}`
)

func TestWhatIsNoDeliveryOfGitHubsIsRefusedAndCounted(t *testing.T) {
	tooLarge := strings.Repeat(" ", 25<<20) + comment
	for name, c := range map[string]struct {
		event, guid, body string
		change            func(*http.Request)
		code              int
		result, why       string
	}{
		"unsigned": {change: func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") },
			code: 401, result: "unsigned", why: "has no X-Hub-Signature-256"},
		"signed with SHA-1 only": {change: func(r *http.Request) {
			r.Header.Del("X-Hub-Signature-256")
			r.Header.Set("X-Hub-Signature", "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6")
		}, code: 401, result: "sha1_only", why: "signed with SHA-1 only"},
		"signed with another secret": {change: func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("ab", 32)) },
			code: 401, result: "bad_signature", why: "is the webhook secret the App's?"},
		"a signature that is none": {change: func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256=xyz") },
			code: 401, result: "bad_signature", why: "64 hexadecimal digits"},
		"a SHA-1 in the place of SHA-256": {change: func(r *http.Request) {
			mac := hmac.New(sha1.New, []byte(secret)) // it is right, and not what is wanted
			_, _ = io.WriteString(mac, comment)
			r.Header.Set("X-Hub-Signature-256", "sha1="+hex.EncodeToString(mac.Sum(nil)))
		}, code: 401, result: "bad_signature"},
		"changed on the way": {change: func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", signature(comment+" ")) },
			code: 401, result: "bad_signature"},
		"over 25 MB by its own word": {body: tooLarge, change: func(r *http.Request) { r.Header.Set("Expect", "100-continue") }, code: 413, result: "oversized", why: "over 25 MB"},
		"over 25 MB in chunks": {body: tooLarge, change: func(r *http.Request) {
			r.Body, r.ContentLength, r.GetBody = io.NopCloser(strings.NewReader(tooLarge)), -1, nil
		}, code: 413, result: "oversized", why: "over 25 MB"},
		"not JSON":          {body: "{", code: 400, result: "unparsable", why: "not what GitHub documents"},
		"another type":      {body: `{"action":1}`, code: 400, result: "unparsable", why: "not what GitHub documents"},
		"no content type":   {change: func(r *http.Request) { r.Header.Del("Content-Type") }, code: 400, result: "unparsable"},
		"no event":          {change: func(r *http.Request) { r.Header.Del("X-GitHub-Event") }, code: 400, result: "unparsable", why: "missing event type"},
		"no sender":         {body: strings.Replace(comment, `"login":"ada"`, `"login":""`, 1), code: 400, result: "unparsable", why: "it lacks sender.login"},
		"no comment":        {body: strings.Replace(comment, `"comment":{"id":5`, `"remark":{"id":5`, 1), code: 400, result: "unparsable", why: "it lacks comment.id"},
		"no installation":   {body: strings.Replace(comment, `"installation"`, `"fabrication"`, 1), code: 400, result: "unparsable", why: "it lacks installation.id"},
		"a label unstamped": {event: "issues", body: strings.Replace(comment, `"created"`, `"labeled","label":{"name":"sam"}`, 1), code: 400, result: "unparsable", why: "it lacks issue.updated_at"},
		"an edit undated":   {body: strings.Replace(comment, `"created"`, `"edited"`, 1), code: 400, result: "unparsable", why: "it lacks comment.updated_at, comment.user.login"},
		"a comment undated": {body: strings.Replace(comment, `"created_at"`, `"made_at"`, 1), code: 400, result: "unparsable", why: "it lacks comment.created_at"},
		"nothing done":      {body: strings.Replace(comment, `"action"`, `"abstention"`, 1), code: 400, result: "unparsable", why: "it lacks action"},
		"no issue closed":   {event: "issues", body: strings.NewReplacer(`"created"`, `"closed"`, `"number":1`, `"number":0`).Replace(comment), code: 400, result: "unparsable", why: "it lacks issue.number"},
		"no pull closed":    {event: "pull_request", body: strings.Replace(comment, `"created"`, `"closed"`, 1), code: 400, result: "unparsable", why: "it lacks number"},
		"no repository":     {event: "repository", body: `{"action":"renamed","installation":{"id":2}}`, code: 400, result: "unparsable", why: "it lacks repository.id"},
		"nobody installed":  {event: "installation", body: `{"action":"created","installation":{}}`, code: 400, result: "unparsable", why: "it lacks installation.id"},
		"no GUID":           {change: func(r *http.Request) { r.Header.Del("X-GitHub-Delivery") }, code: 400, result: "no_guid", why: "is missing or not a GUID"},
		"a GUID like a key": {guid: "a:b{c}", code: 400, result: "no_guid", why: "not a GUID"},
		"fetched": {change: func(r *http.Request) { r.Method = http.MethodGet },
			code: 405, result: "method", why: "deliveries are POSTed"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, nobody{t}, 42)
			pick := func(given, otherwise string) string {
				if given != "" {
					return given
				}
				return otherwise
			}
			code, answer := d.post(pick(c.event, "issue_comment"), pick(c.guid, guid), pick(c.body, comment), c.change)
			if code != c.code || !strings.Contains(answer, c.why) {
				t.Errorf("%d %q, want %d with %q", code, answer, c.code, c.why)
			}
			if d.count("sam_deliveries_total", c.result) != 1 || d.count("sam_deliveries_total", "") != 1 {
				t.Errorf("not counted once as %s", c.result)
			}
			if got := d.store.take(); len(got) != 0 {
				t.Errorf("it was written down: %+v", got)
			}
			if c.change == nil && !d.logged("refused a delivery", c.result) {
				t.Errorf("no log line says so: %s", d.log)
			}
		})
	}
}

func TestADeliveryThatComesAgainIsAnsweredAndNotWrittenAgain(t *testing.T) {
	d := newDoor(t, nobody{t}, 42)
	for range 3 {
		if code, answer := d.post("issue_comment", guid, comment, nil); code != 200 {
			t.Fatalf("%d %s", code, answer)
		}
	}
	if got := d.store.take(); len(got) != 1 || got[0].ID != guid || got[0].Event != "issue_comment" {
		t.Errorf("written down: %+v", got)
	}
	if d.count("sam_deliveries_total", "accepted") != 1 || d.count("sam_deliveries_total", "duplicate") != 2 {
		t.Error("not counted as accepted once and as duplicate twice")
	}
	if !d.logged(guid, `"result":"duplicate"`) {
		t.Errorf("no log line says so: %s", d.log)
	}
}

func TestWhatSAMHasNothingToDoWithIsAnsweredWithoutAWrite(t *testing.T) {
	for name, c := range map[string]struct {
		event, body string
		code        int
	}{
		"a ping":             {"ping", `{"zen":"Keep it logically awesome."}`, 200},
		"an event of no use": {"star", `{"action":"created"}`, 202},
		"an edit of a comment that never asked": {"issue_comment", strings.NewReplacer(`"created",`, `"edited","changes":{"body":{"from":"me to"}},`, "/sam fix it", "me too",
			`"created_at"`, `"user":{"login":"ada"},"updated_at":"2026-11-23T12:01:00Z","created_at"`).Replace(comment), 200},
		"an issue reopened":     {"issues", strings.Replace(comment, `"created"`, `"reopened"`, 1), 200},
		"a pull request opened": {"pull_request", strings.Replace(comment, `"created"`, `"opened"`, 1), 200},
		"a repository archived": {"repository", strings.Replace(comment, `"created"`, `"archived"`, 1), 200},
		"a comment to others":   {"issue_comment", strings.Replace(comment, "/sam fix it", "me too", 1), 200},
		"SAM's own comment":     {"issue_comment", strings.Replace(comment, `"comment":{`, `"comment":{"performed_via_github_app":{"id":42},`, 1), 200},
		"an issue opened":       {"issues", strings.Replace(comment, `"created"`, `"opened"`, 1), 200},
		"another label":         {"issues", strings.Replace(comment, `"created"`, `"labeled","label":{"name":"bug"}`, 1), 200},
		"the label taken off":   {"issues", strings.Replace(comment, `"created"`, `"unlabeled","label":{"name":"sam"}`, 1), 200},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, nobody{t}, 42)
			d.check(d.redis.Stop()) // a write would fail
			if code, answer := d.post(c.event, guid, c.body, nil); code != c.code {
				t.Errorf("%d %s, want %d", code, answer, c.code)
			}
			if d.count("sam_deliveries_total", "ignored") != 1 {
				t.Error("not counted as ignored")
			}
		})
	}
}

func TestAnotherAppsCommentIsListenedTo(t *testing.T) {
	d := newDoor(t, nobody{t}, 42)
	d.post("issue_comment", guid, strings.Replace(comment, `"comment":{`, `"comment":{"performed_via_github_app":{"id":43},`, 1), nil)
	if len(d.store.take()) != 1 {
		t.Error("it was not written down")
	}
}

func TestADeliveryThatCannotBeRecordedIsRefusedSoThatGitHubLogsAFailure(t *testing.T) {
	d := newDoor(t, nobody{t}, 42)
	d.check(d.redis.Stop())
	code, answer := d.post("issue_comment", guid, comment, nil)
	if code != http.StatusServiceUnavailable || strings.Contains(answer, "redis") {
		t.Errorf("%d %q, want 503 and nothing of the inside", code, answer)
	}
	if d.count("sam_deliveries_total", "unrecorded") != 1 {
		t.Error("not counted as unrecorded")
	}
}

func TestADoorWithoutASecretIsNotOpened(t *testing.T) {
	if _, err := handlers.NewWebhook(handlers.Base{}, ""); !errors.Is(err, handlers.ErrNoSecret) {
		t.Errorf("got %v, want ErrNoSecret", err)
	}
}

func TestARecordOfAKindThatThisReleaseDoesNotKnowIsLeftOut(t *testing.T) {
	d := newDoor(t, nobody{t}, 42)
	if err := d.webhook.Handle(t.Context(), task.Delivery{ID: guid, Event: "sponsorship", Body: []byte("{}")}); err != nil {
		t.Error(err)
	}
}
