package app

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"sam/sandbox/redis"
	"sam/sandbox/seed"
)

// process is a sam of its own.
type process struct {
	*exec.Cmd
	mu    sync.Mutex
	out   bytes.Buffer
	ended bool // by the test
}

// kill ends it as a machine does that loses its power.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.ended = true
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // it was killed, and says so
}

// end waits for one that was told to stop.
func (p *process) end() error {
	p.ended = true
	return p.Wait()
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// startSam starts the test binary as sam. At the test's end it is told to stop, and must end well.
func startSam(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(executable)}
	p.Args = append([]string{"sam"}, args...) // TestMain goes by this name
	p.Env = append(os.Environ(), env...)
	p.Stdout, p.Stderr = p, p
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.ended {
			return
		}
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("sam %v ended by itself: %v", args, err)
		}
		if err := p.Wait(); err != nil {
			t.Errorf("sam %v did not end well: %v", args, err)
		}
		if t.Failed() {
			t.Logf("sam %v said:\n%s", args, p.said())
		}
	})
	return p
}

// line waits for a line that holds words, and returns it.
func (p *process) line(t *testing.T, words string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	found := ""
	if err := until(ctx, func() (bool, error) {
		for lines := bufio.NewScanner(strings.NewReader(p.said())); lines.Scan(); {
			if strings.Contains(lines.Text(), words) {
				found = lines.Text()
			}
		}
		return found != "", nil
	}); err != nil {
		t.Fatalf("sam %v did not say %q", p.Args, words)
	}
	return found
}

func TestThePartsRunApartAsTheDocumentationSays(t *testing.T) {
	dir := t.TempDir()
	server, err := redis.Start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Stop() }()

	// The server's address is in the App's webhook, so it must be known before the server runs.
	public := freeAddress(t)
	hub := startSam(t, nil, "sandbox", "github", "--listen", "127.0.0.1:0", "--dir", dir, "--webhook", "http://"+public+"/api/github/hook")
	base := strings.TrimSpace(strings.TrimPrefix(hub.line(t, "GitHub's stand-in"), "GitHub's stand-in"))
	hub.line(t, "sam serve --config")
	serve := startSam(t, []string{
		"SAM_PUBLIC_LISTEN=" + public, "SAM_OPERATOR_LISTEN=127.0.0.1:0", "SAM_DASHBOARD_LISTEN=127.0.0.1:0",
		"SAM_REDIS_ADDRESS=" + server.Address, fmt.Sprintf("SAM_REDIS_ALLOW_LOSSY=%v", !server.Durable),
	}, "serve", "--config", filepath.Join(dir, "sam.yml"))
	serve.line(t, "SAM is ready to serve")
	node := startSam(t, []string{
		"SAM_GATEWAY=http://" + public, "SAM_TOKEN_FILE=" + filepath.Join(dir, "node-token"), "SAM_DIR=" + filepath.Join(dir, "node"), "SAM_WORKSPACE=process",
	}, "node")
	node.line(t, "linked to the gateway")

	// The installation was announced while nobody listened: the first request adopts the project all the same.
	client := &http.Client{Transport: newTransport()}
	defer client.CloseIdleConnections()
	issue := postComment(t, client, base, "/sam add rate limiting to /api/upload")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := until(ctx, func() (bool, error) {
		get, err := http.NewRequestWithContext(ctx, http.MethodGet, issue, nil)
		if err != nil {
			return false, err
		}
		response, err := client.Do(get)
		if err != nil {
			return false, err
		}
		defer response.Body.Close()
		page, err := io.ReadAll(response.Body)
		return bytes.Contains(page, []byte("SAM is done")), err
	}); err != nil {
		t.Errorf("the page does not say that it is done: %v", err)
	}
}

// postComment comments on the demo's issue as the maintainer does, and returns the issue's address.
func postComment(t *testing.T, client *http.Client, base, words string) string {
	t.Helper()
	issue := fmt.Sprintf("%s/%s/%s/issues/1", base, seed.Owner, seed.Repository)
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issue+"/comments", strings.NewReader(url.Values{"body": {words}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	post.Header.Set("Origin", base)
	response, err := client.Do(post)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("comment: %v, %v", response, err)
	}
	_ = response.Body.Close()
	return issue
}

// freeAddress is one that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := redis.FreePort(t.Context()) // which no outgoing connection takes before it is listened at
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func TestTheStandInsAppIsTheOneOfTheManifest(t *testing.T) {
	data, err := os.ReadFile("../app.yml")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Permissions map[string]string `yaml:"default_permissions"`
		Events      []string          `yaml:"default_events"`
	}
	if err := yaml.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"metadata": "read"}
	for name, access := range appPermissions() {
		want[name] = access
	}
	if fmt.Sprint(manifest.Permissions) != fmt.Sprint(want) || fmt.Sprint(manifest.Events) != fmt.Sprint(appEvents()) {
		t.Errorf("app.yml has %v and %v, the stand-in's App %v and %v", manifest.Permissions, manifest.Events, want, appEvents())
	}
}
