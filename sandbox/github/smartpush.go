package github

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A push runs through git's own receive-pack. The update hook refuses single
// refs the way GitHub does, the post-receive hook notes what was accepted, and
// the answer is held back until pull requests and events have followed, so that
// a client that has pushed sees the effect in its next request.

// updateHook gets a ref, its old and its new SHA. What it refuses it notes with
// GitHub's words in $PUSH_NOTES/refused, since git itself would say no more than
// "hook declined".
const updateHook = `#!/bin/sh
ref=$1 old=$2 new=$3
zero=` + zeroSHA + `
refused() { printf '%s\t%s\n' "$ref" "$1" >>"$PUSH_NOTES/refused"; exit 1; }

branch=${ref#refs/heads/}
if [ "$branch" != "$ref" ] && grep -qxF -e "$branch" "$PUSH_NOTES/protected"; then
	{
		echo "error: GH006: Protected branch update failed for $ref."
		if [ "$new" = "$zero" ]; then echo "error: Cannot delete a protected branch"
		else echo "error: Changes must be made through a pull request."; fi
	} >&2
	refused "protected branch hook declined"
fi
if [ "$new" = "$zero" ]; then
	[ "$ref" = "$(git symbolic-ref HEAD)" ] && refused "refusing to delete the current branch: $ref"
	exit 0
fi
if [ ! -e "$PUSH_NOTES/workflows" ]; then
	file=$(git -c core.quotePath=false log -c --no-renames --format= --name-only "$new" --not --branches -- .github/workflows | head -n 1)
	[ -n "$file" ] && refused "refusing to allow a GitHub App to create or update workflow ` + "\\`$file\\` without \\`workflows\\`" + ` permission"
fi
exit 0
`

const postReceiveHook = "#!/bin/sh\ncat >>\"$PUSH_NOTES/accepted\"\n"

func (s *Server) gitHooks() string { return filepath.Join(s.dir, "hooks") }

func writeGitHooks(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("write git's hooks: %w", err)
	}
	for name, script := range map[string]string{"update": updateHook, "post-receive": postReceiveHook} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil { //nolint:gosec // hooks are programs
			return fmt.Errorf("write git's hooks: %w", err)
		}
	}
	return nil
}

// receive lets a push in and makes everything follow it. asked is the path that
// the client knows.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, asked string, repo *repository, by actor, rights gitRights) {
	answer, taken, err := s.push(r, repo, by, rights)
	if err != nil {
		s.log.Error().Err(err).Int64("repository", repo.id).Msg("push not taken")
		gitRefusal(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	if taken && by.via != nil {
		s.loseAnswer(r.Method, asked)
	}
	maps.Copy(w.Header(), answer.header)
	w.Header().Del("Content-Length")
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body.Bytes()) // a client that is gone needs no answer
}

func (s *Server) push(r *http.Request, repo *repository, by actor, rights gitRights) (answer *held, taken bool, err error) {
	notes, err := os.MkdirTemp("", "sandbox-github-push-")
	if err != nil {
		return nil, false, fmt.Errorf("make room for notes: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(notes)) }()

	repo.writing.Lock()
	defer repo.writing.Unlock()
	s.mu.Lock()
	branches := strings.Join(slices.Collect(maps.Keys(repo.protected)), "\n")
	s.mu.Unlock()
	if err := os.WriteFile(filepath.Join(notes, "protected"), []byte(branches+"\n"), 0o600); err != nil {
		return nil, false, fmt.Errorf("note the protected branches: %w", err)
	}
	if rights.workflows {
		if err := os.WriteFile(filepath.Join(notes, "workflows"), nil, 0o600); err != nil {
			return nil, false, fmt.Errorf("note the right to workflows: %w", err)
		}
	}
	answer = &held{header: http.Header{}, status: http.StatusOK}
	s.backendFor(repo, []string{"PUSH_NOTES=" + notes}).ServeHTTP(answer, r)

	refused, err1 := readNotes(filepath.Join(notes, "refused"))
	accepted, err2 := readNotes(filepath.Join(notes, "accepted"))
	if err := errors.Join(err1, err2); err != nil {
		return nil, false, fmt.Errorf("read what the push did: %w", err)
	}
	reasons := map[string]string{}
	for _, line := range refused {
		ref, reason, _ := strings.Cut(line, "\t")
		reasons[ref] = reason
	}
	explained := explain(answer.body.Bytes(), reasons)
	answer.body.Reset()
	answer.body.Write(explained)

	var updates []refUpdate
	for _, line := range accepted {
		if f := strings.Fields(line); len(f) == 3 {
			updates = append(updates, refUpdate{before: f[0], after: f[1], ref: f[2]})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.moved(by, repo, updates); err != nil {
		return nil, false, err
	}
	return answer, len(updates) > 0, nil
}

// readNotes reads the lines of a file that need not be there.
func readNotes(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' }), err
}
