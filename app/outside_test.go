package app

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sam/agent/egress"
)

// A Go module proxy that the default list of registries names, and the public address that it has in the tests' internet.
const (
	registryHost    = "proxy.golang.org"
	registryAddress = "93.184.216.34"
)

// outside is an internet in which one registry is reached, by TLS, and nothing else.
type outside struct {
	server *httptest.Server
	trust  []byte // the registry's authority, PEM
	module module

	mu      sync.Mutex
	asked   []string // of the registry, each as the name in the client's TLS and the path
	dialled []string
}

// newOutside is an internet whose registry has the module "example.com/depth".
func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{module: newModule(t)}
	o.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.asked = append(o.asked, r.TLS.ServerName+" "+r.URL.Path)
		o.mu.Unlock()
		data, ok := o.module.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	var certificate tls.Certificate
	certificate, o.trust = issue(t, registryHost)
	o.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	o.server.StartTLS()
	t.Cleanup(o.server.Close)
	return o
}

// options lead a node's proxies to it.
func (o *outside) options() egress.Options { return egress.Options{Resolver: o, Dial: o.dial} }

// LookupNetIP implements egress.Resolver.
func (o *outside) LookupNetIP(_ context.Context, _, name string) ([]netip.Addr, error) {
	if name != registryHost+"." {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return []netip.Addr{netip.MustParseAddr(registryAddress)}, nil
}

func (o *outside) dial(ctx context.Context, network, address string) (net.Conn, error) {
	o.mu.Lock()
	o.dialled = append(o.dialled, address)
	o.mu.Unlock()
	if address != registryAddress+":443" {
		return nil, errors.New("connection refused")
	}
	return (&net.Dialer{}).DialContext(ctx, network, o.server.Listener.Addr().String())
}

func (o *outside) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked, o.dialled = nil, nil
}

// carried checks that the registry was asked for these files of the module since it was told to forget, by its own name, and
// that nothing else was dialled.
func (o *outside) carried(t *testing.T, names []string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range names {
		if !slices.Contains(o.asked, registryHost+" /"+modulePath+"/@v/"+name) {
			t.Errorf("the registry was not asked for %s: %q", name, o.asked)
		}
	}
	if slices.ContainsFunc(o.dialled, func(address string) bool { return address != registryAddress+":443" }) {
		t.Errorf("dialled were %q", o.dialled)
	}
}

// module is one version of a Go module as a proxy serves it.
type module struct {
	files map[string][]byte // by path
	sums  string            // the lines of go.sum
}

const (
	modulePath    = "example.com/depth"
	moduleVersion = "v1.2.0"
)

func newModule(t *testing.T) module {
	t.Helper()
	mod := "module " + modulePath + "\n\ngo 1.22\n"
	contents := map[string]string{"go.mod": mod, "depth.go": "// Package depth knows how deep the water is.\npackage depth\n\n// Metres at low tide.\nconst Metres = 7\n"}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		whole := modulePath + "@" + moduleVersion + "/" + name
		f, err := z.Create(whole)
		if err == nil {
			_, err = io.WriteString(f, contents[name])
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(sum, "%x  %s\n", sha256.Sum256([]byte(contents[name])), whole)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	ofMod := sha256.Sum256(fmt.Appendf(nil, "%x  go.mod\n", sha256.Sum256([]byte(mod))))
	at := "/" + modulePath + "/@v/"
	return module{
		files: map[string][]byte{
			at + "list": []byte(moduleVersion + "\n"), at + moduleVersion + ".info": fmt.Appendf(nil, `{"Version":%q}`, moduleVersion),
			at + moduleVersion + ".mod": []byte(mod), at + moduleVersion + ".zip": archive.Bytes(),
		},
		sums: fmt.Sprintf("%[1]s %[2]s h1:%[3]s\n%[1]s %[2]s/go.mod h1:%[4]s\n", modulePath, moduleVersion,
			base64.StdEncoding.EncodeToString(sum.Sum(nil)), base64.StdEncoding.EncodeToString(ofMod[:])),
	}
}

// issue makes an authority, and has it issue a certificate for a host.
func issue(t *testing.T, host string) (certificate tls.Certificate, authority []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	valid := x509.Certificate{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	root, leaf := valid, valid
	root.SerialNumber, root.Subject = big.NewInt(1), pkix.Name{CommonName: "The tests' authority"}
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign
	leaf.SerialNumber, leaf.DNSNames, leaf.ExtKeyUsage = big.NewInt(2), []string{host}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	signed := func(one *x509.Certificate) []byte {
		der, err := x509.CreateCertificate(rand.Reader, one, &root, &private.PublicKey, private)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	certificate = tls.Certificate{Certificate: [][]byte{signed(&leaf)}, PrivateKey: private}
	return certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed(&root)})
}

// depending are the files that make the demo's repository need the module: its tests fail without it, and when who runs them
// is not the named user.
func (o *outside) depending(user string) map[string]string {
	return map[string]string{
		"go.mod": "module quayside\n\ngo 1.22\n\nrequire " + modulePath + " " + moduleVersion + "\n",
		"go.sum": o.module.sums,
		"depth_test.go": strings.ReplaceAll(`package main

import (
	"os/user"
	"testing"

	"example.com/depth"
)

func TestTheWaterIsDeepEnough(t *testing.T) {
	if depth.Metres < 5 {
		t.Errorf("it is %d m deep", depth.Metres)
	}
}

func TestWhoRunsTheTests(t *testing.T) {
	if who, err := user.Current(); err != nil || who.Username != "WHO" {
		t.Errorf("the tests are run by %+v, %v", who, err)
	}
}
`, "WHO", user),
	}
}
