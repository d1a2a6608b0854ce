package container

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheEnginesOwnClientWorksThroughAMachinesDoor(t *testing.T) {
	w := begin(t)
	root := t.TempDir() // stands for a machine's root file system
	if err := os.WriteFile(filepath.Join(root, "word"), []byte("from the machine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "d.sock")
	prefix := fmt.Sprintf("door-%d-%d-", os.Getpid(), time.Now().UnixNano())
	d, err := openDoor(t.Context(), socket, "/var/run/docker.sock", prefix, w.label+"-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	d.setRoot(root)
	docker := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "docker", append([]string{"--host", "unix://" + socket}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("docker %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	// Attached streams are no HTTP any more once they have begun.
	got := docker("typed\n", "run", "--rm", "--interactive", "--network", "none", "--volume", "/word:/word:ro",
		"--mount", "type=bind,source=/word,target=/again,readonly,bind-propagation=rprivate", "sam-workspace:latest", "cat", "/word", "/again", "-")
	if got != "from the machine\nfrom the machine\ntyped\n" {
		t.Errorf("got %q", got)
	}
	docker("", "run", "--detach", "--init", "--name", "kept", "--network", "none", "--label", "a=b", "sam-workspace:latest", "sleep", "infinity")
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "rm", "--force", prefix+"kept").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	if got := docker("said", "exec", "--interactive", "kept", "cat"); got != "said" {
		t.Errorf("got %q", got)
	}
	for filter, want := range map[string]string{"label=a=b": prefix + "kept", "label=a=c": ""} {
		if got := docker("", "ps", "--format", "{{.Names}}", "--filter", filter); strings.TrimSpace(got) != want {
			t.Errorf("filtered by %s there is %q", filter, got)
		}
	}
	if got := docker("", "inspect", "--format", `{{index .Config.Labels "`+label+`"}} {{index .Config.Labels "a"}}`, "kept"); strings.TrimSpace(got) != strings.TrimPrefix(w.label, label+"=")+"-1 b" {
		t.Errorf("its labels are %q", got)
	}
}

func TestAPrefixIsOnesAtATimeAndWhatWasLeftUnderItIsRemoved(t *testing.T) {
	w := begin(t)
	prefix := strings.TrimPrefix(w.label, label+"=")
	if _, err := New(t.Context(), Options{Prefix: prefix}); err == nil || !strings.Contains(err.Error(), "choose another") {
		t.Errorf("a second one was made: %v", err)
	}
	left := func(value string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "docker", "create", "--label", label+"="+value, "sam-workspace:latest").Output()
		if err != nil {
			t.Fatal(err)
		}
		id := strings.TrimSpace(string(out))
		t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", id).Run() })
		return id
	}
	mine, other := left(prefix+"x-7"), left(prefix+"x-y-7")
	e, err := New(t.Context(), Options{Prefix: prefix + "x"})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	out, err := exec.CommandContext(t.Context(), "docker", "ps", "--all", "--quiet", "--no-trunc").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), mine) || !strings.Contains(string(out), other) {
		t.Errorf("of %s and %s there are %s", mine, other, out)
	}
	if _, err := New(t.Context(), Options{Prefix: prefix + "z", Image: "no-such-image"}); err == nil || !strings.Contains(err.Error(), "name another image") {
		t.Errorf("without its image: %v", err)
	}
}

func TestAMachinesContainerIsDescribedInAMegabyteOrLess(t *testing.T) {
	d := &door{prefix: "m-", label: "a=b"}
	for size, want := range map[int]string{1 << 10: "", 1 << 20: "read the container that is to be made"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://engine/v1.41/containers/create?name=kept",
			strings.NewReader(`{"Image":"`+strings.Repeat("i", size)+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		switch err := d.rewrite(req); {
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%d bytes: %v, want %q", size, err, want)
		case want == "" && (err != nil || req.URL.Query().Get("name") != "m-kept"):
			t.Errorf("%d bytes: %v, name %q", size, err, req.URL.Query().Get("name"))
		}
	}
}
