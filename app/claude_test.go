package app

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sam/agent"
	"sam/task"
)

// needsContainers skips a test where no container can run, and unsets what would reach the real model.
func needsContainers(t *testing.T) {
	t.Helper()
	needsClaude(t)
	if out, err := exec.CommandContext(t.Context(), "docker", "image", "inspect", agent.DefaultImage).CombinedOutput(); err != nil {
		t.Skipf("NO CONTAINER ENGINE WITH THE IMAGE OF WORKSPACES ANSWERS, SO NO REAL AGENT RAN IN A CONTAINER: `make tools` as root on Debian prepares both (%s)", bytes.TrimSpace(out))
	}
}

func needsClaude(t *testing.T) {
	t.Helper()
	t.Setenv("ANTHROPIC_API_KEY", "") // the tests ask the scripted model only
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("NO npm IS INSTALLED TO FETCH CLAUDE CODE WITH, SO NO REAL AGENT RAN")
	}
}

// staticSam builds the program that is mounted into containers: the test binary needs a C library.
func staticSam(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sam")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", path, "sam")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build sam for containers: %v\n%s", err, out)
	}
	return path
}

func inContainers(t *testing.T, o worldOptions, use func(t *testing.T, w *world)) {
	t.Helper()
	needsContainers(t)
	o.agent, o.binary = "claude", staticSam(t)
	inWorldOf(t, o, use)
}

func TestTheRealAgentInAContainerIsWatchedToItsPullRequest(t *testing.T) {
	inContainers(t, worldOptions{}, func(t *testing.T, w *world) {
		page := browse(t, 1280, 900)
		done := page.watch(w, "add rate limiting to /api/upload")
		s := summary{Commits: []string{}}
		if err := w.verify(done, &s); err != nil {
			t.Fatalf("%v: %+v", err, done)
		}
		if done.Workspace != agent.KindDocker || done.Agent != "claude" || done.Spent.Requests == 0 || done.Spent.MicroUSD == 0 {
			t.Errorf("ended as %+v", done)
		}
		page.says("docker", "claude", "go test ./...", "Pull request #2", "$")
		if len(w.comments(t, 1, "sam:closing:", "tokens in")) != 1 {
			t.Errorf("the closing comment does not tell the cost: %+v", w.comments(t, 1))
		}
		page.picture("claude")
		if !strings.Contains(done.Summary, "scripted stand-in") || len(w.comments(t, 1, "sam:closing:", "A scripted stand-in for a model did this")) != 1 {
			t.Errorf("nothing says that no model did it: %+v", w.comments(t, 1))
		}
		gapFree(t, w, done)
		clone := filepath.Join(t.TempDir(), "clone")
		w.git(t, "", "clone", "--quiet", "--branch", done.Branch, w.cloneURL(), clone)
		tests := exec.CommandContext(t.Context(), "go", "test", "./...")
		tests.Dir = clone
		if out, err := tests.CombinedOutput(); err != nil {
			t.Errorf("the branch's tests fail: %v\n%s", err, out)
		}
	})
}

func TestADemoThatIsStoppedInMidTaskLeavesNoContainer(t *testing.T) {
	folder := ""
	containers := func() string {
		out, err := exec.Command("docker", "ps", "--all", "--quiet", "--filter", "label=sam.folder="+folder).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	inContainers(t, worldOptions{}, func(t *testing.T, w *world) {
		folder = filepath.Join(w.dir, "node")
		w.say(t, maintainer, 1, "/sam scenario hang")
		w.started(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := until(ctx, func() (bool, error) { return containers() != "", nil }); err != nil {
			t.Fatal(err)
		}
	})
	if left := containers(); left != "" {
		t.Errorf("the containers %s are left", left)
	}
}

func TestAWrongModelKeyIsToldAsWhatItIs(t *testing.T) {
	inContainers(t, worldOptions{key: "sk-ant-of-somebody-else-9QzX"}, func(t *testing.T, w *world) {
		w.say(t, maintainer, 1, "/sam add rate limiting to /api/upload")
		done := w.ends(t, 1)[0]
		if done.State != task.Failed || !strings.Contains(done.Failure, "key") || strings.Contains(done.Failure, "sk-ant") {
			t.Errorf("ended as %+v", done)
		}
	})
}

func TestAnAgentThatOnlyClaimsToBeDoneIsNotBelieved(t *testing.T) {
	inContainers(t, worldOptions{}, func(t *testing.T, w *world) {
		w.say(t, maintainer, 1, "/sam scenario noop")
		if done := w.ends(t, 1)[0]; done.State != task.Failed || !strings.Contains(done.Failure, "committed nothing") {
			t.Errorf("ended as %+v", done)
		}
	})
}

func TestARequestThatTheScriptedModelDoesNotKnowChangesNothingAndSaysSo(t *testing.T) {
	inContainers(t, worldOptions{}, func(t *testing.T, w *world) {
		for i, try := range []struct{ request, says string }{
			{"make me a sandwich", "I am a scripted stand-in for a model: I understand nothing and have no script for this request"},
			{"scenario nonesuch", "have no scenario `nonesuch`; the nearest name is `noop`"},
		} {
			w.say(t, maintainer, 1, "/sam "+try.request)
			done := w.ends(t, i+1)[i]
			if done.State != task.Failed || done.Pull != 0 || done.Head != "" || !strings.Contains(done.Failure, "committed nothing") {
				t.Errorf("%s: ended as %+v", try.request, done)
			}
			if words := w.said(t, done.ID); !strings.Contains(words, try.says) {
				t.Errorf("%s: the agent said %q", try.request, words)
			}
		}
	})
}

// said is all that a task's agent said.
func (w *world) said(t *testing.T, id task.ID) string {
	t.Helper()
	events, err := w.server.store.Events(t.Context(), id, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	var words strings.Builder
	for _, e := range events {
		parsed, err := task.ParseEvent(e.JSON)
		if err != nil {
			t.Fatal(err)
		}
		if parsed.Kind == task.Said {
			words.WriteString(parsed.Text + "\n")
		}
	}
	return words.String()
}

func TestWithoutAnEngineARealAgentIsRefusedUnlessIsolationIsGivenUp(t *testing.T) {
	needsClaude(t)
	nowhere := worldOptions{agent: "claude", engine: "unix:///nonexistent/engine.sock"}
	inWorldOf(t, nowhere, func(t *testing.T, w *world) {
		w.say(t, maintainer, 1, "/sam add rate limiting to /api/upload")
		done := w.ends(t, 1)[0]
		if done.State != task.Failed || !strings.Contains(done.Failure, unsafeFlag) || len(w.comments(t, 1, "sam:closing:", unsafeFlag)) != 1 {
			t.Errorf("ended as %+v", done)
		}
	})
	nowhere.unsafe = true
	inWorldOf(t, nowhere, func(t *testing.T, w *world) {
		w.say(t, maintainer, 1, "/sam add rate limiting to /api/upload")
		done := w.ends(t, 1)[0]
		if done.State != task.Succeeded || done.Workspace != agent.KindProcess {
			t.Errorf("ended as %+v", done)
		}
		if len(w.comments(t, 1, "sam:status:", "not isolated")) != 1 || len(w.comments(t, 1, "sam:closing:", "not isolated")) != 1 {
			t.Errorf("the comments do not say that nothing was isolated: %+v", w.comments(t, 1))
		}
	})
}
