package agent

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"path"
	"strings"

	"sam/agent/egress"
	"sam/agent/wire"
)

// privately passes requests for private registries on to the gateway, which has their credentials, and everything else to
// next. Some clients send no credential over plain HTTP, Go's among them: for those the token may stand in the path.
//
//	/registry/HOST/PATH           with the token as a password or bearer
//	/registry/~TOKEN/HOST/PATH
func privately(task, token string, policy egress.Policy, gateway, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, ok := strings.CutPrefix(r.URL.EscapedPath(), wire.RegistryPath)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		bears := shown(r)
		if inPath, ok := strings.CutPrefix(rest, "~"); ok {
			bears, rest, _ = strings.Cut(inPath, "/")
		}
		if subtle.ConstantTimeCompare([]byte(bears), []byte(token)) != 1 || token == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="SAM"`)
			http.Error(w, "this is for the task's own programs, which have its token: use the address in SAM_REGISTRIES", http.StatusUnauthorized)
			return
		}
		to, err := url.Parse(wire.RegistryPath + task + "/" + rest)
		switch {
		case policy != egress.Registries && policy != egress.Open:
			http.Error(w, "this task's network policy is brokers: workspaces reach their own repository and their model, and nothing else", http.StatusForbidden)
			return
		case err != nil || to.Host != "" || path.Clean(to.Path) != strings.TrimSuffix(to.Path, "/"):
			http.Error(w, "this is no address of a registry: it is "+wire.RegistryPath+"HOST/PATH", http.StatusBadRequest)
			return
		}
		out := r.Clone(r.Context())
		to.RawQuery = r.URL.RawQuery
		out.URL = to
		gateway.ServeHTTP(w, out)
	})
}

// privateRegistries is the address below which a workspace finds private registries, with its token.
func privateRegistries(address, token string) string {
	return "http://" + address + wire.RegistryPath + "~" + token + "/"
}
