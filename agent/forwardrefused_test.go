package agent

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sam/agent/wire"
	"sam/task"
)

// page is what an attempt's page is told.
type page struct {
	mu     sync.Mutex
	events []task.Event
}

func (p *page) emit(e task.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, e)
	return nil
}

func (p *page) refusals() *refusals { return &refusals{told: map[string][]string{}, emit: p.emit} }

// told are its notices, each as its code and its subject.
func (p *page) told() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return notices(p.events)
}

func notices(events []task.Event) []string {
	var all []string
	for _, e := range events {
		if e.Kind == task.Noticed {
			all = append(all, e.Notice.Code+" "+e.Notice.Subject)
		}
	}
	return all
}

func TestWhatIsRefusedAtTheWorkspacesDoorIsToldByWhatItWasShownTo(t *testing.T) {
	t.Parallel()
	gateway := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(gateway.Close)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	to, err := newGatewayClient(gateway.URL, nodeToken, client)
	if err != nil {
		t.Fatal(err)
	}
	const other = "another-task's-token"
	for name, row := range map[string]struct {
		path   string
		header http.Header
		proxy  string // what is shown to the proxy, when it is asked
		told   string
		status int
	}{
		"another's token for this task's git":            {wire.GitPath + "tmine/info/refs", http.Header{"Authorization": {"Bearer " + other}}, "", "grant_refused credentials at the git broker", 401},
		"another's token for that task's git":            {wire.GitPath + "tother/info/refs", http.Header{"Authorization": {"Bearer " + other}}, "", "grant_refused credentials at the git broker", 401},
		"another's key for the model":                    {wire.ModelPath + "tmine/anthropic/v1/messages", http.Header{"X-Api-Key": {other}}, "", "grant_refused credentials at the model broker", 401},
		"another's token in a registry's address":        {wire.RegistryPath + "~" + other + "/npm.example/x", nil, "", "grant_refused credentials at the registries", 401},
		"another's token for what is not there":          {"/metrics", http.Header{"Authorization": {"Bearer " + other}}, "", "grant_refused credentials at the node", 401},
		"another's token for the proxy":                  {"http://example.com/", nil, other, "grant_refused credentials at the proxy", 407},
		"the task's token for another's git":             {wire.GitPath + "tother/info/refs", http.Header{"Authorization": {"Bearer " + taskToken}}, "", "grant_refused /git/tother/info/refs", 404},
		"the task's token for what is not there":         {"/node/v1/fetch-token", http.Header{"Authorization": {"Bearer " + taskToken}}, "", "grant_refused /node/v1/fetch-token", 404},
		"no credentials":                                 {wire.GitPath + "tmine/info/refs", nil, "", "", 401},
		"the task's token":                               {wire.GitPath + "tmine/info/refs", http.Header{"Authorization": {"Bearer " + taskToken}}, "", "", 404},
		"credentials for who is asked through the proxy": {"http://example.com/", http.Header{"Authorization": {"Bearer " + other}}, taskToken, "", 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := &page{}
			f, err := startForward(t.Context(), to, "tmine", taskToken, ways{refused: told.refusals().broker})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := f.close(context.Background()); err != nil {
					t.Error(err)
				}
			})
			transport := &http.Transport{}
			t.Cleanup(transport.CloseIdleConnections)
			address := f.base() + row.path
			if strings.HasPrefix(row.path, "http") {
				address = row.path
				transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: f.address, User: url.UserPassword("sam", row.proxy)})
			}
			for range 2 { // which is told once
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
				if err != nil {
					t.Fatal(err)
				}
				for key, values := range row.header {
					r.Header[key] = values
				}
				response, err := (&http.Client{Transport: transport}).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_, err = io.Copy(io.Discard, response.Body)
				if err := errors.Join(err, response.Body.Close()); err != nil {
					t.Fatal(err)
				}
				if response.StatusCode != row.status {
					t.Errorf("it is answered %s", response.Status)
				}
			}
			if got := strings.Join(told.told(), "; "); got != row.told {
				t.Errorf("told is %q", got)
			}
		})
	}
}

func TestANoticeOfTheGatewaysIsOnTheAttemptsPageOnceAndNotAfterItsEnd(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	n := startNode(g, nodeOptions(g, t.TempDir()), func(n *Node) {
		n.drivers = newDrivers(planting{`until [ -e "$HOME/go" ]; do sleep 0.02; done`})
	})
	t.Cleanup(n.stop)
	s := start(g, "ttold", 1, "wait")
	g.command(frame(s))
	g.await("its agent", func() bool { return slices.Contains(steps(g.events[s.Ref]), task.StepAgent) })
	notice := wire.Frame{Type: wire.TypeNotice, Notice: &wire.Notice{Ref: s.Ref, Refused: wire.Refused{Code: "token_refused", Subject: "elsewhere", Text: "It was refused."}}}
	nobodys := wire.Frame{Type: wire.TypeNotice, Notice: &wire.Notice{Ref: wire.Ref{Task: "tnobody", Epoch: 1}, Refused: notice.Notice.Refused}}
	for range 2 {
		g.say(notice)
		g.say(nobodys)
	}
	g.await("the notice", func() bool { return len(notices(g.events[s.Ref])) > 0 })
	if err := os.WriteFile(filepath.Join(n.options.Dir, "workspaces", s.Thread+".home", "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	events := g.finished(s.Ref)
	g.say(notice)
	stop := stopFrame(s.Ref, "over")
	g.command(stop) // it is confirmed after the notice was taken in
	g.await("a confirmation", func() bool { return slices.Contains(g.done, stop.Stop.Command) })
	if got := notices(events); !slices.Equal(got, []string{"token_refused elsewhere"}) {
		t.Errorf("told is %q", got)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.events[s.Ref]) != len(events) {
		t.Errorf("after its end came %+v", g.events[s.Ref][len(events):])
	}
}
