package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// gitTimeout bounds every git command but those that serve a client.
const gitTimeout = 30 * time.Second

const zeroSHA = "0000000000000000000000000000000000000000"

// gitEnv is the whole environment of git: nothing of the machine's own
// configuration reaches it.
func gitEnv() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C.UTF-8",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0", "GIT_LITERAL_PATHSPECS=1",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}
}

// runGit runs git in a bare repository and returns its output.
func runGit(dir string, args ...string) ([]byte, error) {
	return runGitWith(dir, nil, nil, args...)
}

func runGitWith(dir string, env []string, stdin []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), gitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, append(gitEnv(), env...), bytes.NewReader(stdin)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	if words := strings.TrimSpace(complaint.String()); words != "" { // it says none when there is no git
		err = fmt.Errorf("%w: %s", err, words)
	}
	return out, fmt.Errorf("git %s: %w", args[0], err)
}

// said is what git answered, without the newline at its end.
func said(dir string, args ...string) (string, error) {
	out, err := runGit(dir, args...)
	return strings.TrimSuffix(string(out), "\n"), err
}

func findBackend() (string, error) {
	path, err := said("", "--exec-path")
	if err != nil {
		return "", fmt.Errorf("find git: %w", err)
	}
	backend := filepath.Join(path, "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		return "", fmt.Errorf("find git-http-backend (install all of git): %w", err)
	}
	return backend, nil
}

// initRepository makes a bare repository that takes pushes over HTTP. The
// directory must not exist: another server's repository would lend it its refs.
func initRepository(dir, hooks, branch string) error {
	if err := os.Mkdir(dir, 0o750); err != nil {
		return fmt.Errorf("make repository: %w", err)
	}
	if _, err := runGit("", "init", "--quiet", "--bare", "--template=", "--initial-branch="+branch, dir); err != nil {
		return fmt.Errorf("make repository: %w", err)
	}
	config := "[http]\n\treceivepack = true\n[receive]\n\thideRefs = refs/pull\n\tadvertisePushOptions = false\n\tdenyDeleteCurrent = ignore\n" +
		"[uploadpack]\n\tallowFilter = true\n\tallowReachableSHA1InWant = true\n[gc]\n\tauto = 0\n" +
		"[core]\n\thooksPath = " + strconv.Quote(hooks) + "\n"
	f, err := os.OpenFile(filepath.Join(dir, "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("configure repository: %w", err)
	}
	_, err = f.WriteString(config)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("configure repository: %w", err)
	}
	return nil
}

// signature is how git writes who did something when.
func signature(a *account, at time.Time) string {
	return fmt.Sprintf("%s <%s> %d +0000", a.login, a.email(), at.Unix())
}

// email is the address by which GitHub knows an account's commits.
func (a *account) email() string {
	return fmt.Sprintf("%d+%s@users.noreply.github.com", a.id, a.login)
}

// firstCommit writes files as the first commit of a branch.
func firstCommit(dir, branch string, who *account, at time.Time, files map[string][]byte) error {
	var in bytes.Buffer
	const message = "Initial commit"
	fmt.Fprintf(&in, "commit refs/heads/%s\nauthor %[2]s\ncommitter %[2]s\ndata %[3]d\n%[4]s\n",
		branch, signature(who, at), len(message), message)
	paths := make([]string, 0, len(files))
	for path := range files {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		mode := "100644"
		if bytes.HasPrefix(files[path], []byte("#!")) {
			mode = "100755"
		}
		fmt.Fprintf(&in, "M %s inline %s\ndata %d\n%s\n", mode, strconv.Quote(path), len(files[path]), files[path])
	}
	if _, err := runGitWith(dir, nil, in.Bytes(), "fast-import", "--quiet"); err != nil {
		return fmt.Errorf("write the first commit: %w", err)
	}
	return nil
}

// resolve finds the commit that a branch, tag or SHA names.
func resolve(dir, name string) (string, error) {
	for _, candidate := range []string{"refs/heads/" + name, "refs/tags/" + name, name} {
		if strings.HasPrefix(candidate, "-") || strings.ContainsAny(candidate, ":^~@{}\\ \x00") {
			continue
		}
		if sha, err := said(dir, "rev-parse", "--verify", "--quiet", "--end-of-options", candidate+"^{commit}"); err == nil {
			return sha, nil
		}
	}
	return "", refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+name)
}

// branchSHA finds a branch's tip; empty when there is no such branch.
func branchSHA(dir, branch string) string {
	sha, err := said(dir, "rev-parse", "--verify", "--quiet", "--end-of-options", "refs/heads/"+branch)
	if err != nil {
		return ""
	}
	return sha
}

// gitRef is one ref with what it points at.
type gitRef struct{ name, sha, kind string }

// refsUnder lists refs below a prefix that ends anywhere, as matching-refs does.
func refsUnder(dir, prefix string) ([]gitRef, error) {
	out, err := said(dir, "for-each-ref", "--format=%(refname) %(objectname) %(objecttype)")
	if err != nil {
		return nil, err
	}
	var refs []gitRef
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) == 3 && strings.HasPrefix(f[0], prefix) {
			refs = append(refs, gitRef{f[0], f[1], f[2]})
		}
	}
	return refs, nil
}

// emptyRepository says whether a repository has no branch at all.
func emptyRepository(dir string) bool {
	out, err := said(dir, "for-each-ref", "--count=1", "refs/heads")
	return err == nil && out == ""
}

func countCommits(dir, span string) (int, error) {
	out, err := said(dir, "rev-list", "--count", span)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out)
}
