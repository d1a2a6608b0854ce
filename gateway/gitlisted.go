package gateway

import (
	"fmt"
	"net/http"
	"strings"
)

// listed serves a request for one of the repositories that the task's account lists: they may be fetched, with a token of
// their own that can only read, and nothing else.
func (*Git) listed(serve gitHandler) gitHandler {
	return func(w http.ResponseWriter, r *gitRequest) {
		name := r.PathValue("owner") + "/" + strings.TrimSuffix(r.PathValue("name"), ".git")
		for _, one := range r.grant.Listed {
			if !strings.EqualFold(one.FullName, name) {
				continue
			}
			if service := r.URL.Query().Get("service"); service == receivePackService {
				http.Error(w, onlyFetched(one.FullName), http.StatusForbidden)
				return
			}
			r.sub = &one
			serve(w, r)
			return
		}
		r.log.Info().Str("asked", oneLine(name)).Msg("a repository that is not listed was asked for")
		http.Error(w, fmt.Sprintf("SAM fetches no further repository %s for this task; whoever runs SAM may list it for this account in git.repositories", oneLine(name)), http.StatusForbidden)
	}
}

func onlyFetched(name string) string {
	return fmt.Sprintf("SAM only fetches %s for this task and pushes nothing to it; describe in your summary what is to be changed there", name)
}
