package cloudinit_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sam/runner/cloud"
	"sam/runner/cloud/cloudinit"
)

const hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func config() cloudinit.Config {
	return cloudinit.Config{
		Boot: cloudinit.Boot{
			Node: "sam-7f3a-k2", Gateway: "https://sam.example.com", Token: strings.Repeat("t", 43),
			Made: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		},
		Programs: map[cloud.Architecture]cloudinit.Download{cloud.AMD64: {URL: "https://sam.example.com/programs/linux-amd64", SHA256: hash}},
	}
}

func userData(t *testing.T) string {
	t.Helper()
	data, err := config().UserData(cloud.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// topLevel are cloud-init's keys, of those that its documentation lists (22.4), which a cloud-config of ours may have.
var topLevel = []string{"hostname", "ssh_pwauth", "package_update", "package_upgrade", "bootcmd", "write_files", "runcmd"}

func TestUserDataHasNoKeyThatCloudInitWouldPassOver(t *testing.T) {
	body, found := strings.CutPrefix(userData(t), "#cloud-config\n")
	var keys map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &keys); err != nil || !found {
		t.Fatalf("not a cloud-config: %v", err)
	}
	for key := range keys {
		if !slices.Contains(topLevel, key) {
			t.Errorf("the key %s is none of cloud-init's", key)
		}
	}
}

func TestCloudInitTakesTheUserData(t *testing.T) {
	program, err := exec.LookPath("cloud-init")
	if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: whether cloud-init takes the user data, for it is not here (apt-get install cloud-init): %v", err)
	}
	path := filepath.Join(t.TempDir(), "user-data")
	check := func(data string) ([]byte, error) {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.CommandContext(t.Context(), program, "schema", "--config-file", path).CombinedOutput()
	}
	data := userData(t)
	if out, err := check(data); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := check(strings.Replace(data, `"permissions"`, `"permission"`, 1)); err == nil {
		t.Errorf("the check sees no mistake: %s", out)
	}
}

func TestTheScriptStopsAtAProgramThatIsNotWhatTheServerSaid(t *testing.T) {
	dir := t.TempDir()
	var parsed struct {
		Files []struct{ Path, Content string } `json:"write_files"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(userData(t), "#cloud-config\n")), &parsed); err != nil {
		t.Fatal(err)
	}
	script := parsed.Files[1].Content
	for _, line := range []string{"set -eu", "--proto '=https'", "--fail", hash} {
		if !strings.Contains(script, line) {
			t.Errorf("the script has no %s:\n%s", line, script)
		}
	}
	// The same script, with a curl that gives something else, and its files in a folder of the test's.
	if err := os.WriteFile(filepath.Join(dir, "curl"), []byte("#!/bin/sh\necho '#!/bin/sh\necho it ran' >"+dir+"/sam.new\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(script string) string {
		c := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(script, cloudinit.Program, dir+"/sam"))
		c.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
		out, _ := c.CombinedOutput()
		return string(out)
	}
	if said := run(script); !strings.Contains(said, "its SHA-256 differs") || strings.Contains(said, "it ran") {
		t.Errorf("it said %q", said)
	}
	out, err := exec.CommandContext(t.Context(), "sha256sum", filepath.Join(dir, "sam.new")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if said := run(strings.ReplaceAll(script, hash, string(out[:64]))); said != "it ran\n" {
		t.Errorf("with the right one it said %q", said)
	}
}

func TestWhatNoMachineCanBootWithIsRefused(t *testing.T) {
	for want, change := range map[string]func(*cloudinit.Config){
		"there is no `sam` for arm64": func(c *cloudinit.Config) {},
		"no SHA-256": func(c *cloudinit.Config) {
			c.Programs[cloud.ARM64] = cloudinit.Download{URL: "https://x", SHA256: "abc"}
		},
		"no name of a node":       func(c *cloudinit.Config) { arm(c); c.Boot.Node = "Node; rm -rf /" },
		"the bootstrap token of":  func(c *cloudinit.Config) { arm(c); c.Boot.Token = "" },
		"is no address for nodes": func(c *cloudinit.Config) { arm(c); c.Boot.Gateway = "ftp://x" },
		"is no address of a program": func(c *cloudinit.Config) {
			c.Programs[cloud.ARM64] = cloudinit.Download{URL: "https://x/';id;'", SHA256: hash}
		},
	} {
		c := config()
		change(&c)
		if _, err := c.UserData(cloud.ARM64); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	c := config()
	c.Programs[cloud.AMD64] = cloudinit.Download{URL: "https://sam.example.com/" + strings.Repeat("x", cloud.MaxUserData), SHA256: hash}
	_, err := c.UserData(cloud.AMD64)
	var large cloud.UserDataError
	if !errors.As(err, &large) || large.Bytes <= cloud.MaxUserData || !strings.Contains(err.Error(), "Shorten") {
		t.Errorf("of what is too large: %v", err)
	}
}

func arm(c *cloudinit.Config) { c.Programs[cloud.ARM64] = c.Programs[cloud.AMD64] }
