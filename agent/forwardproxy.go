package agent

import (
	"crypto/subtle"
	"net/http"

	"sam/agent/egress"
	"sam/agent/wire"
)

// egress is the proxy that an attempt's workspace gets: it admits what the task was sent with, and tells the task of what it
// refuses.
func (w *workspaces) egress(s wire.Start) (egress.Options, error) {
	var err error
	out := w.out
	if out.Rules, err = rulesOf(s.Network); err != nil || w.spools == nil {
		return out, err
	}
	spool := w.spools.get(s.Ref)
	if spool == nil {
		return out, nil
	}
	told, err := spool.noticed(hostRefused)
	if err != nil {
		return out, err
	}
	out.Refused = (&refusedHosts{emit: spool.append, told: told}).note
	return out, nil
}

// rulesOf are those that a task was sent with. A server that says nothing lets its workspaces reach the brokers only.
func rulesOf(n *wire.Network) (egress.Rules, error) {
	if n == nil {
		return egress.Rules{Policy: egress.Brokers}, nil
	}
	return egress.NewRules(n.Policy, n.Hosts, n.Internal)
}

// proxied passes what is asked of a proxy to it, when it shows the task's token, and all else on.
func proxied(token string, proxy, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect && r.URL.Host == "" {
			next.ServeHTTP(w, r)
			return
		}
		if subtle.ConstantTimeCompare([]byte(shownToProxy(r)), []byte(token)) != 1 || token == "" {
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
