package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sam/config"
	"sam/handlers"
	"sam/sandbox/seed"
	"sam/task"
)

// demoWithin bounds `sam demo --once`.
const demoWithin = 5 * time.Minute

type demoFlags struct {
	once    bool
	agent   string
	request string
	listen  string
	unsafe  bool
	verbose bool
}

func newDemo() *cobra.Command {
	f := demoFlags{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole product on this machine, with no account, key or internet",
		Long: "Run the whole product in one process tree: a GitHub that behaves, Redis, the server and a node. Open the\n" +
			"printed page, comment \"/sam add rate limiting to /api/upload\" on the issue, and watch a pull request appear.\n" +
			"With --once it does that by itself and prints one JSON object as its last line.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := "warn"
			if f.verbose {
				level = "debug"
			}
			log := newLog(config.Log{Level: level, Format: "console"}, cmd.ErrOrStderr())
			if commands := handlers.ParseCommands(requestComment(f.request)); len(commands) != 1 || commands[0].Verb != handlers.VerbRequest {
				return fmt.Errorf("--request %q makes no task, or several: say what is to be done, in more than one word", f.request)
			}
			return runDemo(log.WithContext(cmd.Context()), f, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&f.once, "once", false, "do the job by itself, print one JSON object, and exit 0 only if the pull request holds the commit")
	cmd.Flags().StringVar(&f.agent, "agent", demoAgentName, "the coding `AGENT`: demo, or claude (on a scripted model, or on the real one where ANTHROPIC_API_KEY is set)")
	cmd.Flags().BoolVar(&f.unsafe, unsafeFlag, false, "let a real agent run without a container where no engine answers")
	cmd.Flags().StringVar(&f.request, "request", "add rate limiting to /api/upload", "with --once: what to ask for, `TEXT`")
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:3000", "`ADDR` of GitHub's stand-in; a free port when it is taken, and with --once")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log everything that happens")
	return cmd
}

// requestComment is the comment that asks for something.
func requestComment(request string) string { return "/sam " + request }

func runDemo(ctx context.Context, f demoFlags, out io.Writer) error {
	if f.once {
		f.listen = "127.0.0.1:0"
	} else {
		f.listen = listenOr(ctx, f.listen)
	}
	return withWorld(ctx, worldOptions{listen: f.listen, agent: f.agent, unsafe: f.unsafe}, func(ctx context.Context, w *world) error {
		if f.once {
			return w.once(ctx, f.request, out)
		}
		w.announce(out)
		<-ctx.Done()
		return nil
	})
}

// announce says where everything is.
func (w *world) announce(out io.Writer) {
	fmt.Fprintf(out, `SAM is running, on this machine alone, with a stand-in for GitHub.

  Open     %[1]s/%[2]s/%[3]s/issues/1
  Comment  /sam add rate limiting to /api/upload
  Watch    a pull request appear, a few seconds later

  Live pages         %[11]s/%[2]s/%[3]s
  GitHub's stand-in  %[1]s   people: %[4]s (may ask), %[5]s (may not), %[6]s (a stranger)
  SAM                %[7]s   metrics and health: %[8]s
  Redis              %[9]s
  Files              %[10]s, removed at the end

Ctrl-C ends it.
`, w.hub.url(), seed.Owner, seed.Repository, maintainer, triager, stranger,
		w.server.public.url(), w.server.operator.url()+"/metrics", w.redis.Name, w.dir, w.server.pages.url())
}

// summary is the last line of `sam demo --once`. Phases are seconds since the comment was posted, 0 for
// one that the task did not come to.
type summary struct {
	Task        task.ID            `json:"task"`
	State       task.State         `json:"state"`
	Repository  string             `json:"repository"`
	Issue       int                `json:"issue"`
	PullRequest int                `json:"pull_request"`
	Branch      string             `json:"branch"`
	Commits     []string           `json:"commits"`
	Agent       string             `json:"agent"`
	Workspace   string             `json:"workspace"`
	Redis       string             `json:"redis"`
	Seconds     float64            `json:"seconds"`
	Phases      map[string]float64 `json:"phases"`
	Failure     string             `json:"failure,omitempty"`
}

// once does the job by itself: it comments as the maintainer, follows the task to its end, and looks whether the pull
// request is there and holds what the task says it pushed.
func (w *world) once(ctx context.Context, request string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, demoWithin)
	defer cancel()
	fmt.Fprintf(out, "GitHub's stand-in runs at %s, Redis is %s.\n%s comments: %s\n", w.hub.url(), w.redis.Name, maintainer, requestComment(request))
	posted := time.Now()
	if _, err := w.hub.CreateComment(maintainer, seed.Owner, seed.Repository, 1, requestComment(request)); err != nil {
		return fmt.Errorf("comment on the issue: %w", err)
	}
	t, err := w.finished(ctx, out)
	if err != nil {
		return err
	}
	if err := w.told(ctx); err != nil {
		return err
	}
	s := summarize(t, posted, w.redis.Name)
	failure := w.verify(t, &s)
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the summary: %w", err)
	}
	if failure != nil {
		fmt.Fprintf(out, "Not done: %v\n%s\n", failure, line)
		return exitError(1)
	}
	fmt.Fprintf(out, "%s\n", line)
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
		case task.EntryResult:
			fmt.Fprintf(out, "%s: %s: %s\n", e.Task, e.State, e.Text)
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
	since := func(at time.Time) float64 {
		if at.IsZero() {
			return 0
		}
		return float64(at.Sub(posted).Milliseconds()) / 1000
	}
	return summary{
		Task: t.ID, State: t.State, Repository: t.Repository, Issue: t.Number, PullRequest: t.Pull, Branch: t.Branch,
		Commits: []string{}, Agent: t.Agent, Workspace: t.Workspace, Redis: redisName,
		Seconds: since(t.At[t.State]), Failure: t.Failure,
		Phases: map[string]float64{
			"accepted": since(t.Accepted), "placed": since(t.At[task.Preparing]), "prepared": since(t.At[task.Running]),
			"first_event": since(t.FirstEvent), "finished": since(t.At[task.Publishing]), "published": since(t.At[task.Succeeded]),
		},
	}
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
