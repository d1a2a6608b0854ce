package container

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"sam/sandbox/hetzner"
)

// world is a stand-in that boots, and a listener on the host for machines to call.
type world struct {
	*hetzner.Server
	client *hcloud.Client
	calls  chan call
	home   string // host and port of the listener
	label  string
}

// call is what a machine said, and from where.
type call struct{ from, path string }

// begin starts a stand-in with machines, or skips loudly.
func begin(t *testing.T) *world {
	t.Helper()
	t.Parallel() // they wait for the engine most of the time
	if testing.Short() {
		t.Skip("SKIPPED, NOT TESTED: -short leaves out machines that boot. Run without -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, NOT TESTED: no machine was booted, for that needs root")
	}
	w := &world{calls: make(chan call, 100)}
	home := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		w.calls <- call{from, r.URL.Path}
	}))
	t.Cleanup(home.Close)
	w.home = home.Listener.Addr().String()
	prefix := fmt.Sprintf("test-%d-%d", os.Getpid(), time.Now().UnixNano())
	w.label = label + "=" + prefix
	engine, err := New(t.Context(), Options{Prefix: prefix, Reach: []string{w.home}})
	if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: no machine was booted (%v). scripts/tools starts an engine and builds the image, as root on Debian", err)
	}
	const ms = time.Millisecond
	if w.Server, err = hetzner.New(hetzner.Options{
		Tokens: []hetzner.Token{{Secret: "t", Project: "p"}}, Machines: engine,
		Timing: hetzner.Timing{Create: 10 * ms, CreateSnapshot: 10 * ms, Start: 10 * ms, Stop: 10 * ms, Delete: 10 * ms, Change: 5 * ms},
	}); err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(w.Handler())
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		api.Close()
		w.Close()
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	w.client = hcloud.NewClient(hcloud.WithToken("t"), hcloud.WithEndpoint(api.URL+"/v1"), hcloud.WithHTTPClient(&http.Client{Transport: transport}),
		hcloud.WithPollOpts(hcloud.PollOpts{BackoffFunc: hcloud.ConstantBackoff(20 * ms)}))
	return w
}

// create makes a server that does what its user data says. {home} in it is the
// listener.
func (w *world) create(t *testing.T, name, userData string) *hcloud.Server {
	t.Helper()
	made, _, err := w.client.Server.Create(t.Context(), hcloud.ServerCreateOpts{
		Name: name, ServerType: &hcloud.ServerType{Name: "cx23"}, Image: &hcloud.Image{Name: "docker-ce"},
		UserData: strings.ReplaceAll(userData, "{home}", "http://"+w.home),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.wait(t, append(made.NextActions, made.Action)...)
	return made.Server
}

func (w *world) wait(t *testing.T, actions ...*hcloud.Action) {
	t.Helper()
	if err := w.client.Action.WaitFor(t.Context(), actions...); err != nil {
		t.Fatal(err)
	}
}

func (w *world) delete(t *testing.T, sv *hcloud.Server) {
	t.Helper()
	gone, _, err := w.client.Server.DeleteWithResult(t.Context(), sv)
	if err != nil {
		t.Fatal(err)
	}
	w.wait(t, gone.Action)
}

// hear waits for a call, and fails when it does not come.
func (w *world) hear(t *testing.T, path string) call {
	t.Helper()
	patience := time.NewTimer(time.Minute)
	defer patience.Stop()
	for {
		select {
		case c := <-w.calls:
			if c.path == path {
				return c
			}
			t.Logf("heard %s from %s", c.path, c.from)
		case <-patience.C:
			t.Fatalf("nobody called %s", path)
		}
	}
}

// until waits for something to become so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("it did not come to be that %s", what)
		case <-tick.C:
		}
	}
}

func (w *world) machine(name string) string {
	for _, s := range w.History().Servers {
		if s.Name == name {
			return s.Machine
		}
	}
	return ""
}

// containers are those of one server, of its machine and made by it.
func (w *world) containers(t *testing.T, id int64) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "docker", "ps", "--all", "--format", "{{.Names}}",
		"--filter", "label="+w.label+"-"+strconv.FormatInt(id, 10)).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

func TestAMachineDoesWhatItsUserDataSaysAndCallsHomeFromItsOwnAddress(t *testing.T) {
	w := begin(t)
	sv := w.create(t, "first", `#cloud-config
bootcmd: ["echo booted >/run/order"]
write_files:
- {path: /srv/hello, content: "it's $HOME\n", permissions: '0640', owner: 'sam:sam'}
runcmd:
- cat /run/order
- false
- [stat, -c, '%a %U', /srv/hello]
- hostname
- curl -fsS "{home}/hello/$(cat /srv/hello | tr -dc 'a-zA-Z$')"
`)
	if got := w.hear(t, "/hello/its$HOME"); got.from != sv.PublicNet.IPv4.IP.String() {
		t.Errorf("it called from %s, and its address is %s", got.from, sv.PublicNet.IPv4.IP)
	}
	var log string
	until(t, "the boot is over", func() bool {
		var err error
		if log, err = w.MachineLog(sv.ID); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(log, "Cloud-init finished.")
	})
	if !strings.Contains(log, "booted\n640 sam\nfirst\n") {
		t.Errorf("its log: %s", log)
	}
	w.delete(t, sv)
	if left := w.containers(t, sv.ID); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if got := w.machine("first"); got != "gone" {
		t.Errorf("the machine is %s", got)
	}
}

func TestAMachinesContainersAreItsOwnAndGoWithIt(t *testing.T) {
	w := begin(t)
	const asks = `#cloud-config
write_files:
- path: /usr/local/bin/engine
  permissions: '0755'
  content: |
    #!/bin/sh
    exec curl -fsS --unix-socket /var/run/docker.sock -H 'Content-Type: application/json' -X "$1" "http://engine/v1.41$2" ${3:+-d "$3"}
- {path: /srv/shared/word, content: shared}
runcmd:
- engine POST '/containers/create?name=inner' '{"Image":"sam-workspace:latest","Entrypoint":["/bin/sleep"],"Cmd":["infinity"],"HostConfig":{"Init":true,"NetworkMode":"none","Mounts":[{"Type":"bind","Source":"/srv/shared","Target":"/mnt","BindOptions":{"Propagation":"rprivate"}}],"Binds":["/srv:/srv2:ro"]}}'
- engine POST /containers/inner/start
- curl -fsS "{home}/list/$(engine GET '/containers/json?filters=%7B%7D' | jq length)"
`
	one, two := w.create(t, "one", asks), w.create(t, "two", asks)
	// Each sees itself and its own, though both ask for the same name.
	w.hear(t, "/list/2")
	w.hear(t, "/list/2")
	for _, sv := range []*hcloud.Server{one, two} {
		all := w.containers(t, sv.ID)
		if len(all) != 2 {
			t.Fatalf("containers of %s: %v", sv.Name, all)
		}
		for _, name := range all {
			if !strings.HasSuffix(name, "-inner") {
				continue
			}
			out, err := exec.CommandContext(t.Context(), "docker", "exec", name, "cat", "/mnt/word", "/srv2/shared/word").CombinedOutput()
			if err != nil || string(out) != "sharedshared" {
				t.Errorf("%s finds %s, %v", name, out, err)
			}
		}
	}
	w.delete(t, one)
	if left := w.containers(t, one.ID); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if left := w.containers(t, two.ID); len(left) != 2 {
		t.Errorf("the other has %v", left)
	}
	w.Close() // whatever runs goes with the stand-in
	if left := w.containers(t, two.ID); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAServiceComesBackWithItsMachineAndUserDataDoesNot(t *testing.T) {
	w := begin(t)
	sv := w.create(t, "service", `#cloud-config
write_files:
- path: /etc/systemd/system/caller.service
  content: |
    [Service]
    Environment=WORD=alive
    User=sam
    WorkingDirectory=/srv
    ExecStartPre=-/bin/false
    ExecStart=/bin/sh -c 'curl -fsS {home}/$WORD$PWD/$(id -un); sleep infinity'
    Restart=always
    [Install]
    WantedBy=multi-user.target
runcmd:
- curl -fsS {home}/once
- systemctl daemon-reload
- systemctl enable --now caller
- systemctl is-active caller
`)
	w.hear(t, "/once")
	w.hear(t, "/alive/srv/sam")
	off, _, err := w.client.Server.Poweroff(t.Context(), sv)
	if err != nil {
		t.Fatal(err)
	}
	w.wait(t, off)
	until(t, "the machine is down", func() bool { return w.machine("service") == "down" })
	on, _, err := w.client.Server.Poweron(t.Context(), sv)
	if err != nil {
		t.Fatal(err)
	}
	w.wait(t, on)
	if got := w.hear(t, "/alive/srv/sam"); got.from != sv.PublicNet.IPv4.IP.String() {
		t.Errorf("it called from %s", got.from)
	}
	if len(w.calls) != 0 {
		t.Errorf("it also called %v", <-w.calls)
	}
}

func TestAMachineThatPowersItselfOffIsOff(t *testing.T) {
	w := begin(t)
	sv := w.create(t, "tired", "#!/bin/sh\npoweroff\n")
	until(t, "the server is off", func() bool {
		got, _, err := w.client.Server.GetByID(t.Context(), sv.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got.Status == hcloud.ServerStatusOff
	})
	if got := w.machine("tired"); got != "down" {
		t.Errorf("the machine is %s", got)
	}
}

func TestAMachineThatCannotBeMadeSaysWhyAndTheServerRunsAllTheSame(t *testing.T) {
	w := begin(t)
	sv := w.create(t, "odd", "gibberish")
	until(t, "it is known why", func() bool { return strings.Contains(w.machine("odd"), "neither a cloud-config nor a script") })
	got, _, err := w.client.Server.GetByID(t.Context(), sv.ID)
	if err != nil || got.Status != hcloud.ServerStatusRunning {
		t.Errorf("got %+v, %v", got, err)
	}
	w.delete(t, sv)
}

func TestMachinesFailOnRequest(t *testing.T) {
	w := begin(t)
	const calls = "#!/bin/sh\ncurl -fsS {home}/up\nsleep infinity\n"
	fault := func(rule hetzner.Rule) {
		t.Helper()
		rule.Next = 1
		if err := w.SetFaults(hetzner.Faults{Rules: []hetzner.Rule{rule}}); err != nil {
			t.Fatal(err)
		}
	}
	fault(hetzner.Rule{Kind: hetzner.MachineNeverBoots, Path: "/never"})
	never := w.create(t, "never", calls)

	fault(hetzner.Rule{Kind: hetzner.MachineSlow, Path: "/slow", For: hetzner.Duration(time.Second)})
	begun := time.Now()
	w.create(t, "slow", calls)
	w.hear(t, "/up")
	if took := time.Since(begun); took < time.Second {
		t.Errorf("it was up after %s", took)
	}

	fault(hetzner.Rule{Kind: hetzner.MachineDies, Path: "/dies", For: hetzner.Duration(time.Second)})
	dies := w.create(t, "dies", calls)
	until(t, "the machine died", func() bool { return w.machine("dies") == "down" })

	fault(hetzner.Rule{Kind: hetzner.MachineOff, Path: "/off", For: hetzner.Duration(time.Second)})
	off := w.create(t, "off", calls)
	until(t, "the machine is down", func() bool { return w.machine("off") == "down" })

	for _, of := range []struct {
		sv   *hcloud.Server
		want hcloud.ServerStatus
	}{{never, hcloud.ServerStatusRunning}, {dies, hcloud.ServerStatusRunning}, {off, hcloud.ServerStatusOff}} {
		until(t, of.sv.Name+" is "+string(of.want), func() bool {
			got, _, err := w.client.Server.GetByID(t.Context(), of.sv.ID)
			if err != nil {
				t.Fatal(err)
			}
			return got.Status == of.want
		})
	}
	if got := w.machine("never"); got != "none" {
		t.Errorf("the machine that never boots is %s", got)
	}
	if left := w.containers(t, never.ID); len(left) != 0 {
		t.Errorf("it has %v", left)
	}
	if err := w.KillMachine(off.ID); err != nil {
		t.Error(err)
	}
}
