package model

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

//go:embed work.txtar
var workFiles []byte

// uploadsPerSecond is the limit when nobody says another.
const uploadsPerSecond = 5

// Where the demo repository is changed. Each occurs once, on one line.
const (
	routeOld  = `mux.HandleFunc("POST /api/upload", h.upload)`
	routeNew  = `mux.HandleFunc("POST /api/upload", newLimiter(l.now, uploadsPerSecond, uploadBurst).guard(h.upload))`
	readmeOld = "It needs Go 1.22 or later and nothing else."
)

const commitSubject = "Limit how fast one client may upload"

// work adds rate limiting to the demo repository. Every step depends on what the one before gave back.
func (s *script) work(perSecond int) answer {
	if s.tools.shell == nil {
		return s.noShell()
	}
	seen, ok := s.do("I'll look at the repository first.",
		s.tools.run("Look at the repository", "pwd; git log --oneline -5; git status --short; ls; head -1 go.mod"))
	if !ok {
		return s.out
	}
	where := seen[0].text
	dir, _, _ := strings.Cut(strings.TrimSpace(where), "\n")
	switch {
	case seen[0].failed:
		return s.end("I could not look at the repository, and have changed nothing:\n\n" + failure(seen[0]))
	case !strings.HasPrefix(dir, "/"), !strings.Contains(where, "module quayside"), !strings.Contains(where, "handler.go"):
		return s.end("This is not the demo repository: my script knows only quayside's `handler.go`. I have changed nothing.")
	case strings.Contains(where, "ratelimit.go"):
		return s.end("There is a `ratelimit.go` already, so uploads are limited. I have changed nothing.")
	}

	seen, ok = s.do("A small Go service. I need to see how uploads are handled, and what the README promises.",
		s.tools.reading(dir+"/handler.go"), s.tools.reading(dir+"/README.md"))
	if !ok {
		return s.out
	}
	if !strings.Contains(seen[0].text, routeOld) || !strings.Contains(seen[1].text, readmeOld) {
		return s.end("The handler or the README is not as I know it, so I cannot tell where the limit belongs. I have changed nothing.")
	}
	return s.change(dir, perSecond)
}

// change makes the change, tests and commits it.
func (s *script) change(dir string, perSecond int) answer {
	files := map[string]string{}
	for _, f := range txtar.Parse(workFiles).Files {
		files[f.Name] = strings.ReplaceAll(string(f.Data), "PER_SECOND", fmt.Sprint(perSecond))
	}
	seen, ok := s.do(fmt.Sprintf("`POST /api/upload` takes whatever comes. I'll give each client a bucket of its own that fills at %d uploads "+
		"a second: the limit is per client, needs no background work and uses the ledger's clock, so tests need not wait.", perSecond),
		s.tools.writing(dir+"/ratelimit.go", files["ratelimit.go"]), s.tools.writing(dir+"/ratelimit_test.go", files["ratelimit_test.go"]))
	if !ok {
		return s.out
	}
	if bad := firstFailed(seen); bad != nil {
		return s.end("I could not write the limiter, so nothing is finished:\n\n" + failure(*bad))
	}

	seen, ok = s.do("Now the route, and a word in the README.",
		s.tools.editing(dir+"/handler.go", routeOld, routeNew),
		s.tools.editing(dir+"/README.md", readmeOld, files["README.md"]+readmeOld))
	if !ok {
		return s.out
	}
	if bad := firstFailed(seen); bad != nil {
		return s.end("I could not change the route or the README, so nothing is finished:\n\n" + failure(*bad))
	}

	seen, ok = s.do("Let me run the tests.", s.tools.run("Format, vet and test", "test -z \"$(gofmt -l .)\" && go vet ./... && go test ./..."))
	if !ok {
		return s.out
	}
	if tests := seen[0]; tests.failed || strings.Contains(tests.text, "FAIL") || !strings.Contains(tests.text, "ok") {
		return s.end("**This is not finished.** I wrote a rate limiter, but the checks do not pass with it, so I have not committed it:\n\n" +
			failure(tests))
	}
	return s.commit(perSecond)
}

// commit commits what change has made, as somebody else if git does not know who it works for.
func (s *script) commit(perSecond int) answer {
	message := fmt.Sprintf("%s\n\nA client that floods POST /api/upload made everyone else's uploads slow. Each client now has a\n"+
		"budget of %d uploads a second, with bursts of twice that; beyond it the answer is 429 with a\n"+
		"Retry-After. Clients are told apart by address; the other routes stay as they are.", commitSubject, perSecond)
	command := func(identity string) string {
		return "git add ratelimit.go ratelimit_test.go handler.go README.md && git" + identity + " commit -q -F - <<'END' && git show --stat HEAD\n" +
			message + "\nEND"
	}
	seen, ok := s.do("All green. I'll commit it.", s.tools.run("Commit the change", command("")))
	if !ok {
		return s.out
	}
	if strings.Contains(seen[0].text, "tell me who you are") || strings.Contains(seen[0].text, "empty ident") {
		seen, ok = s.do("Git does not know who commits here. I'll say so for this commit alone.", s.tools.run("Commit under a name",
			command(" -c user.name='Scripted model' -c user.email=model@localhost")))
		if !ok {
			return s.out
		}
	}
	if seen[0].failed || !strings.Contains(seen[0].text, commitSubject) {
		return s.end("The change is made and its tests pass, but **it is not committed**:\n\n" + failure(seen[0]))
	}
	return s.end(fmt.Sprintf(`Uploads are rate limited now, per client.

- **ratelimit.go**: a token bucket for each client address: %d uploads a second, bursts of %d. Beyond that the answer is `+
		"`429 Too Many Requests` with a `Retry-After` in whole seconds.\n"+
		"- **handler.go**: the limiter guards `POST /api/upload` and no other route.\n"+
		"- **README.md**: says so.\n"+
		"- **ratelimit_test.go**: a flood is refused, waiting as long as told helps, clients do not share a budget, idle ones are forgotten.\n\n"+
		"`go vet` and `go test ./...` pass, and the change is committed. Behind a proxy all clients would share one address; that needs a "+
		"trusted header, which this service does not have yet.", perSecond, 2*perSecond))
}

func firstFailed(steps []step) *step {
	for i := range steps {
		if steps[i].failed {
			return &steps[i]
		}
	}
	return nil
}
