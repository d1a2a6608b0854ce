package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"sam/sandbox/seed"
	"sam/task"
)

// demoWithin bounds `sam demo --once`.
const demoWithin = 5 * time.Minute

// summary is the last line of `sam demo --once`; docs/demo.md says what each field is.
type summary struct {
	Task        task.ID    `json:"task"`
	State       task.State `json:"state"`
	Repository  string     `json:"repository"`
	Issue       int        `json:"issue"`
	PullRequest int        `json:"pull_request"`
	Branch      string     `json:"branch"`
	Commits     []string   `json:"commits"`
	Agent       string     `json:"agent"`
	Model       string     `json:"model"` // none, scripted, or the host of the real one
	Workspace   string     `json:"workspace"`
	Redis       string     `json:"redis"`
	Seconds     float64    `json:"seconds"`
	// Phases are seconds since the comment was posted, null for one that the task did not come to.
	Phases  map[string]*float64 `json:"phases"`
	Failure string              `json:"failure,omitempty"`
	Machine *machineSummary     `json:"machine,omitempty"` // of --provider hetzner
}

// once does the job by itself: it comments as the maintainer, follows the task to its end, and looks whether the pull
// request is there and holds what the task says it pushed. agent says who works.
func (w *world) once(ctx context.Context, request, agent string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, demoWithin)
	defer cancel()
	fmt.Fprintf(out, "GitHub's stand-in runs at %s, Redis is %s.\nThe agent is %s\n%s comments: %s\n",
		w.hub.url(), w.redis.Name, agent, maintainer, requestComment(request))
	posted := time.Now()
	if _, err := w.hub.CreateComment(maintainer, seed.Owner, seed.Repository, 1, requestComment(request)); err != nil {
		return fmt.Errorf("comment on the issue: %w", err)
	}
	if w.rack != nil {
		if err := w.made(ctx, out); err != nil {
			return err
		}
	}
	t, err := w.finished(ctx, out)
	if err != nil {
		return err
	}
	if err := w.told(ctx); err != nil {
		return err
	}
	s := summarize(t, posted, w.redis.Name)
	s.Model = w.model
	failed := w.verify(t, &s)
	if w.rack != nil {
		if s.Machine, err = w.letGo(ctx, t, out); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil {
		s.Failure = cmp.Or(s.Failure, failed.Error())
		fmt.Fprintf(out, "Not done: %s\n", s.Failure)
	}
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the summary: %w", err)
	}
	fmt.Fprintf(out, "%s\n", line)
	if failed != nil {
		return exitError(1)
	}
	return nil
}

// finished follows the project's conversation until a task has ended.
func (w *world) finished(ctx context.Context, out io.Writer) (task.Task, error) {
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	var ended task.ID
	err := w.server.store.FollowConversation(following, w.project, func(e task.Entry) error {
		switch e.Kind {
		case task.EntryStarted:
			fmt.Fprintf(out, "%s: %s\n", e.Task, e.Text)
		case task.EntryQuestion:
			fmt.Fprintf(out, "%s: the agent asks: %s\n", e.Task, e.Text)
			_, err := w.server.store.Cancel(ctx, e.Task, "The agent asked, and with --once there is nobody to answer. Run `sam demo`, and answer on the issue.")
			return err
		case task.EntryResult:
			words := string(e.State)
			if e.State == task.Succeeded {
				words += ": " + e.Text // the words of any other end follow, once
			}
			fmt.Fprintf(out, "%s: %s\n", e.Task, words)
			ended = e.Task
			cancel()
		}
		return nil
	})
	if err != nil {
		return task.Task{}, err
	}
	if ended == "" && errors.Is(ctx.Err(), context.Canceled) {
		return task.Task{}, ctx.Err()
	}
	if ended == "" {
		return task.Task{}, fmt.Errorf("no task ended within %s; run it again with -v to see why", demoWithin)
	}
	return w.server.store.Task(ctx, ended)
}

// told waits until nothing is owed to GitHub any more: the closing comment and the last edit are there.
func (w *world) told(ctx context.Context) error {
	return until(ctx, func() (bool, error) {
		owing, err := w.server.store.Owing(ctx)
		return len(owing) == 0, err
	})
}

func summarize(t task.Task, posted time.Time, redisName string) summary {
	since := func(at time.Time) *float64 {
		if at.IsZero() {
			return nil
		}
		seconds := float64(at.Sub(posted).Milliseconds()) / 1000
		return &seconds
	}
	s := summary{
		Task: t.ID, State: t.State, Repository: t.Repository, Issue: t.Number, PullRequest: t.Pull, Branch: t.Branch,
		Commits: []string{}, Agent: t.Agent, Workspace: t.Workspace, Redis: redisName, Failure: t.Failure,
		Phases: map[string]*float64{
			"accepted": since(t.Accepted), "placed": since(t.At[task.Preparing]), "prepared": since(t.At[task.Running]),
			"first_event": since(t.FirstEvent), "finished": since(t.At[task.Publishing]), "published": since(t.At[task.Succeeded]),
		},
	}
	if ended := since(t.At[t.State]); ended != nil {
		s.Seconds = *ended
	}
	return s
}

// verify looks at GitHub's side: is the pull request there, and does its branch hold the commit?
func (w *world) verify(t task.Task, s *summary) error {
	if t.State != task.Succeeded {
		return fmt.Errorf("the task ended as %s", t.State)
	}
	pull, err := w.hub.PullRequest(seed.Owner, seed.Repository, t.Pull)
	if err != nil {
		return fmt.Errorf("pull request #%d: %w", t.Pull, err)
	}
	commits, err := w.hub.Commits(seed.Owner, seed.Repository, t.Pull)
	if err != nil {
		return fmt.Errorf("commits of pull request #%d: %w", t.Pull, err)
	}
	for _, c := range commits {
		s.Commits = append(s.Commits, c.SHA)
	}
	if pull.Head.Branch != t.Branch || pull.Head.SHA != t.Head || !slices.Contains(s.Commits, t.Head) {
		return fmt.Errorf("pull request #%d is of %s at %s, and the task pushed %s to %s", t.Pull, pull.Head.Branch, pull.Head.SHA, t.Head, t.Branch)
	}
	return nil
}
