package model_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sam/sandbox/seed"
)

// offer makes a tool whose parameters are all texts and required.
func offer(name string, params ...string) object {
	properties := object{}
	for _, p := range params {
		properties[p] = object{"type": "string"}
	}
	return object{"name": name, "description": "does what its name says",
		"input_schema": object{"type": "object", "properties": properties, "required": params}}
}

// claudes are tools as Claude Code has them; othersTools as OpenCode has.
func claudes() []object {
	return []object{offer("Bash", "command", "description"), offer("Read", "file_path"), offer("Write", "file_path", "content"),
		offer("Edit", "file_path", "old_string", "new_string")}
}

func others() []object {
	return []object{offer("bash", "command"), offer("read", "filePath"), offer("write", "content", "filePath"),
		offer("edit", "filePath", "oldString", "newString")}
}

// agent runs the loop of a coding agent: it asks, does what it is told in dir, and tells what came of it.
type agent struct {
	client   *client
	dir      string
	tools    []object
	thinking object
	messages []object
	uses     int
	// instead answers a tool in the agent's place when it returns true.
	instead func(name, input string) (text string, failed, is bool)
}

// run has one request worked on to its end, and returns the last message.
func (a *agent) run(t *testing.T, text string) *said {
	t.Helper()
	a.messages = append(a.messages, object{"role": "user", "content": text})
	for range 50 {
		body := object{"model": "claude-opus-5-5", "max_tokens": 32000, "messages": a.messages}
		if a.tools != nil {
			body["tools"] = a.tools
		}
		if a.thinking != nil {
			body["thinking"] = a.thinking
		}
		m := a.client.ask(t, body)
		a.messages = append(a.messages, object{"role": "assistant", "content": m.Content})
		if m.Stop != "tool_use" {
			if len(m.uses()) > 0 {
				t.Fatalf("stop_reason %s with tools to use", m.Stop)
			}
			return m
		}
		var results []object
		for _, use := range m.uses() {
			a.uses++
			text, failed := a.use(t, use)
			results = append(results, object{"type": "tool_result", "tool_use_id": use.ID, "content": text, "is_error": failed})
		}
		a.messages = append(a.messages, object{"role": "user", "content": results})
	}
	t.Fatal("no end after 50 messages")
	return nil
}

func (a *agent) use(t *testing.T, use part) (text string, failed bool) {
	t.Helper()
	if a.instead != nil {
		if text, failed, is := a.instead(use.Name, string(use.Input)); is {
			return text, failed
		}
	}
	var in map[string]string
	if err := json.Unmarshal(use.Input, &in); err != nil {
		t.Fatal(err)
	}
	path := in["file_path"] + in["filePath"]
	switch strings.ToLower(use.Name) {
	case "bash":
		cmd := exec.CommandContext(t.Context(), "bash", "-c", in["command"])
		cmd.Dir = a.dir
		out, err := cmd.CombinedOutput()
		return string(out), err != nil
	case "read":
		b, err := os.ReadFile(path)
		return string(b), err != nil
	case "write":
		return "written", os.WriteFile(path, []byte(in["content"]), 0o644) != nil
	case "edit":
		b, err := os.ReadFile(path)
		old := in["old_string"] + in["oldString"]
		if err != nil || strings.Count(string(b), old) != 1 {
			return "the text occurs not once", true
		}
		return "edited", os.WriteFile(path, []byte(strings.Replace(string(b), old, in["new_string"]+in["newString"], 1)), 0o644) != nil
	}
	t.Fatalf("a tool that was not offered: %s", use.Name)
	return "", true
}

const goFlags = "-trimpath -buildvcs=false"

// quayside makes the demo repository with one commit, and returns its folder.
func quayside(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	// Without paths in what it builds, go builds the same files in another folder no second time.
	t.Setenv("GOFLAGS", goFlags)
	for name, text := range seed.Files() {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "init", "-q", "-b", "main")
	git(t, dir, "config", "user.name", "A Tester")
	git(t, dir, "config", "user.email", "tester@example.com")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "Begin")
	return dir
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	return command(t, dir, "git", args...)
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// checkWorked checks that the work in dir is done: one commit more, nothing left over, and the tests pass.
func checkWorked(t *testing.T, dir string) {
	t.Helper()
	if n := git(t, dir, "rev-list", "--count", "HEAD"); n != "2" {
		t.Errorf("%s commits, want 2", n)
	}
	if left := git(t, dir, "status", "--porcelain"); left != "" {
		t.Errorf("not committed:\n%s", left)
	}
	if files := git(t, dir, "show", "--name-only", "--format=", "HEAD"); files != "README.md\nhandler.go\nratelimit.go\nratelimit_test.go" {
		t.Errorf("the commit changes\n%s", files)
	}
	if left := command(t, dir, "gofmt", "-l", "."); left != "" {
		t.Errorf("not formatted: %s", left)
	}
	command(t, dir, "go", "vet", "./...")
	command(t, dir, "go", "test", "./...")
}

// checkUntouched checks that nothing was done in dir.
func checkUntouched(t *testing.T, dir string) {
	t.Helper()
	if n := git(t, dir, "rev-list", "--count", "HEAD"); n != "1" {
		t.Errorf("%s commits, want 1", n)
	}
	if left := git(t, dir, "status", "--porcelain"); left != "" {
		t.Errorf("changed:\n%s", left)
	}
}
