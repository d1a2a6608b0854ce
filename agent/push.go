package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sam/task"
)

// pushLimit bounds the whole of pushing, tries included.
const pushLimit = 5 * time.Minute

// deliver pushes what was committed, however the agent ended, so that no work is lost, and says what stays behind.
func (n *Node) deliver(ctx context.Context, a *attempt, w Workspace, from heads, end task.End) task.End {
	if cause := context.Cause(ctx); cause != nil {
		var why *stopped
		if !errors.As(cause, &why) || !why.keep {
			return end
		}
		ctx = context.WithoutCancel(ctx) // stopped on request: what was committed is still worth pushing
	}
	ctx, cancel := context.WithTimeoutCause(ctx, pushLimit, errors.New("it took longer than "+pushLimit.String()))
	defer cancel()
	began := time.Now()
	head, dirty, err := workState(ctx, w)
	if err != nil {
		return worsen(end, task.Died, "What the agent left in its workspace cannot be read: "+sentence(err))
	}
	end.Left = dirty
	was := from.branch
	if was == "" {
		was = from.base // a branch that does not exist yet and would add nothing
	}
	note := "nothing new was committed"
	if head != was {
		if err := pushHead(ctx, w, a.start.Branch); err != nil {
			return pushFailed(end, a.start.Branch, err)
		}
		note = fmt.Sprintf("%s at %.8s", a.start.Branch, head)
	}
	if a.pushed {
		return end
	}
	if dirty {
		note += "; uncommitted changes stay behind in the workspace"
	}
	if err := a.spool.append(stepped(task.StepPush, began, note)); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("push not recorded")
	}
	return end
}

// workState is the commit that the workspace is at, and whether something in it is not committed.
func workState(ctx context.Context, w Workspace) (head string, dirty bool, err error) {
	out, err := output(ctx, w, "git", "status", "--porcelain=v2", "--branch", "--untracked-files=normal")
	if err != nil {
		return "", false, err
	}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if oid, ok := strings.CutPrefix(line, "# branch.oid "); ok {
			head = oid
		} else if !strings.HasPrefix(line, "#") {
			dirty = true
		}
	}
	return head, dirty, nil
}

// pushHead pushes without the workspace's own hooks: one that fails must not lose the work.
func pushHead(ctx context.Context, w Workspace, branch string) error {
	pauses := []time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second, 15 * time.Second}
	return retry(ctx, pauses, passes, func() error {
		_, err := output(ctx, w, "git", "push", "--no-verify", "--quiet", "origin", "HEAD:refs/heads/"+branch)
		return err
	})
}

func pushFailed(end task.End, branch string, err error) task.End {
	outcome := task.Died
	var failed *commandError
	if errors.As(err, &failed) && !passing(failed.words) {
		outcome = task.GaveUp // refused: another attempt would meet the same
	}
	return worsen(end, outcome, fmt.Sprintf("The work is committed but could not be pushed to %s: %s", branch, sentence(err)))
}

// worsen adds what went wrong after the agent to its end: an end that was well becomes outcome.
func worsen(end task.End, outcome task.Outcome, reason string) task.End {
	if end.Outcome == task.Done {
		end.Outcome = outcome
	}
	end.Reason = strings.Join(nonEmpty(end.Reason, reason), "\n\n")
	return end
}
