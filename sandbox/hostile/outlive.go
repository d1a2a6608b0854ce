package hostile

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"sam/sandbox/hostile/orders"
)

// goneWithin is how long a task that is stopped may take to leave nothing behind: the whole ladder, and the container.
const goneWithin = 40 * time.Second

// neighbouring is the task that runs beside the intruder's, holds a secret of its own, and does not want to end.
type neighbouring struct {
	*job
	mark  string
	token string // the task's
}

// branch is the one that the task may push, in full.
func (n *neighbouring) branch() string { return fmt.Sprintf("refs/heads/sam/issue-%d", n.number) }

// outlive starts it.
func (w *world) outlive(ctx context.Context) (*neighbouring, error) {
	n := &neighbouring{mark: "outlive" + strings.ToLower(rand.Text()[:12])}
	var err error
	if n.job, err = w.ask(repository, 0, orders.Orders{Attempts: []string{"token", "hide", "outlive"}, Mark: n.mark, Own: w.secret("neighbour")}); err != nil {
		return nil, err
	}
	r, err := n.reports(ctx, "outliving")
	if err != nil {
		return nil, err
	}
	if _, alive := r.report("outliving"); !alive {
		return nil, fmt.Errorf("the task that is to outlive its stop ended with %s", r.reason())
	}
	said, _ := r.report("token")
	token, err := hex.DecodeString(said.Said)
	if err != nil || len(token) < 16 {
		return nil, fmt.Errorf("the intruder did not tell its token: %q", said.Said)
	}
	n.token = string(token)
	err = until(ctx, 10*time.Second, func() error {
		if found, err := marked(n.mark); err != nil || len(found) < 3 {
			return errors.Join(fmt.Errorf("%d processes are there to be outlived", len(found)), err)
		}
		return nil
	})
	return n, err
}

// judgeOutlive stops the task and looks for what is left of it.
func (w *world) judgeOutlive(ctx context.Context, n *neighbouring) (Result, *record, error) {
	result := Result{Name: "outlive", Verdict: Contained}
	if err := w.hub.CloseIssue(maintainer, owner, n.repo, n.number); err != nil { //nolint:contextcheck // the stand-in is called as a service is
		return result, nil, fmt.Errorf("close an issue: %w", err)
	}
	done, err := n.ends(ctx)
	if err != nil {
		return result, nil, err
	}
	result.Why = "stopped, with all that it had started: " + done.reason()
	result.tell(done, telling{code: "finished", names: "was closed"})
	err = until(ctx, goneWithin, func() error {
		found, err := marked(n.mark)
		if err != nil {
			return err
		}
		b, err := w.boxOf(ctx, n.id)
		if err != nil {
			return err
		}
		if len(found) > 0 || b != nil {
			return fmt.Errorf("processes %v are left, its container: %t", found, b != nil)
		}
		return nil
	})
	if err != nil {
		result.Verdict, result.Why = Escaped, err.Error()
	}
	return result, done, nil
}

// judgePlant has the node use a tree again in which something was planted for whoever does.
func (w *world) judgePlant(ctx context.Context, j *job, planted *record) (Result, error) {
	result := Result{Name: "plant", Verdict: Refused, Why: "the node used the tree again, and nothing of it ran on the host"}
	said, made := planted.report("plant")
	if !made || !said.Ran {
		result.Verdict, result.Why = Untried, "nothing was planted: "+said.Said+planted.reason()
		return result, nil
	}
	again := &job{world: w, repo: j.repo, number: j.number}
	words, err := orders.Orders{Attempts: []string{"honest"}}.Request()
	if err != nil {
		return result, err
	}
	if err := again.say("/sam " + words); err != nil {
		return result, err
	}
	done, err := again.ends(ctx)
	if err != nil {
		return result, err
	}
	result.tell(done, telling{code: "workspace", names: "with the hooks and the git configuration"})
	if _, ran := done.report("honest"); !ran || done.state != "succeeded" {
		result.Verdict, result.Why = Untried, "the next task in the tree ended with "+done.reason()
	}
	if err := w.leaves(ctx, again); err != nil {
		return result, err
	}
	if owned, err := os.ReadDir(w.ownedDir()); err != nil || len(owned) > 0 {
		result.Verdict, result.Why = Escaped, fmt.Sprintf("on the host ran %v %v", owned, err)
	}
	return result, nil
}
