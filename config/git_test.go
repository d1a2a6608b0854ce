package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const requiredForGit = "github:\n  app_id: 1\n  private_key_file: k\n  webhook_secret_file: s\n"

func loadGit(t *testing.T, text string) (Server, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sam.yml")
	if err := os.WriteFile(path, []byte(requiredForGit+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path, nil)
}

func TestWhatTasksMayDoWithGitIsRead(t *testing.T) {
	got, err := loadGit(t, "git:\n  workflows: [harbour, ada_quay]\n  max_pack: 64MiB\n  max_objects: 5000\n  repositories:\n    harbour: [harbour/lib, quay/parts.js]\n    octo:\n      - octo/data\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Git{
		Workflows: []string{"harbour", "ada_quay"}, MaxPack: 64 << 20, MaxObjects: 5000,
		Repositories: Repositories{"harbour": {"harbour/lib", "quay/parts.js"}, "octo": {"octo/data"}},
	}
	if !reflect.DeepEqual(got.Git, want) {
		t.Errorf("%+v\nwant %+v", got.Git, want)
	}
	if got, err := loadGit(t, ""); err != nil || !reflect.DeepEqual(got.Git, defaultGit()) {
		t.Errorf("without a word of it: %+v, %v", got.Git, err)
	}
}

func TestWhatIsWrongAboutGitIsToldWithItsLine(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"an account that is none":   {"git:\n  workflows: [a/b]\n", `sam.yml:6: git.workflows: "a/b" is no account`},
		"no list of accounts":       {"git:\n  workflows: {a: b}\n", "sam.yml:6: git.workflows: what stands here is not a list"},
		"a pack of nothing":         {"git:\n  max_pack: 1KiB\n", "sam.yml:6: git.max_pack: 1 KiB is not between 1 MiB and 16 GiB"},
		"too few objects":           {"git:\n  max_objects: 3\n", "sam.yml:6: git.max_objects: 3 is not between"},
		"a repository without name": {"git:\n  repositories:\n    octo: [lib]\n", `sam.yml:7: git.repositories.octo: "lib" is no repository: write owner/name`},
		"an address":                {"git:\n  repositories:\n    octo: [\"https://x/octo/lib\"]\n", "is no repository"},
		"a path out":                {"git:\n  repositories:\n    octo: [octo/../x]\n", "is no repository"},
		"the folder above":          {"git:\n  repositories:\n    octo: [octo/..]\n", "is no repository"},
		"a repository alone":        {"git:\n  repositories:\n    octo: octo/lib\n", "sam.yml:7: git.repositories.octo: is not a list of repositories"},
		"a list alone":              {"git:\n  repositories: [octo/lib]\n", "sam.yml:6: git.repositories: has keys of its own"},
		"an account out of nowhere": {"git:\n  repositories:\n    \"a b\": [octo/lib]\n", "no account of GitHub's"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := loadGit(t, c.text); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
	if _, err := Load("", []string{"SAM_GIT_REPOSITORIES=x"}); err == nil || !strings.Contains(err.Error(), "is a table") {
		t.Errorf("from the environment: %v", err)
	}
}
