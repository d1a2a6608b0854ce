package agent

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sam/agent/egress"
	"sam/agent/wire"
)

// forwardingTo is a forwarder in front of a gateway.
func forwardingTo(t *testing.T, gateway http.Handler, out egress.Options) *forward {
	t.Helper()
	behind := httptest.NewServer(gateway)
	t.Cleanup(behind.Close)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	g, err := newGatewayClient(behind.URL+"/base", nodeToken, client)
	if err != nil {
		t.Fatal(err)
	}
	f, err := startForward(t.Context(), g, "tmine", taskToken, ways{Options: out})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return f
}

func TestPrivateRegistriesAreAskedThroughTheGatewayWithTheTasksToken(t *testing.T) {
	t.Parallel()
	gateway := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(wire.TaskTokenHeader) != taskToken || r.Header.Get("Authorization") != "Bearer "+nodeToken {
			t.Errorf("the gateway was asked with %v", r.Header)
		}
		_, _ = io.WriteString(w, r.RequestURI)
	})
	with := map[egress.Policy]*forward{}
	for _, policy := range []egress.Policy{egress.Brokers, egress.Registries, egress.Open} {
		with[policy] = forwardingTo(t, gateway, egress.Options{Rules: egress.Rules{Policy: policy}})
	}
	for _, row := range []struct {
		policy      egress.Policy
		path, token string // token is the password
		status      int
		want        string
	}{
		{egress.Registries, "/registry/npm.acme.example/pkg?x=1", taskToken, 200, "/base/registry/tmine/npm.acme.example/pkg?x=1"},
		{egress.Open, "/registry/npm.acme.example/pkg", taskToken, 200, "/base/registry/tmine/npm.acme.example/pkg"},
		{egress.Registries, "/registry/~" + taskToken + "/npm.acme.example/@acme%2fpkg", "", 200, "/base/registry/tmine/npm.acme.example/@acme%2fpkg"},
		{egress.Registries, "/registry/~" + taskToken + "/go.acme.example/!quay/@v/list", "", 200, "/base/registry/tmine/go.acme.example/!quay/@v/list"},
		{egress.Registries, "/registry/npm.acme.example/pkg/", taskToken, 200, "/base/registry/tmine/npm.acme.example/pkg/"},
		{egress.Registries, "/registry/npm.acme.example/pkg", "guess", 401, "SAM_REGISTRIES"},
		{egress.Registries, "/registry/npm.acme.example/pkg", "", 401, "SAM_REGISTRIES"},
		{egress.Registries, "/registry/~guess/npm.acme.example/pkg", taskToken, 401, "SAM_REGISTRIES"},
		{egress.Registries, "/registry/../git/tother/info/refs", taskToken, 400, "HOST/PATH"},
		{egress.Registries, "/registry/npm.acme.example/%2e%2e/%2e%2e/tother/x", taskToken, 400, "HOST/PATH"},
		{egress.Registries, "/registry/~" + taskToken + "/..%2ftother/x", "", 400, "HOST/PATH"},
		{egress.Brokers, "/registry/npm.acme.example/pkg", taskToken, 403, "brokers"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, with[row.policy].base()+row.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if row.token != "" {
			request.SetBasicAuth("sam", row.token)
		}
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != row.status || !strings.Contains(string(body), row.want) || row.status == 200 && string(body) != row.want {
			t.Errorf("%s %s: %d %q, %v; want %d %q", row.policy, row.path, response.StatusCode, body, err, row.status, row.want)
		}
	}
}

// packages is a registry of one npm package, under a path.
func packages(t *testing.T, path, base string) http.Handler {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	archive := tar.NewWriter(z)
	for name, content := range map[string]string{"package/package.json": `{"name":"@acme/quay","version":"1.0.0"}`, "package/index.js": "module.exports = 7\n"} {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(b.Bytes())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch strings.ToLower(r.URL.EscapedPath()) {
		case path + "/@acme%2fquay":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"name":"@acme/quay","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"@acme/quay","version":"1.0.0","dist":{"tarball":%q,"integrity":"sha512-%s"}}}}`,
				base+"/@acme/quay/-/quay-1.0.0.tgz", base64.StdEncoding.EncodeToString(sum[:]))
		case path + "/@acme/quay/-/quay-1.0.0.tgz":
			_, _ = w.Write(b.Bytes())
		default:
			http.NotFound(w, r)
		}
	})
}

// npmInstalls installs the package in a folder of its own, with what a container's programs have in their environment.
func npmInstalls(t *testing.T, f *forward, npmrc string, more ...string) (installed bool, said string) {
	t.Helper()
	program, err := exec.LookPath("npm")
	if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: no package was installed by npm, for there is no npm (%v)", err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{".npmrc": npmrc, "package.json": `{"name":"x","version":"1.0.0"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.CommandContext(t.Context(), program, "install", "--no-audit", "--no-fund", "--fetch-retries=0", "@acme/quay")
	c.Dir = dir
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, proxyEnvironment(wire.Start{Network: &wire.Network{Policy: "registries"}, Token: taskToken}, f.address)...)
	c.Env = append(c.Env, more...)
	out, _ := c.CombinedOutput()
	if lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json")); err == nil && strings.Contains(string(lock), taskToken) {
		t.Errorf("the lock file that would be committed holds the task's token: %s", lock)
	}
	content, err := os.ReadFile(filepath.Join(dir, "node_modules", "@acme", "quay", "index.js"))
	return err == nil && string(content) == "module.exports = 7\n", string(out)
}

func TestNpmInstallsFromAPublicRegistryThroughTheProxyAndFromAPrivateOneThroughTheGateway(t *testing.T) {
	t.Parallel()
	private := packages(t, "/base/registry/tmine/npm.acme.example", "https://npm.acme.example")
	registry := httptest.NewTLSServer(packages(t, "", "https://example.com"))
	t.Cleanup(registry.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: registry.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := egress.NewRules("registries", []string{"example.com"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := forwardingTo(t, private, egress.Options{
		Rules: rules, Resolver: nowhere{}, Own: func() ([]netip.Prefix, error) { return nil, nil },
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, registry.Listener.Addr().String())
		},
	})
	if ok, said := npmInstalls(t, f, "registry=https://example.com/\n", "npm_config_cafile="+ca); !ok {
		t.Errorf("through the proxy: %s", said)
	}
	if ok, said := npmInstalls(t, f, "registry=https://unlisted.example/\n", "npm_config_cafile="+ca); ok || !strings.Contains(said, "403") {
		t.Errorf("from an unlisted host: %v %s", ok, said)
	}
	if ok, said := npmInstalls(t, f, "registry=${SAM_REGISTRIES}npm.acme.example/\nreplace-registry-host=always\nomit-lockfile-registry-resolved=true\n"); !ok {
		t.Errorf("through the gateway: %s", said)
	}
}
