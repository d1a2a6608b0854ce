package agent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"sam/agent/devcontainer"
	"sam/agent/wire"
	"sam/task"
)

// server is a program that answers each connection with what it was given to say, and is healthy once it listens.
const server = `import os, socket, sys, time
time.sleep(float(os.environ.get("AFTER", "0")))
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", int(os.environ["PORT"]))); s.listen(8)
print("listening", flush=True)
while True:
    c, _ = s.accept(); c.sendall((os.environ["SAYS"] + "\n").encode()); c.close()
`

// asks is a shell function that prints what a server at a name and a port says.
const asks = `asks() { python3 -c 'import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5); print(s.makefile().readline().strip())' "$@"; }
`

// composed is a repository whose devcontainer is the service app of a compose file, beside others.
func composed(app, others string) map[string]string {
	return map[string]string{
		".devcontainer/devcontainer.json": `{"dockerComposeFile": "../compose.yml", "service": "app"}`,
		"compose.yml":                     "services:\n  app:\n    image: " + DefaultImage + "\n" + app + others + "volumes: {data: {}}\n",
		"db/Dockerfile":                   fromDefault + "COPY serve.py /serve.py\nCMD [\"python3\", \"/serve.py\"]\n",
		"db/serve.py":                     server,
	}
}

// db is the service of that name, which takes a moment to be healthy.
const db = `  db:
    build: ./db
    environment: {PORT: 5432, SAYS: "the database", AFTER: "0.5"}
    healthcheck: {test: [CMD, python3, -c, "import socket; socket.create_connection(('localhost', 5432), 1)"], interval: 500ms, retries: 40}
    volumes: ["data:/var/lib/data"]
`

// besides are the containers of a node's services, by their names.
func (e testEngine) besides(t *testing.T, dir string) map[string]container.InspectResponse {
	t.Helper()
	all, err := e.client.ContainerList(t.Context(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", labelFolder+"="+dir), filters.Arg("label", labelService))})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]container.InspectResponse{}
	for _, one := range all {
		c, err := e.client.ContainerInspect(t.Context(), one.ID)
		if err != nil {
			t.Fatal(err)
		}
		found[one.Labels[labelService]] = c
	}
	return found
}

// gone fails the test when containers of a node are left.
func (e testEngine) gone(t *testing.T, dir string) {
	t.Helper()
	if left := e.ofNode(t, dir); len(left) > 0 {
		t.Errorf("containers are left: %+v", left)
	}
}

// notesOf are what the environment's step has said while it was made.
func (f furnished) notesOf() string {
	var all []string
	for _, e := range f.events {
		if e.Step != nil && e.Step.Name == task.StepEnvironment {
			all = append(all, e.Step.Note)
		}
	}
	return strings.Join(all, "\n")
}

func TestAServiceOfAComposeFileIsReachedByItsNameOnceItIsHealthyAndGoesWithTheAttempt(t *testing.T) {
	t.Parallel()
	e := docker(t)
	y := e.repository(t, composed("    depends_on:\n      db: {condition: service_healthy}\n      web: {condition: service_started}\n", db+`  seed:
    image: `+DefaultImage+`
    command: [sh, -c, "sleep 0.2; echo seeded"]
  web:
    image: `+DefaultImage+`
    command: sh -c 'sleep 1000'
    depends_on:
      seed: {condition: service_completed_successfully}
`), asks+`asks db 5432; asks localhost 5432; grep -c 127.0.0.1.web /etc/hosts; (curl -s -m 2 http://192.0.2.1 || echo no network); ls /var/lib/data 2>&1 | grep -c data`)
	for range 2 { // the second has the image
		f := y.work().done(t)
		if want := "the database\nthe database\n1\nno network\n1\n"; f.said != want {
			t.Errorf("it said %q, and was told %q", f.said, f.notices())
		}
		if got := f.notices(); len(got) > 0 {
			t.Errorf("it was told %q", got)
		}
		for _, want := range []string{"the service db has started", "the service db is healthy after", "the service seed has done its work", "beside it seed, db, web"} {
			if want == "beside it seed, db, web" {
				want = "beside it db, seed, web"
			}
			if !strings.Contains(f.notesOf(), want) {
				t.Errorf("%q is not in %s", want, f.notesOf())
			}
		}
		e.gone(t, f.dir)
	}
}

func TestAServiceIsGivenNoMoreThanItsWorkspace(t *testing.T) {
	t.Parallel()
	e := docker(t)
	y := e.repository(t, composed("", db+"    privileged: true\n    network_mode: host\n    pid: host\n    cap_add: [ALL]\n    devices: ['/dev/kmsg']\n    user: \"0:0\"\n"), `echo up >up; while [ ! -e /tmp/go ]; do sleep 0.1; done`,
		func(n *Node) { n.options.Memory, n.options.Processes = 512<<20, 100 })
	s := start(y.g, "tgiven", 1, "anything")
	s.Rewrite = true
	y.g.command(frame(s))
	y.g.await("its service", func() bool {
		return slices.ContainsFunc(y.g.events[s.Ref], func(e task.Event) bool {
			return e.Step != nil && e.Step.Name == task.StepEnvironment && !e.Step.UnderWay
		})
	})
	c, ok := e.besides(t, y.node.options.Dir)["db"]
	if !ok {
		t.Fatal("it does not run")
	}
	host := c.HostConfig
	if host.Privileged || host.PidMode != "" || !strings.HasPrefix(string(host.NetworkMode), "container:") || len(host.Devices) > 0 || len(host.Binds) > 0 || len(host.Mounts) > 0 || len(host.PortBindings) > 0 ||
		string(host.IpcMode) != "private" || host.UTSMode != "" || host.UsernsMode != "" {
		t.Errorf("it has %+v", host)
	}
	if !slices.Equal(host.CapDrop, []string{"ALL"}) || !slices.Equal(slices.Sorted(slices.Values(withoutCap(host.CapAdd))), sudoCapabilities()) || !slices.Equal(host.SecurityOpt, []string{"no-new-privileges"}) {
		t.Errorf("it may %v but %v, with %v", host.CapAdd, host.CapDrop, host.SecurityOpt)
	}
	for _, one := range c.Mounts {
		if one.Type != "volume" {
			t.Errorf("it is shown %+v", one)
		}
	}
	for _, pair := range c.Config.Env {
		if strings.Contains(pair, s.Token) {
			t.Errorf("it has the task's token, in %s", pair)
		}
	}
	inside, err := e.client.ContainerInspect(t.Context(), y.node.workspaces.engine.name(s.Thread))
	if err != nil {
		t.Fatal(err)
	}
	if host.Memory == 0 || host.Memory+inside.HostConfig.Memory > y.node.workspaces.engine.memory || host.MemorySwap != host.Memory {
		t.Errorf("it has %d bytes of memory, and the workspace %d", host.Memory, inside.HostConfig.Memory)
	}
	if host.PidsLimit == nil || *host.PidsLimit > y.node.workspaces.engine.processes || host.NanoCPUs == 0 || host.LogConfig.Config["max-size"] == "" {
		t.Errorf("it is limited to %+v", host.Resources)
	}
	volumes := c.Mounts
	y.g.command(wire.Frame{Type: wire.TypeStop, Stop: &wire.Stop{Ref: s.Ref, Reason: "enough"}})
	if end := last(y.g.finished(s.Ref)); end.Outcome != task.Stopped {
		t.Errorf("it ended with %+v", end)
	}
	e.gone(t, y.node.options.Dir)
	for _, one := range volumes {
		if _, err := e.client.VolumeInspect(t.Context(), one.Name); err == nil {
			t.Errorf("its storage %s is left", one.Name)
		}
	}
}

func withoutCap(all []string) []string {
	var found []string
	for _, one := range all {
		found = append(found, strings.TrimPrefix(one, "CAP_"))
	}
	return found
}

func TestWithAServiceThatCannotBeHadTheWorkGoesOnInTheDefaultImageWithoutTheOthers(t *testing.T) {
	t.Parallel()
	e := docker(t)
	const other = "  other:\n    image: " + DefaultImage + "\n    command: sleep 1000\n"
	for name, row := range map[string]struct{ needs, service, words string }{
		"one that ends":                    {"service_healthy", "    image: " + DefaultImage + "\n    command: [sh, -c, 'echo cannot open its files; exit 3']\n    healthcheck: {test: 'true'}\n", "has ended, with exit code 3.\n\nThe end of its log"},
		"one that fails its work":          {"service_completed_successfully", "    image: " + DefaultImage + "\n    command: [sh, -c, 'echo cannot open its files; exit 4']\n", "cannot open its files"},
		"one that is not healthy":          {"service_healthy", "    image: " + DefaultImage + "\n    command: sleep 1000\n    healthcheck: {test: 'echo not so well; exit 1', interval: 500ms, retries: 1}\n", "is unhealthy, as its healthcheck says: not so well"},
		"one without a healthcheck":        {"service_healthy", "    image: " + DefaultImage + "\n    command: sleep 1000\n", "has no healthcheck"},
		"one whose command is not there":   {"service_started", "    image: " + DefaultImage + "\n    command: [/no/such/program]\n", "Start the service db"},
		"one whose image is not to be had": {"service_started", "    image: registry.example.com/db:1\n", "images are not fetched from registry.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := e.repository(t, composed("    environment: {KEPT: kept}\n    depends_on:\n      db: {condition: "+row.needs+"}\n", "  db:\n"+row.service+other), `echo "$KEPT."; grep -c db /etc/hosts`).work()
			if f.said != ".\n0\n" {
				t.Errorf("it said %q", f.said)
			}
			if text := strings.Join(f.notices(), "\n"); !strings.Contains(text, row.words) || !strings.Contains(text, "The work goes on in the node's default image") || !strings.Contains(text, "service db") {
				t.Errorf("it was told %s", text)
			}
			e.gone(t, f.dir)
		})
	}
}

func TestAServiceThatEndsWhileTheAgentWorksIsToldOnceWithItsLastWords(t *testing.T) {
	t.Parallel()
	e := docker(t)
	f := e.repository(t, composed("", `  db:
    image: `+DefaultImage+`
    command: [python3, -c, "import socket; s = socket.socket(); s.bind(('', 5432)); s.listen(); s.accept(); print('it fell over'); exit(7)"]
    healthcheck: {test: 'python3 -c "import socket; s = socket.socket(); s.bind((\"\", 5432))" && exit 1 || exit 0', interval: 500ms, retries: 40}
`), `python3 -c 'import socket, time
while True:
    try: s = socket.create_connection(("db", 5432), 1); break
    except OSError: time.sleep(0.1)
s.recv(1); time.sleep(2)'; echo on`).work().done(t)
	told := slices.DeleteFunc(f.notices(), func(one string) bool { return !strings.HasPrefix(one, codeService) })
	if f.said != "on\n" || len(told) != 1 || !strings.HasPrefix(told[0], codeService+" db: The service db has ended, with exit code 7.") || !strings.Contains(told[0], "it fell over") {
		t.Errorf("it said %q and was told %q", f.said, f.notices())
	}
}

func TestAServiceThatFloodsForksAndTakesMemoryIsContained(t *testing.T) {
	t.Parallel()
	e := docker(t)
	y := e.repository(t, composed("", `  flood:
    image: `+DefaultImage+`
    command: [sh, -c, "while true; do echo flooding flooding flooding; done"]
  fork:
    image: `+DefaultImage+`
    command: [python3, -c, "import os, time\nn = 0\ntry:\n  while n < 5000:\n    n += 1\n    if os.fork() == 0: time.sleep(1000)\nexcept OSError: print('refused after', n, flush=True)\ntime.sleep(1000)"]
  greed:
    image: `+DefaultImage+`
    command: [python3, -c, "x = []\nwhile True: x.append(bytearray(1 << 20))"]
`), `sleep 2; echo still here`, func(n *Node) { n.options.Memory, n.options.Processes = 768<<20, 200 })
	f := y.work().done(t)
	if f.said != "still here\n" || !f.noticed(codeService, "greed", "it had no memory left") {
		t.Errorf("it said %q and was told %q", f.said, f.notices())
	}
	e.gone(t, f.dir)
}

func TestAServiceThatFillsTheDiskCountsAsItsWorkspace(t *testing.T) {
	t.Parallel()
	e := docker(t)
	y := e.repository(t, composed("", `  greedy:
    user: root
    image: `+DefaultImage+`
    command: [sh, -c, "dd if=/dev/zero of=/data/file bs=1M count=200 2>/dev/null; sleep 1000"]
    volumes: ["data:/data"]
`), `sleep 100`, func(n *Node) { n.disk.limit = 100 << 20 })
	f := y.work()
	if f.end.Outcome != task.GaveUp || !strings.Contains(f.end.Reason, "of the node's disk") {
		t.Errorf("it ended with %+v; %q", f.end, f.notices())
	}
	e.gone(t, f.dir)
}

func TestANodeThatRestartsKeepsTheServicesOfAnAttemptAndRemovesThoseOfOthers(t *testing.T) {
	t.Parallel()
	e := docker(t)
	script := scripted{asks + `asks db 5432; echo waiting; while [ ! -e /tmp/go ]; do sleep 0.05; done; asks db 5432`}
	y := e.repository(t, composed("    depends_on:\n      db: {condition: service_healthy}\n", db), script.script)
	s := start(y.g, "tkeeps", 1, "anything")
	s.Rewrite = true
	y.g.command(frame(s))
	y.g.await("the agent's start", func() bool {
		return slices.ContainsFunc(y.g.events[s.Ref], func(e task.Event) bool {
			return e.Step != nil && e.Step.Name == task.StepEnvironment && !e.Step.UnderWay
		})
	})
	engine := y.node.workspaces.engine
	inBox := func(command string) error {
		exit, err := e.exec(t, engine.name(s.Thread), command)
		if err == nil && exit != 0 {
			err = errors.New("it failed")
		}
		return err
	}
	y.g.await("the agent at work", func() bool { return inBox("pgrep -f '[/]tmp/go' || grep -l '/tmp/go' /proc/[0-9]*/cmdline") == nil })
	y.node.stop()
	before := e.besides(t, y.node.options.Dir)
	if len(before) != 1 || !before["db"].State.Running {
		t.Fatalf("while no node runs there are %v", before)
	}
	// One of an attempt that nobody goes on with.
	stray, err := e.client.ContainerCreate(t.Context(), &container.Config{Image: DefaultImage, Cmd: []string{"true"}, Labels: map[string]string{
		labelNode: "node-1", labelFolder: y.node.options.Dir, labelThread: "7-99", labelTask: "tother", labelEpoch: "1", labelService: "stray",
	}}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	y.node = startNode(y.g, y.node.options, func(n *Node) { n.drivers = newDrivers(script) })
	y.g.await("its going on", func() bool { return len(y.g.hellos) > 1 && inBox("touch /tmp/go") == nil })
	f := furnished{events: y.g.finished(s.Ref)}
	if end := last(f.events); end.Outcome != task.Done {
		t.Fatalf("it ended with %+v; %q", end, f.notices())
	}
	if !slices.ContainsFunc(f.events, func(e task.Event) bool { return e.Text == "said: the database\nwaiting\nthe database\n" }) {
		t.Errorf("the events are %+v", f.events)
	}
	if _, err := e.client.ContainerInspect(t.Context(), stray.ID); err == nil {
		t.Error("the other attempt's service is left")
		_ = e.client.ContainerRemove(context.Background(), stray.ID, container.RemoveOptions{Force: true})
	}
	e.gone(t, y.node.options.Dir)
}

// exec runs a shell's command in a container, beside its shim.
func (e testEngine) exec(t *testing.T, name, command string) (int, error) {
	t.Helper()
	made, err := e.client.ContainerExecCreate(t.Context(), name, container.ExecOptions{Cmd: []string{"sh", "-c", command}, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return 0, err
	}
	stream, err := e.client.ContainerExecAttach(t.Context(), made.ID, container.ExecAttachOptions{})
	if err != nil {
		return 0, err
	}
	defer stream.Close()
	if _, err := stream.Reader.WriteTo(discarded{}); err != nil {
		return 0, err
	}
	done, err := e.client.ContainerExecInspect(t.Context(), made.ID)
	return done.ExitCode, err
}

type discarded struct{}

func (discarded) Write(p []byte) (int, error) { return len(p), nil }

func TestServicesOfHeadsThatNobodyVouchesForAreBuiltApartAndTheirImagesGo(t *testing.T) {
	t.Parallel()
	e := docker(t)
	y := e.repository(t, composed("    depends_on:\n      db: {condition: service_healthy}\n", db), asks+`asks db 5432`)
	f := y.work(func(s *wire.Start) { s.Untrusted = true }).done(t)
	if f.said != "the database\n" || len(y.images()) > 0 {
		t.Errorf("it said %q, and left %v; %q", f.said, y.images(), f.notices())
	}
	if f := y.work().done(t); f.said != "the database\n" || len(y.images()) != 1 {
		t.Errorf("then it said %q, and there are %v", f.said, y.images())
	}
}

func TestTwoServicesWhoseImagesListenOnOnePortAreTold(t *testing.T) {
	t.Parallel()
	one := service{devcontainer.Service{Name: "one"}, builtImage{ports: []string{"5432", "80"}}}
	two := service{devcontainer.Service{Name: "two"}, builtImage{ports: []string{"5432"}}}
	three := service{devcontainer.Service{Name: "three", Ports: []string{"5433"}}, builtImage{ports: []string{"5432"}}}
	got := exposed([]service{one, two, three})
	if len(got) != 1 || !strings.Contains(got[0].Text, "two and one both listen on the port 5432") {
		t.Errorf("it was told %+v", got)
	}
}
