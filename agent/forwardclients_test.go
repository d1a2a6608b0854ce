package agent

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sam/agent/egress"
	"sam/agent/wire"
)

// guestbook is a resolver behind the proxy's door that notes whom it is asked for, and knows nobody.
type guestbook struct {
	mu    sync.Mutex
	names []string
}

func (g *guestbook) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.names = append(g.names, strings.TrimSuffix(host, "."))
	return nil, errors.New("there is no network here")
}

func (g *guestbook) asked() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.names)
}

// proxyClient is a program that has nothing but the environment of a workspace to find the proxy by, and the host that it asks for. {}
// in its arguments is its folder.
type proxyClient struct {
	command string
	host    string
	files   map[string]string
	env     []string
	heavy   bool // for SAM_CLIENTS=all alone
	java    bool // it cannot show the token, and finds the proxy in containers only
}

func proxyClients() []proxyClient {
	return []proxyClient{
		{command: "curl -sS https://pypi.org/", host: "pypi.org"},
		{command: "curl -sS http://deb.debian.org/", host: "deb.debian.org"},
		{command: "wget -t 1 -O - https://static.crates.io/x", host: "static.crates.io"},
		{command: "wget -t 1 -O - http://dl-cdn.alpinelinux.org/x", host: "dl-cdn.alpinelinux.org"},
		{command: "git ls-remote https://hex.pm/x.git", host: "hex.pm"},
		{command: "go mod download example.com/x@v1.0.0", host: "proxy.golang.org", files: map[string]string{"go.mod": "module m\n"},
			env: []string{"GOTOOLCHAIN=local", "GOPROXY=https://proxy.golang.org"}},
		{command: "npm view left-pad --fetch-retries=0", host: "registry.npmjs.org"},
		{command: "apt-get update -o Dir::Etc::SourceList={}/sources.list -o Dir::Etc::SourceParts={}/parts -o Dir::State={}/state -o Dir::Cache={}/cache -o Acquire::Retries=0 -o APT::Sandbox::User=root",
			host: "deb.debian.org", files: map[string]string{
				"sources.list": "deb [trusted=yes] http://deb.debian.org/debian bookworm main\n",
				"parts/x":      "", "state/lists/partial/x": "", "cache/archives/partial/x": "",
			}},
		{command: "python3 -m pip download --retries=0 --disable-pip-version-check --no-deps nothing-of-that-name", host: "pypi.org", heavy: true},
		{command: "cargo fetch --config net.retry=0", host: "index.crates.io", heavy: true, env: []string{"RUSTUP_HOME=" + os.Getenv("HOME") + "/.rustup"}, files: map[string]string{
			"Cargo.toml": "[package]\nname = \"m\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\nlibc = \"0.2\"\n", "src/lib.rs": "",
		}},
		{command: "mvn -q -B -Dmaven.repo.local={} dependency:get -Dartifact=a:b:1", host: "repo.maven.apache.org", heavy: true, java: true},
		{command: "gradle --no-daemon build", host: "repo.maven.apache.org", heavy: true, java: true, files: map[string]string{
			"settings.gradle": "", "build.gradle": "plugins { id 'java' }\nrepositories { mavenCentral() }\ndependencies { implementation 'a:b:1' }\n", "src/main/java/X.java": "class X {}\n",
		}},
		{command: "yarn npm info left-pad", host: "registry.yarnpkg.com", heavy: true, files: map[string]string{"package.json": "{}", "yarn.lock": ""}},
	}
}

func TestTheCommonToolsFindTheProxyByTheirEnvironment(t *testing.T) {
	t.Parallel()
	for _, c := range proxyClients() {
		name, _, _ := strings.Cut(c.command, " ")
		t.Run(name+" "+c.host, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(name)
			if err != nil {
				t.Skipf("SKIPPED, NOT TESTED: whether %s finds the proxy, for it is not on this machine", name)
			}
			if c.heavy && os.Getenv("SAM_CLIENTS") != "all" {
				t.Skipf("SKIPPED, NOT TESTED: whether %s finds the proxy, which takes long: SAM_CLIENTS=all tries it", name)
			}
			rules, err := egress.NewRules("open", nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			book := &guestbook{}
			f := forwarding(t, egress.Options{Rules: rules, Resolver: book})
			environment := proxyEnvironment(wire.Start{Network: &wire.Network{Policy: "open"}, Token: taskToken}, f.address)
			if c.java {
				f = forwardingBy(t, ways{Options: egress.Options{Rules: rules, Resolver: book}, alone: true})
				environment = []string{"MAVEN_OPTS=" + javaProxy(f.address), "GRADLE_OPTS=" + javaProxy(f.address)}
			}
			dir := t.TempDir()
			for file, text := range c.files {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, path, strings.Fields(strings.ReplaceAll(c.command, "{}", dir))[1:]...)
			cmd.Dir = dir
			cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, c.env, environment)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			cmd.WaitDelay = time.Second
			err = cmd.Run() // which fails, for nobody is there: what counts is that it was asked for, with the task's token
			if asked := book.asked(); !slices.Contains(asked, c.host) {
				t.Errorf("the proxy was asked for %v, and not for %s: %v\n%s", asked, c.host, err, out.String())
			}
		})
	}
}

// Nobody else can dial it, and Java's virtual machine has no property for a proxy's password.
func TestAContainersProxyServesWhoShowsNoTokenAndRefusesAWrongOne(t *testing.T) {
	t.Parallel()
	rules, err := egress.NewRules("registries", []string{"pypi.org"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	book := &guestbook{}
	f := forwardingBy(t, ways{Options: egress.Options{Rules: rules, Resolver: book}, alone: true})
	for header, status := range map[string]int{
		"": 502, "Proxy-Authorization: Bearer " + taskToken + "\r\n": 502, "Proxy-Authorization: Bearer guess\r\n": 407, "Proxy-Authorization:\r\n": 407,
	} {
		if response := f.ask(t, "CONNECT pypi.org:443 HTTP/1.1\r\nHost: pypi.org:443\r\n"+header+"\r\n"); response.StatusCode != status {
			t.Errorf("with %q: %s", header, response.Status)
		}
	}
	for request, status := range map[string]int{
		"CONNECT evil.example:443": 403, "GET http://evil.example/": 403, "GET /git/tmine/info/refs": 401, "GET /model/tmine/anthropic/v1/messages": 401, "GET /registry/pypi.org/": 401,
	} {
		if response := f.ask(t, request+" HTTP/1.1\r\nHost: pypi.org\r\n\r\n"); response.StatusCode != status {
			t.Errorf("%s without a token: %s", request, response.Status)
		}
	}
	if asked := book.asked(); !slices.Equal(asked, []string{"pypi.org", "pypi.org"}) {
		t.Errorf("asked for are %v", asked)
	}
}

// An agent prints its environment to see where it is. What it prints is on the page.
func TestTheTokenInTheEnvironmentIsNotInTheEvents(t *testing.T) {
	t.Parallel()
	set := openTestSpools(t, t.TempDir())
	defer set.close()
	s, err := set.create(wire.Ref{Task: "tenv", Epoch: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.hide(nil, taskToken)
	environment := strings.Join(proxyEnvironment(wire.Start{Network: &wire.Network{Policy: "registries"}, Token: taskToken}, "127.0.0.1:8470"), "\n")
	if err := s.append(said("I am here:\n" + environment)); err != nil {
		t.Fatal(err)
	}
	for _, e := range take(t, s, 1<<20) {
		if strings.Contains(e.Text, taskToken) || !strings.Contains(e.Text, "HTTPS_PROXY=http://sam:«task token»@127.0.0.1:8470") {
			t.Errorf("the event says %s", e.Text)
		}
	}
}
