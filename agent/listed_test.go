package agent

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"sam/agent/wire"
)

func TestGitFindsListedRepositoriesAtTheBrokerAndNoOthers(t *testing.T) {
	const root = "http://127.0.0.1:4321/"
	start := wire.Start{
		Ref: wire.Ref{Task: "lib-1x"}, FullName: "harbour/quayside", CloneURL: "https://github.example/harbour/quayside.git",
		Listed: []string{"harbour/lib", "quay/parts.js"},
	}
	dir := t.TempDir()
	for url, want := range map[string]string{
		"https://github.example/harbour/lib":          root + "git/lib-1x/sub/harbour/lib",
		"https://github.example/harbour/lib.git":      root + "git/lib-1x/sub/harbour/lib.git",
		"git@github.example:harbour/lib.git":          root + "git/lib-1x/sub/harbour/lib.git",
		"ssh://git@github.example/quay/parts.js":      root + "git/lib-1x/sub/quay/parts.js",
		root + "git/lib.git":                          root + "git/lib-1x/sub/harbour/lib.git", // ../lib.git
		root + "quay/parts.js":                        root + "git/lib-1x/sub/quay/parts.js",   // ../../quay/parts.js
		root + "git/lib-1x":                           root + "git/lib-1x",
		"https://github.example/harbour/other.git":    "https://github.example/harbour/other.git",
		"https://github.example.evil/harbour/lib.git": "https://github.example.evil/harbour/lib.git",
		"https://elsewhere.example/harbour/lib.git":   "https://elsewhere.example/harbour/lib.git",
		"https://github.example/harbour/quayside.git": "https://github.example/harbour/quayside.git",
	} {
		cmd := exec.CommandContext(t.Context(), "git", "ls-remote", "--get-url", url)
		cmd.Dir = dir
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1"}, workspaceGit(start, root).env()...)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s is fetched from %s (%v), want %s", url, got, err, want)
		}
	}
}
