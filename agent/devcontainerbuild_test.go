package agent

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"sam/agent/devcontainer"
	"sam/agent/wire"
)

func TestABuildReachesWhatTheWorkspaceMayReachAndTheTokenIsNotInTheImage(t *testing.T) {
	t.Parallel()
	e := docker(t)
	o := newOutside(t, http.NotFoundHandler())
	fetch := "curl -sS http://deb.example.com/hello"
	y := e.repository(t, map[string]string{
		".devcontainer/devcontainer.json": `{"build": {"dockerfile": "Dockerfile", "args": {"HTTP_PROXY": "http://192.0.2.1:1"}}, "postCreateCommand": "` + fetch + ` >after"}`,
		".devcontainer/Dockerfile": fromDefault + "RUN " + fetch + " >/built\n" +
			"RUN ls /sys/class/net >/net; curl -sS -o /dev/null -w '%{http_code}' https://unlisted.example.com/ >>/net 2>&1; curl -sS --noproxy '*' -m 2 http://192.0.2.1/ >>/net 2>&1; true\n",
	}, `cat /built after; echo; cat /net`, func(n *Node) { n.workspaces.out.Resolver, n.workspaces.out.Dial = o, o.dial })
	f := y.work(func(s *wire.Start) {
		s.Network = &wire.Network{Policy: "registries", Hosts: []string{"deb.example.com"}}
	}).done(t)
	if !strings.HasPrefix(f.said, "hello from deb.example.comhello from deb.example.com\nlo\n") || !strings.Contains(f.said, "response 403") || strings.Contains(f.said, "eth0") {
		t.Errorf("it said %s, and was told %q", f.said, f.notices())
	}
	if !f.noticed("host_refused", "unlisted.example.com", "") {
		t.Errorf("what the build was refused is not told: %q", f.notices())
	}
	for _, name := range y.images() {
		history, err := e.client.ImageHistory(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range history {
			if strings.Contains(step.CreatedBy, taskToken) {
				t.Errorf("the token is in the image: %s", step.CreatedBy)
			}
		}
		one, err := e.client.ImageInspect(t.Context(), name)
		if err != nil || strings.Contains(strings.Join(one.Config.Env, " "), taskToken) {
			t.Errorf("the token is in the image's environment: %v", err)
		}
	}
	y.node.stop()
	noSecretOnDisk(t, f.dir)
}

func TestABuildHasTheLimitsOfAWorkspace(t *testing.T) {
	t.Parallel()
	e := docker(t)
	if os.Getuid() != 0 {
		t.Skip("SKIPPED, NOT TESTED: a node that is not root makes no control groups. Run as root")
	}
	y := e.repository(t, map[string]string{
		".devcontainer/devcontainer.json": `{"build": {"dockerfile": "Dockerfile"}}`,
		".devcontainer/Dockerfile": fromDefault + "RUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max >/memory 2>/dev/null; true\n" +
			"RUN (for i in $(seq 120); do sleep 1 & done) 2>/forks; grep -c -i 'fork' /forks >/refused; true\n",
	}, `cat /memory /refused`)
	y.node.stop()
	o := y.node.options
	o.Processes, o.Memory = 64, 300<<20
	y.node = startNode(y.g, o, func(n *Node) { n.drivers = newDrivers(scripted{`cat /memory /refused`}) })
	t.Cleanup(y.node.stop)
	f := y.work().done(t)
	words := strings.Fields(f.said)
	if len(words) != 2 || words[0] != "314572800" || words[1] == "0" {
		t.Errorf("a build saw %q, and it was told %q", f.said, f.notices())
	}
}

func TestAUserOfAnImageIsFoundByNameOrNumber(t *testing.T) {
	t.Parallel()
	all := []account{{"root", "/root", 0, 0}, {"dev", "/home/dev", 1000, 1001}}
	for name, want := range map[string]account{"dev": all[1], "1000": all[1], "0": all[0], "4711": {"4711", "", 4711, 4711}} {
		if got, ok := accountOf(all, name); !ok || got != want {
			t.Errorf("%s is %+v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"nobody", "-1", "99999999999", ""} {
		if got, ok := accountOf(all, name); ok {
			t.Errorf("%q is %+v", name, got)
		}
	}
}

func TestWhereTheTreeIsMountedFollowsWorkspaceFolder(t *testing.T) {
	t.Parallel()
	for said, want := range map[string][2]string{
		"": {"/workspace", "/workspace"}, "/workspaces/repo": {"/workspaces/repo", "/workspaces/repo"}, "/workspaces/repo/sub": {"/workspaces/repo", "/workspaces/repo/sub"},
		"/workspace/sub": {"/workspace", "/workspace/sub"}, "/src": {"/src", "/src"},
	} {
		m := &environment{folder: boxTree}
		m.place(said, "repo")
		if m.folder != want[0] || m.dir != want[1] {
			t.Errorf("%q: %s and %s", said, m.folder, m.dir)
		}
	}
}

func TestTheRepositorysVariablesComeBeforeSAMsOwn(t *testing.T) {
	t.Parallel()
	m := &environment{folder: boxTree, base: map[string]string{}, owner: boxOwner{uid: 7, name: "dev", home: "/home/dev"}, config: devcontainer.Config{
		ContainerEnv: map[string]string{"A": "1", "PATH": "/x:${containerEnv:PATH}"}, RemoteEnv: map[string]string{"B": "${containerEnv:A}2", "GIT_CONFIG_COUNT": "0"},
	}}
	m.fill([]string{"PATH=/bin"})
	if got := strings.Join(m.fixed, " "); got != "A=1 PATH=/x:/bin" {
		t.Errorf("the container has %s", got)
	}
	w := &dockerWorkspace{env: append(boxEnvironment(), "GIT_CONFIG_COUNT=4")}
	w.settleIn(box{environment: m})
	last := map[string]string{}
	for _, pair := range w.env {
		name, value, _ := strings.Cut(pair, "=")
		last[name] = value
	}
	for name, want := range map[string]string{"HOME": "/home/dev", "USER": "dev", "B": "12", "GIT_CONFIG_COUNT": "4", "CLAUDE_CONFIG_DIR": "/home/sam/.claude"} {
		if last[name] != want {
			t.Errorf("%s is %q", name, last[name])
		}
	}
}
