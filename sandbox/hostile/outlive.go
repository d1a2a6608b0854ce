package hostile

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
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

// use is one use of a task's token, from outside of its workspace.
type use struct {
	what, node string
	status     int
}

// uses tries the token with a node's credential, none and a made-up one, for git and for the model.
func (n *neighbouring) uses(ctx context.Context) ([]use, error) {
	w := n.world
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var all []use
	for _, node := range []struct{ name, authorization string }{
		{"no node's credential", ""}, {"a made-up node's", "Bearer local." + strings.Repeat("A", 43)}, {"the token itself", "Bearer " + n.token}, {"the node's", "Bearer " + w.nodeToken},
	} {
		for _, path := range []string{"/git/" + n.id + "/info/refs?service=git-upload-pack", "/git/" + n.id + "/info/refs?service=git-receive-pack"} {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.gateway+path, nil)
			if err != nil {
				return nil, fmt.Errorf("use a token: %w", err)
			}
			request.Header.Set("Sam-Task-Token", n.token)
			if node.authorization != "" {
				request.Header.Set("Authorization", node.authorization)
			} else {
				request.SetBasicAuth("sam", n.token)
			}
			response, err := client.Do(request)
			if err != nil {
				return nil, fmt.Errorf("use a token: %w", err)
			}
			response.Body.Close()
			all = append(all, use{path, node.name, response.StatusCode})
		}
	}
	return all, nil
}

// judgeOutlive uses the token elsewhere, stops the task, looks for what is left, and uses the token again.
func (w *world) judgeOutlive(ctx context.Context, n *neighbouring, report *Report) error {
	during, err := n.uses(ctx)
	if err != nil {
		return err
	}
	elsewhere := Result{Name: "token-elsewhere", Verdict: Refused, Why: "the gateway gives nothing for it without the node's own credential"}
	worth := 0
	for _, u := range during {
		switch {
		case u.node == "the node's" && u.status == http.StatusOK:
			worth++
		case u.node != "the node's" && u.status < 400:
			elsewhere.Verdict, elsewhere.Why = Escaped, fmt.Sprintf("%s with %s: %d", u.what, u.node, u.status)
		}
	}
	if worth == 0 && elsewhere.Verdict == Refused {
		elsewhere.Verdict, elsewhere.Why = Untried, fmt.Sprintf("the token is worth nothing even beside its node's credential: %v", during)
	}
	report.add(elsewhere)

	if err := w.hub.CloseIssue(maintainer, owner, n.repo, n.number); err != nil { //nolint:contextcheck // the stand-in is called as a service is
		return fmt.Errorf("close an issue: %w", err)
	}
	done, err := n.ends(ctx)
	if err != nil {
		return err
	}
	outlive := Result{Name: "outlive", Verdict: Contained, Told: done.told("topped", "closed"), Why: "stopped, with all that it had started: " + done.reason()}
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
		outlive.Verdict, outlive.Why = Escaped, err.Error()
	}
	report.add(outlive)

	after, err := n.uses(ctx)
	if err != nil {
		return err
	}
	ended := Result{Name: "token-after-end", Verdict: Refused, Why: "closed to its own node, too"}
	for _, u := range after {
		if u.status < 400 {
			ended.Verdict, ended.Why = Escaped, fmt.Sprintf("%s with %s: %d", u.what, u.node, u.status)
		}
	}
	report.add(ended)
	return nil
}

// judgePlant has the node use a tree again in which something was planted for whoever does.
func (w *world) judgePlant(ctx context.Context, j *job, planted *record, report *Report) error {
	result := Result{Name: "plant", Verdict: Refused, Why: "the node used the tree again, and nothing of it ran on the host"}
	said, made := planted.report("plant")
	if !made || !said.Ran {
		result.Verdict, result.Why = Untried, "nothing was planted: "+said.Said+planted.reason()
		report.add(result)
		return nil
	}
	again := &job{world: w, repo: j.repo, number: j.number}
	words, err := orders.Orders{Attempts: []string{"honest"}}.Request()
	if err != nil {
		return err
	}
	if err := again.say("/sam " + words); err != nil {
		return err
	}
	done, err := again.ends(ctx)
	if err != nil {
		return err
	}
	result.Told = done.told("kept")
	if _, ran := done.report("honest"); !ran || done.state != "succeeded" {
		result.Verdict, result.Why = Untried, "the next task in the tree ended with "+done.reason()
	}
	if err := w.leaves(ctx, again); err != nil {
		return err
	}
	if owned, err := os.ReadDir(w.ownedDir()); err != nil || len(owned) > 0 {
		result.Verdict, result.Why = Escaped, fmt.Sprintf("on the host ran %v %v", owned, err)
	}
	report.add(result)
	return nil
}
