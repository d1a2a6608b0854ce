package hostile

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

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

// judgeTokens uses the task's token elsewhere, has the task stopped, and uses the token again.
func (w *world) judgeTokens(ctx context.Context, n *neighbouring) ([]Result, error) {
	during, err := n.uses(ctx)
	if err != nil {
		return nil, err
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
	outlive, done, err := w.judgeOutlive(ctx, n)
	if err != nil {
		return nil, err
	}
	elsewhere.tell(done, noticed("token_refused", "elsewhere"))

	before, err := w.metric(ctx, tokenAfterEnd)
	if err != nil {
		return nil, err
	}
	after, err := n.uses(ctx)
	if err != nil {
		return nil, err
	}
	ended := Result{Name: "token-after-end", Verdict: Refused}
	for _, u := range after {
		if u.status < 400 {
			ended.Verdict, ended.Why = Escaped, fmt.Sprintf("%s with %s: %d", u.what, u.node, u.status)
		}
	}
	counted, err := w.metric(ctx, tokenAfterEnd)
	if err != nil {
		return nil, err
	}
	if ended.Told, err = w.pageSays(ctx, n.id, "token was used after its attempt"); err != nil {
		return nil, err
	}
	switch logged, err := w.logged("a task's token was refused", n.id, "after_end"); {
	case err != nil:
		return nil, err
	case ended.Verdict == Refused && (counted <= before || !logged):
		ended.Verdict, ended.Why = Untried, fmt.Sprintf("nobody was told: the metric went from %v to %v, it is in the log: %t", before, counted, logged)
	case ended.Verdict == Refused:
		ended.Why = fmt.Sprintf("closed to its own node, too; in the log, and counted %v times", counted-before)
	}
	return []Result{elsewhere, outlive, ended}, nil
}

const tokenAfterEnd = `sam_task_token_refused_total{why="after_end"}`

// metric reads a counter of the server's, by its name with its labels.
func (w *world) metric(ctx context.Context, name string) (float64, error) {
	text, err := w.fetch(ctx, "http://"+w.targets["port-operator"]+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if number, ok := strings.CutPrefix(line, name+" "); ok {
			var value float64
			if _, err := fmt.Sscan(number, &value); err != nil {
				return 0, fmt.Errorf("read the metric %s: %w", name, err)
			}
			return value, nil
		}
	}
	return 0, fmt.Errorf("the server has no metric %s", name)
}

// logged reports whether a line of the server's log has all of the words.
func (w *world) logged(words ...string) (bool, error) {
	text, err := os.ReadFile(filepath.Join(w.options.Dir, "serve.log"))
	if err != nil {
		return false, fmt.Errorf("read the server's log: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return true, nil
		}
	}
	return false, nil
}

// pageSays reports whether a task's page has the words.
func (w *world) pageSays(ctx context.Context, id, words string) (bool, error) {
	text, err := w.fetch(ctx, "http://"+w.targets["port-dashboard"]+"/tasks/"+id)
	return strings.Contains(text, words), err
}

// fetch reads what one of the server's own listeners answers.
func (w *world) fetch(ctx context.Context, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", address, err)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", address, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", address, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("read %s: it answered %d", address, response.StatusCode)
	}
	return string(text), nil
}
