package gateway

import (
	"net/http"
	"strings"
	"testing"

	"sam/agent/wire"
	"sam/task"
)

// workspace is what a workspace's git shows at the gateway's door.
func workspace(nodeToken, taskToken string) http.Header {
	header := bearer(nodeToken)
	header.Set(wire.TaskTokenHeader, taskToken)
	return header
}

func TestATaskTokenOpensTheGitBrokerOnlyBesideItsNodesCredentialForItsTaskWhileItRuns(t *testing.T) {
	t.Parallel()
	upstream := newGitWorld(t)
	w := newNodeWorld(t)
	w.github.cloneURL = upstream.grant.CloneURL
	p, _ := w.link("local")
	w.link("other")
	start := func(number int) (task.Task, string) {
		placed := w.place(number, "local")
		return placed, p.hear(wire.TypeStart).Start.Token
	}
	running, token := start(1)
	another, anothers := start(2)

	p.events(refOf(another), stepped(1, task.StepAgent))
	p.acked(refOf(another), 1)
	moved, old := start(3)
	moved = w.placeAgain(w.move(w.lose(moved), task.Placing), "local")
	fresh := p.hear(wire.TypeStart).Start.Token
	away, awayToken := start(4)
	w.placeAgain(w.move(w.lose(away), task.Placing), "other")
	ended, endedToken := start(5)
	p.events(refOf(ended), stepped(1, task.StepAgent), finished(2))
	p.acked(refOf(ended), 2)
	w.claim(ended.ID) // publishing
	cancelled, cancelledToken := start(6)
	w.move(cancelled, task.Cancelled)

	local, other := w.keys.NodeToken("local"), w.keys.NodeToken("other")
	for name, c := range map[string]struct {
		id     task.ID
		header http.Header
		want   int
	}{
		"a task that is being prepared":             {running.ID, workspace(local, token), http.StatusOK},
		"a task that runs":                          {another.ID, workspace(local, anothers), http.StatusOK},
		"another task's token":                      {running.ID, workspace(local, anothers), http.StatusUnauthorized},
		"another node's credential":                 {running.ID, workspace(other, token), http.StatusUnauthorized},
		"the token alone":                           {running.ID, http.Header{wire.TaskTokenHeader: {token}}, http.StatusUnauthorized},
		"the node's credential alone":               {running.ID, bearer(local), http.StatusUnauthorized},
		"the node's credential twice":               {running.ID, workspace(local, local), http.StatusUnauthorized},
		"no credential":                             {running.ID, http.Header{}, http.StatusUnauthorized},
		"a token that was changed":                  {running.ID, workspace(local, token+"A"), http.StatusUnauthorized},
		"the token of the attempt before":           {moved.ID, workspace(local, old), http.StatusUnauthorized},
		"the token of the attempt that runs now":    {moved.ID, workspace(local, fresh), http.StatusOK},
		"a task that runs on another node now":      {away.ID, workspace(local, awayToken), http.StatusUnauthorized},
		"a task that is being published":            {ended.ID, workspace(local, endedToken), http.StatusUnauthorized},
		"a task that was cancelled":                 {cancelled.ID, workspace(local, cancelledToken), http.StatusForbidden},
		"a task that nobody made":                   {"tnone", workspace(local, token), http.StatusUnauthorized},
		"the task's token with the node's of later": {running.ID, workspace(testKeys(t, "another secret, of a later day").NodeToken("local"), token), http.StatusUnauthorized},
	} {
		for _, service := range []string{uploadPackService, receivePackService} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
				w.server.URL+wire.GitPath+string(c.id)+"/info/refs?service="+service, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = c.header
			resp, err := w.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != c.want {
				t.Errorf("%s: %s is answered with %d, want %d", name, service, resp.StatusCode, c.want)
			}
		}
	}
}

func TestGitFetchesAndPushesWithTheTokenOfAStartAndTheTaskRemembersTheCommit(t *testing.T) {
	t.Parallel()
	upstream := newGitWorld(t)
	w := newNodeWorld(t)
	w.github.cloneURL = upstream.grant.CloneURL
	p, _ := w.link("local")
	placed := w.place(1, "local")
	start := p.hear(wire.TypeStart).Start

	shown := []string{
		"-c", "http.extraHeader=Authorization: Bearer " + w.keys.NodeToken("local"),
		"-c", "http.extraHeader=" + wire.TaskTokenHeader + ": " + start.Token,
	}
	work := t.TempDir()
	upstream.must("", append(shown, "clone", "-q", w.server.URL+wire.GitPath+start.Task, work)...)
	commit := upstream.commit(work, "limits")
	if out, err := upstream.run(work, append(shown, "push", "origin", "HEAD:refs/heads/main")...); err == nil || !strings.Contains(out, "only sam/fix-1") {
		t.Errorf("main is pushed: %v\n%s", err, out)
	}
	upstream.must(work, append(shown, "push", "-q", "origin", "HEAD:refs/heads/"+start.Branch)...)
	if head := w.read(placed.ID).Head; head != commit {
		t.Errorf("the task's head is %q, pushed was %s", head, commit)
	}

	w.move(w.read(placed.ID), task.Cancelled)
	upstream.commit(work, "more")
	if out, err := upstream.run(work, append(shown, "push", "origin", "HEAD:refs/heads/"+start.Branch)...); err == nil {
		t.Errorf("a task that is over pushes:\n%s", out)
	}
	if head := w.read(placed.ID).Head; head != commit {
		t.Errorf("the task's head became %q", head)
	}
}
