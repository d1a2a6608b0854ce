package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// gitConfig are settings that git takes from its environment: they reach no command line and no disk.
type gitConfig [][2]string

func (c gitConfig) env() []string {
	env := []string{"GIT_CONFIG_COUNT=" + strconv.Itoa(len(c))}
	for i, pair := range c {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, pair[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, pair[1]))
	}
	return env
}

// bearing is the setting that makes git send a token, to addresses under url only.
func bearing(url, user, token string) [2]string {
	basic := base64.StdEncoding.EncodeToString([]byte(user + ":" + token))
	return [2]string{"http." + url + ".extraHeader", "Authorization: Basic " + basic}
}

// git runs git outside of workspaces: in mirrors, which no workspace can write, and to make a workspace before anything
// ran in it. It reads no configuration but what it is given.
type git struct {
	home   string // an empty folder
	memory int    // bytes that it may take; 0 for any
}

// gitWait is short: git has nothing to put in order that it does not put in order again.
var gitWait = patience{terminate: 2 * time.Second}

// commandError says which program failed, git mostly, and its last words.
type commandError struct {
	what  string // the program, and its first argument
	words string // the last lines of its stderr
	exit  Exit
}

func (e *commandError) Error() string {
	if e.words == "" {
		return fmt.Sprintf("%s %s", e.what, e.exit)
	}
	return fmt.Sprintf("%s: %s", e.what, e.words)
}

// run runs a git command in dir and returns what it printed. The error of a git that failed is a *commandError; secret is
// struck from it, should a server repeat it.
func (g git) run(ctx context.Context, dir string, config gitConfig, secret string, args ...string) (string, error) {
	var out bytes.Buffer
	err := g.runTo(ctx, dir, config, nil, &out, args...)
	var failed *commandError
	if secret != "" && errors.As(err, &failed) {
		failed.words = strings.ReplaceAll(failed.words, secret, "***")
	}
	return out.String(), err
}

// runFrom is run of a command that reads stdin.
func (g git) runFrom(ctx context.Context, dir string, config gitConfig, stdin io.Reader, args ...string) (string, error) {
	var out bytes.Buffer
	err := g.runTo(ctx, dir, config, stdin, &out, args...)
	return out.String(), err
}

// runTo runs a git command in dir. A writer that fails ends it.
func (g git) runTo(ctx context.Context, dir string, config gitConfig, stdin io.Reader, stdout io.Writer, args ...string) error {
	config = append(gitConfig{
		{"core.hooksPath", "/dev/null"},
		{"core.fsmonitor", "false"},
		{"core.attributesFile", "/dev/null"},
		{"core.protectHFS", "true"}, // refuses more spellings of .git than this file system takes for one
		{"core.protectNTFS", "true"},
		{"core.bigFileThreshold", "64m"}, // what is larger passes through, and is not held
		{"submodule.recurse", "false"},
		{"checkout.workers", "0"}, // as many as there are processors
		{"gc.auto", "0"},          // workspaces borrow objects that a collection would take for garbage
		{"maintenance.auto", "false"},
		{"protocol.allow", "never"},
		{"protocol.http.allow", "always"},
		{"protocol.https.allow", "always"},
		{"http.lowSpeedLimit", "1"}, // a server that sends nothing for a minute is gone
		{"http.lowSpeedTime", "60"},
	}, config...)
	env := append(g.environment(), config.env()...)
	words := &tail{max: 4 << 10}
	command := append([]string{"git"}, args...)
	if g.memory > 0 { // packs that are mapped do not count; where it fails the limit is lower already
		command = append([]string{"/bin/sh", "-c", `ulimit -d "$0" 2>/dev/null; exec "$@"`, strconv.Itoa(g.memory >> 10)}, command...)
	}
	exit, err := run(ctx, dir, env, Command{Args: command, Stdin: stdin, Stdout: stdout, Stderr: words}, gitWait)
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case exit != Exit{}:
		return &commandError{what: "git " + args[0], words: words.lastLines(6), exit: exit}
	}
	return nil
}

// environment has what reaching a server may need of the node's own, and nothing else.
func (g git) environment() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + g.home, "LC_ALL=C.UTF-8",
		"GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
		"GIT_ALLOC_LIMIT=1g", // at once: a few bytes of differences can stand for an object of any size
	}
	for _, name := range []string{
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
	} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// outOfMemory reports whether an error is that git came to a limit of the memory that it may take.
func outOfMemory(err error) bool {
	var failed *commandError
	if !errors.As(err, &failed) {
		return false
	}
	words := strings.ToLower(failed.words)
	return strings.Contains(words, "out of memory") || strings.Contains(words, "attempting to allocate")
}

// passes reports whether an error is git's, and one that may be over in a moment.
func passes(err error) bool {
	var failed *commandError
	return errors.As(err, &failed) && passing(failed.words)
}

// passing reports whether what git said may be over in a moment: the server did not answer, or not in order. A refusal
// is not.
func passing(words string) bool {
	if strings.Contains(words, "rejected]") { // of its own refusals the broker says so
		return strings.Contains(words, "(SAM ") && strings.Contains(words, "try again")
	}
	for _, refusal := range []string{"returned error: 4", "Authentication failed", "could not read Username", "not found"} {
		if strings.Contains(words, refusal) {
			return false
		}
	}
	for _, hitch := range []string{
		"returned error: 5", "Failed to connect", "Couldn't connect", "Could not resolve", "Empty reply", "RPC failed",
		"early EOF", "hung up", "Connection reset", "timed out",
	} {
		if strings.Contains(words, hitch) {
			return true
		}
	}
	return false
}

// safeBranch reports whether a branch name can stand in a refspec: git's own rules, in short.
func safeBranch(name string) bool {
	if name == "" || len(name) > 200 || strings.ContainsAny(name, " ~^:?*[\\\x7f") || strings.Contains(name, "..") ||
		strings.Contains(name, "//") || strings.Contains(name, "@{") || strings.HasPrefix(name, "-") ||
		strings.HasSuffix(name, "/") || strings.HasSuffix(name, ".") || name == "@" {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return strings.IndexFunc(name, func(r rune) bool { return r < ' ' }) < 0
}

// safeName reports whether a task's or thread's name can name a file: letters, digits, hyphen and underscore.
func safeName(name string) bool {
	if name == "" || len(name) > 100 || name[0] == '-' {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}
