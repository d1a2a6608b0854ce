package store_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

// certificate writes a certificate of its own authority for 127.0.0.1, and its key.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", encoded)
}

// documentedRights is what docs/configuration.md says that SAM's user needs in Redis.
func documentedRights(t *testing.T) string {
	t.Helper()
	docs, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?m)^ACL SETUSER sam on >PASSWORD (.*)$").FindSubmatch(docs)
	if found == nil {
		t.Fatal("docs/configuration.md does not say which rights SAM's user needs")
	}
	return string(found[1])
}

// startTLS starts a redis-server that speaks TLS alone, with a user sam who may do what the documentation says.
func startTLS(t *testing.T) (address, ca string) {
	t.Helper()
	needsRedis(t)
	dir := t.TempDir()
	cert, key := certificate(t, dir)
	port, err := redis.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	address = fmt.Sprintf("127.0.0.1:%d", port)
	conf := filepath.Join(dir, "redis.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, `port 0
tls-port %d
bind 127.0.0.1
tls-cert-file %s
tls-key-file %s
tls-ca-cert-file %s
tls-auth-clients no
dir %s
save ""
appendonly yes
appendfsync always
user sam on >hush %s
user default off
`, port, cert, key, cert, dir, documentedRights(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("redis-server", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 100 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return address, cert
		}
		rest(t.Context(), 50*time.Millisecond)
	}
	t.Fatal("redis-server does not speak TLS here")
	return "", ""
}

func TestAUserWithTheDocumentedRightsDoesEverythingOverTLS(t *testing.T) {
	t.Parallel()
	address, ca := startTLS(t)
	right := store.Options{Addresses: []string{address}, Username: "sam", Password: "hush", TLS: true, CAFile: ca, Replicas: -1}
	s := openWith(t, right)
	stop := serve(t, s, store.Handlers{})
	linkNode(t, s, 1)
	p := placed(t, s, spec(1))
	if _, err := s.AppendEvents(t.Context(), p.ID, p.Epoch, "local", []task.Numbered{event(t, 1)}); err != nil {
		t.Error(err)
	}
	if got := commands(t, s, 1); got[0].Kind != task.CommandStart {
		t.Errorf("commands %v", got)
	}
	if fresh, err := s.Accept(t.Context(), task.Delivery{ID: "d", Event: "issues", Body: []byte("{}")}); err != nil || !fresh {
		t.Error(fresh, err)
	}
	if err := s.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	stop()

	for name, c := range map[string]struct {
		change func(*store.Options)
		want   string
	}{
		"an authority that nobody knows": {func(o *store.Options) { o.CAFile = "" }, "certificate signed by unknown authority"},
		"a wrong password":               {func(o *store.Options) { o.Password = "loud" }, "check redis.username and redis.password_file"},
		"no certificates in the file":    {func(o *store.Options) { o.CAFile = "connect_test.go" }, "connect_test.go holds none in PEM"},
		"no such file":                   {func(o *store.Options) { o.CAFile = "none.pem" }, "no such file"},
	} {
		wrong := right
		c.change(&wrong)
		if _, err := store.Open(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

func TestAModeThatIsNotRediss(t *testing.T) {
	t.Parallel()
	cluster, _ := startCluster(t)
	_, single := open(t)
	killable(t, single)
	for name, c := range map[string]struct {
		options store.Options
		want    string
	}{
		"a Cluster as single": {store.Options{Addresses: cluster.Addresses()}, "set redis.mode to cluster"},
		"single as a Cluster": {store.Options{Mode: store.Cluster, Addresses: []string{single.Address}}, "redis.mode"},
	} {
		if _, err := store.Open(t.Context(), c.options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
	// Every master of a Cluster is asked how it keeps what it acknowledges.
	last := goredis.NewClient(&goredis.Options{Addr: cluster.Servers[2].Address})
	defer last.Close()
	if err := last.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), store.Options{Mode: store.Cluster, Addresses: cluster.Addresses()})
	if err == nil || !strings.Contains(err.Error(), `maxmemory-policy is "allkeys-lru"`) {
		t.Errorf("one master evicts: %v", err)
	}
}
