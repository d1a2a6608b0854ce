package agent

import (
	"crypto/subtle"
	"net/http"

	"sam/agent/egress"
	"sam/agent/wire"
)

// ways are what leads out of an attempt's workspace: the proxy, and the brokers, of which refused hears what they refuse.
type ways struct {
	egress.Options
	refused func(wire.Refused)
	// alone says that nobody but the attempt's own container can dial. Then the proxy serves who shows no token as well: Java's
	// programs cannot. Who shows a wrong one is refused everywhere.
	alone bool
}

// ways are those of an attempt: the proxy admits what the task was sent with, and the task is told of what is refused.
func (w *workspaces) ways(s wire.Start) (ways, error) {
	var err error
	out := ways{Options: w.out}
	if out.Rules, err = rulesOf(s.Network); err != nil || w.spools == nil {
		return out, err
	}
	spool := w.spools.get(s.Ref)
	if spool == nil {
		return out, nil
	}
	told, err := spool.refusals()
	if err != nil {
		return out, err
	}
	tell := &refusals{emit: spool.append, told: told}
	out.Refused, out.refused = tell.host, tell.broker
	return out, nil
}

// rulesOf are those that a task was sent with. A server that says nothing lets its workspaces reach the brokers only.
func rulesOf(n *wire.Network) (egress.Rules, error) {
	if n == nil {
		return egress.Rules{Policy: egress.Brokers}, nil
	}
	return egress.NewRules(n.Policy, n.Hosts, n.Internal)
}

// proxied passes what is asked of a proxy to it, when it shows the task's token or is let in without, and all else on.
func proxied(token string, alone bool, proxy, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect && r.URL.Host == "" {
			next.ServeHTTP(w, r)
			return
		}
		known := subtle.ConstantTimeCompare([]byte(shownToProxy(r)), []byte(token)) == 1 && token != ""
		if !known && (!alone || r.Header["Proxy-Authorization"] != nil) {
			w.Header().Set("Proxy-Authenticate", `Basic realm="SAM"`)
			http.Error(w, "this is for the task's own programs, which have its token: use the proxy as HTTPS_PROXY says", http.StatusProxyAuthRequired)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}

// shownToProxy is the token that a request shows to a proxy: the password of Basic, or Bearer.
func shownToProxy(r *http.Request) string {
	return shown(&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}})
}
