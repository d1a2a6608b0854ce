package agent

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/rs/zerolog"

	"sam/agent/wire"
	"sam/task"
)

// grantRefused is the code of the notices of what was refused at the workspace's own door, before a broker heard of it.
const grantRefused = "grant_refused"

// overhearing tells the page of credentials that are not the task's: another task's token, or one that is made up. They are
// refused further on, as whatever is there refuses them; a request without any is only asked for some.
func (w ways) overhearing(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		where, bears := credentials(r)
		if bears != "" && subtle.ConstantTimeCompare([]byte(bears), []byte(token)) != 1 {
			w.tell(wire.Refused{Code: grantRefused, Subject: "credentials at " + where, Text: "A program in the workspace showed credentials at " + where +
				" that are not this task's, and was refused. A task's token opens that task's own brokers from its own workspace, and nothing anywhere else: " +
				"if it was another task's, see how it came here."})
		}
		next.ServeHTTP(rw, r)
	})
}

// credentials are those that a request shows, and what it shows them to.
func credentials(r *http.Request) (where, bears string) {
	if r.Method == http.MethodConnect || r.URL.Host != "" { // its Authorization is for whom it asks for
		return "the proxy", shownToProxy(r)
	}
	for path, name := range map[string]string{wire.GitPath: "the git broker", wire.ModelPath: "the model broker", wire.RegistryPath: "the registries"} {
		if !strings.HasPrefix(r.URL.Path, path) {
			continue
		}
		if inPath, ok := strings.CutPrefix(r.URL.Path, wire.RegistryPath+"~"); ok {
			bears, _, _ = strings.Cut(inPath, "/")
			return name, bears
		}
		return name, shown(r)
	}
	return "the node", shown(r)
}

// outside tells of a request with the task's own token for what is not the task's.
func (w ways) outside(r *http.Request) {
	path := keepHead(r.URL.Path, 200)
	w.tell(wire.Refused{Code: grantRefused, Subject: path, Text: "A program in the workspace asked for " + path +
		" with the task's token, and was refused: the token opens the task's own repository and model only. Further repositories are for the account to list (git.repositories in the server's configuration)."})
}

func (w ways) tell(r wire.Refused) {
	if w.refused != nil {
		w.refused(r)
	}
}

// notice tells an attempt's page what the gateway refused elsewhere in its name. One that has ended has none to tell.
func (n *Node) notice(ctx context.Context, told wire.Notice) error {
	spool := n.spools.get(told.Ref)
	if spool == nil || spool.hasEnded() {
		return nil
	}
	before, err := spool.refusals()
	if err != nil {
		return fmt.Errorf("take in a notice for task %s: %w", told.Task, err)
	}
	(&refusals{told: before, emit: func(e task.Event) error {
		err := spool.append(e)
		if err != nil && !errors.Is(err, errEnded) && !errors.Is(err, errDropped) {
			zerolog.Ctx(ctx).Warn().Err(err).Str("task", told.Task).Msg("what the gateway refused is not told")
		}
		return err
	}}).broker(told.Refused)
	return nil
}
