package app

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sam/agent"
	"sam/sandbox/redis"
	"sam/sandbox/seed"
	"sam/store"
	"sam/task"
)

// wonders waits until the task under way on an issue waits for an answer and its question stands there, and returns it.
func (w *world) wonders(t *testing.T, number, questions int) task.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var waiting task.Task
	if err := until(ctx, func() (bool, error) {
		open, err := w.server.store.OpenTasks(ctx, w.project)
		for _, one := range open {
			if one.State == task.Waiting && one.Ask != nil && one.Number == number {
				waiting = one
			}
		}
		return waiting.Ask != nil && len(w.comments(t, number, "sam:question:")) == questions, err
	}); err != nil {
		t.Fatal(err)
	}
	return waiting
}

// kinds are the kinds of a task's events, in order.
func (w *world) kinds(t *testing.T, id task.ID) []task.Kind {
	t.Helper()
	var all []task.Kind
	for _, e := range w.events(t, id) {
		all = append(all, e.Kind)
	}
	return all
}

func (w *world) events(t *testing.T, id task.ID) []task.Event {
	t.Helper()
	stored, err := w.server.store.Events(t.Context(), id, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	events := make([]task.Event, len(stored))
	for i, one := range stored {
		if events[i], err = task.ParseEvent(one.JSON); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

func TestAQuestionStandsOnTheIssueAndItsAnswerResumesTheAttempt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.say(t, maintainer, 1, "/sam demo: ask twice")
		waiting := w.wonders(t, 1, 1)
		if len(w.comments(t, 1, "sam:question:", "Which colour shall the sign have?", "@"+maintainer, "`/sam`")) != 1 {
			t.Errorf("the question is not on the issue: %+v", w.comments(t, 1))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := until(ctx, func() (bool, error) { return len(w.comments(t, 1, "sam:status:", "needs an answer")) == 1, nil }); err != nil {
			t.Errorf("the status does not say so: %+v", w.comments(t, 1))
		}
		w.say(t, maintainer, 1, "/sam green")
		again := w.wonders(t, 1, 2)
		if again.ID != waiting.ID || again.Epoch != waiting.Epoch || again.Attempts != 1 {
			t.Errorf("it went on as %+v, not as %+v", again, waiting)
		}
		w.say(t, maintainer, 1, "/sam Mind the step")
		done := w.ends(t, 1)[0]
		if done.State != task.Succeeded || done.ID != waiting.ID || done.Epoch != waiting.Epoch+1 || done.Headline != "Put up a green sign" || len(done.Answers) != 2 {
			t.Errorf("ended as %+v", done)
		}
		if !strings.Contains(done.Summary, "Mind the step") || done.Pull == 0 {
			t.Errorf("it made pull request %d: %s", done.Pull, done.Summary)
		}
		gapFree(t, w, done)
		if n := len(w.comments(t, 1, "sam:question:")); n != 2 {
			t.Errorf("there are %d questions", n)
		}
		if all, err := w.server.store.TasksOf(t.Context(), w.project, 10); err != nil || len(all) != 1 {
			t.Errorf("there are %d tasks, %v", len(all), err)
		}
	})
}

func TestATaskThatWaitsIsEndedWhenTheCommentThatAskedIsDeleted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		asks, err := w.hub.CreateComment(maintainer, seed.Owner, seed.Repository, 1, "/sam demo: ask")
		if err != nil {
			t.Fatal(err)
		}
		w.wonders(t, 1, 1)
		if err := w.hub.DeleteComment(maintainer, seed.Owner, seed.Repository, asks.ID); err != nil {
			t.Fatal(err)
		}
		if done := w.ends(t, 1)[0]; done.State != task.Cancelled || done.Failure != task.CommentDeleted {
			t.Errorf("ended as %s: %s", done.State, done.Failure)
		}
	})
}

// The real agent goes on in the same session: one process, which is told its answer over its own protocol.
func TestTheRealAgentIsAnsweredInItsSession(t *testing.T) {
	inContainers(t, worldOptions{}, func(t *testing.T, w *world) {
		w.say(t, maintainer, 1, "/sam scenario ask")
		waiting := w.wonders(t, 1, 1)
		if len(w.comments(t, 1, "sam:question:", "How many uploads a second may one client send?", "2 a second")) != 1 {
			t.Errorf("the question is not on the issue: %+v", w.comments(t, 1))
		}
		w.say(t, maintainer, 1, "/sam let it be 7")
		done := w.ends(t, 1)[0]
		if done.State != task.Succeeded || done.Epoch != waiting.Epoch+1 || done.Attempts != 1 || done.Workspace != agent.KindDocker {
			t.Fatalf("ended as %+v", done)
		}
		kinds := w.kinds(t, done.ID)
		asked, answered := slices.Index(kinds, task.Asked), slices.Index(kinds, task.Answered)
		if asked < 0 || answered != asked+1 {
			t.Errorf("its events are %v", kinds)
		}
		sessions := map[string]bool{}
		for _, e := range w.events(t, done.ID) {
			if _, id, ok := strings.Cut(string(e.Raw), `"session_id":"`); ok {
				sessions[id[:36]] = true
			}
		}
		if len(sessions) != 1 {
			t.Errorf("its events come from the sessions %v", sessions)
		}
		gapFree(t, w, done)
		if n := len(w.comments(t, 1, "sam:question:")); n != 1 {
			t.Errorf("there are %d questions", n)
		}
	})
}

// asunder is a SAM whose parts are processes, and what the test sees of it.
type asunder struct {
	dir, public, base string
	redis             *redis.Server
	store             *store.Store
	client            *http.Client
}

func newAsunder(t *testing.T) *asunder {
	t.Helper()
	a := &asunder{dir: t.TempDir(), public: freeAddress(t)}
	var err error
	if a.redis, err = redis.Start(t.Context(), a.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.redis.Stop() })
	if a.store, err = store.Open(t.Context(), store.Options{Addresses: []string{a.redis.Address}, AllowLossy: !a.redis.Durable}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.store.Close() })
	transport := newTransport()
	t.Cleanup(transport.CloseIdleConnections)
	a.client = &http.Client{Transport: transport}
	hub := startSam(t, nil, "sandbox", "github", "--listen", "127.0.0.1:0", "--dir", a.dir, "--webhook", "http://"+a.public+"/api/github/hook")
	a.base = strings.TrimSpace(strings.TrimPrefix(hub.line(t, "GitHub's stand-in"), "GitHub's stand-in"))
	hub.line(t, "sam serve --config")
	return a
}

func (a *asunder) serve(t *testing.T) *process {
	t.Helper()
	p := startSam(t, []string{
		"SAM_PUBLIC_LISTEN=" + a.public, "SAM_OPERATOR_LISTEN=127.0.0.1:0", "SAM_DASHBOARD_LISTEN=127.0.0.1:0",
		"SAM_REDIS_ADDRESS=" + a.redis.Address, fmt.Sprintf("SAM_REDIS_ALLOW_LOSSY=%v", !a.redis.Durable),
	}, "serve", "--config", filepath.Join(a.dir, "sam.yml"))
	p.line(t, "SAM is ready to serve")
	return p
}

func (a *asunder) node(t *testing.T) *process {
	t.Helper()
	p := startSam(t, []string{
		"SAM_GATEWAY=http://" + a.public, "SAM_TOKEN_FILE=" + filepath.Join(a.dir, "node-token"), "SAM_DIR=" + filepath.Join(a.dir, "node"), "SAM_WORKSPACE=process",
	}, "node")
	p.line(t, "linked to the gateway")
	return p
}

// say comments on the first issue as the maintainer, by the stand-in's own page.
func (a *asunder) say(t *testing.T, words string) {
	t.Helper()
	issue := fmt.Sprintf("%s/%s/%s/issues/1/comments", a.base, seed.Owner, seed.Repository)
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issue, strings.NewReader(url.Values{"body": {words}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	post.Header.Set("Origin", a.base)
	response, err := a.client.Do(post)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("commented, and got %s", response.Status)
	}
}

// comes waits until the one task is as it is asked for.
func (a *asunder) comes(t *testing.T, what string, is func(task.Task) bool) task.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var last task.Task
	if err := until(ctx, func() (bool, error) {
		projects, err := a.store.Projects(ctx)
		for _, p := range projects {
			tasks, err := a.store.TasksOf(ctx, p.ID, 10)
			if err != nil {
				return false, err
			}
			for _, one := range tasks {
				if last = one; is(one) {
					return true, nil
				}
			}
		}
		return false, err
	}); err != nil {
		t.Fatalf("%s: %v; it is %+v", what, err, last)
	}
	return last
}

func TestANodeAndAReplicaThatAreKilledWhileATaskWaitsLoseNeitherItsQuestionNorItsAnswer(t *testing.T) {
	for name, answerFirst := range map[string]bool{"answered before the node is missed": true, "answered when it is": false} {
		t.Run(name, func(t *testing.T) {
			a := newAsunder(t)
			replica := a.serve(t)
			node := a.node(t)
			a.say(t, "/sam demo: ask")
			first := a.comes(t, "a question", func(t task.Task) bool { return t.State == task.Waiting && t.Ask != nil })
			node.kill(t)
			replica.kill(t)
			a.serve(t)
			if answerFirst {
				a.say(t, "/sam green")
				a.comes(t, "the answer", func(t task.Task) bool { return len(t.Answers) == 1 })
				a.node(t)
			} else {
				a.node(t)
				alone := a.comes(t, "the loss of the node", func(t task.Task) bool { return t.Node == "" })
				if alone.State != task.Waiting || alone.Attempts != 0 {
					t.Errorf("without a node it is %s at attempt %d", alone.State, alone.Attempts)
				}
				a.say(t, "/sam green")
			}
			done := a.comes(t, "its end", func(t task.Task) bool { return t.State.Final() })
			if done.State != task.Succeeded || done.ID != first.ID || done.Epoch <= first.Epoch || done.Headline != "Put up a green sign" {
				t.Errorf("it ended as %+v", done)
			}
			asked := 0
			events, err := a.store.Events(t.Context(), done.ID, 0, 10_000)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if strings.Contains(string(e.JSON), `"kind":"asked"`) {
					asked++
				}
			}
			if asked != 1 {
				t.Errorf("it asked %d times: the answer was not in its prompt", asked)
			}
		})
	}
}
