package gateway

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sam/agent/wire"
	"sam/task"
)

// machineWorld is a gateway with the record of one machine, which calls from its own address, at a time of the test's.
type machineWorld struct {
	*nodeWorld
	from atomic.Pointer[netip.Addr]
	at   atomic.Int64 // Unix seconds
	key  ed25519.PrivateKey
}

func (w *machineWorld) now() time.Time { return time.Unix(w.at.Load(), 0) }

func (w *machineWorld) later(d time.Duration) { w.at.Add(int64(d / time.Second)) }

func (w *machineWorld) callFrom(address string) {
	from := netip.MustParseAddr(address)
	w.from.Store(&from)
}

func newMachineWorld(t *testing.T) *machineWorld {
	t.Helper()
	w := &machineWorld{nodeWorld: newNodeWorld(t), key: newMachineKey(t)}
	w.at.Store(time.Now().Unix())
	w.callFrom("203.0.113.7")
	w.gateway.identity.from = func(*http.Request) netip.Addr { return *w.from.Load() }
	w.gateway.identity.now = w.now
	if err := w.store.EnsureNode(t.Context(), task.Node{Name: "sam-1", Account: 5, Provider: "hetzner", Slots: 2}); err != nil {
		t.Fatal(err)
	}
	return w
}

func newMachineKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// known notes what the provider made.
func (w *machineWorld) known() {
	w.t.Helper()
	err := w.store.NoteMachine(w.t.Context(), "sam-1", task.Machine{ID: "7", Addresses: []string{"203.0.113.7", "2001:db8:1::/64"}})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *machineWorld) challenge() string {
	w.t.Helper()
	response, err := w.client.Get(w.server.URL + wire.CredentialPath)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	var c wire.Challenge
	if err := json.NewDecoder(response.Body).Decode(&c); err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("%d, %v", response.StatusCode, err)
	}
	return c.Text
}

// asks sends a request as the machine would, changed, and returns the status and what was said.
func (w *machineWorld) asks(bootstrap string, change ...func(*wire.CredentialRequest)) (status int, said string) {
	w.t.Helper()
	challenge := w.challenge()
	r := wire.CredentialRequest{
		Node: "sam-1", Key: w.key.Public().(ed25519.PublicKey), Challenge: challenge, Bootstrap: bootstrap, //nolint:errcheck // it is one
		Signature: ed25519.Sign(w.key, wire.SignedText("sam-1", challenge)),
	}
	for _, one := range change {
		one(&r)
	}
	body, err := json.Marshal(r)
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := w.client.Post(w.server.URL+wire.CredentialPath, "application/json", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

func (w *machineWorld) refused(status int, words, bootstrap string, change ...func(*wire.CredentialRequest)) {
	w.t.Helper()
	if got, said := w.asks(bootstrap, change...); got != status || !strings.Contains(said, words) {
		w.t.Errorf("%d %s; want %d %s", got, said, status, words)
	}
}

func (w *machineWorld) given(bootstrap string) string {
	w.t.Helper()
	status, said := w.asks(bootstrap)
	var c wire.Credential
	if err := json.Unmarshal([]byte(said), &c); err != nil || status != http.StatusOK || c.Seconds != 3600 {
		w.t.Fatalf("%d %s, %v", status, said, err)
	}
	if node, made := w.keys.node(c.Value, w.now()); node != "sam-1" || !made {
		w.t.Errorf("the credential is %q's", node)
	}
	return c.Value
}

func TestAMachineGetsItsCredentialOnceItsAddressIsKnownAndItsKeyIsBound(t *testing.T) {
	t.Parallel()
	w := newMachineWorld(t)
	token := w.keys.BootstrapToken("sam-1", w.now())
	w.refused(http.StatusServiceUnavailable, "has not said yet", token)
	w.known()
	w.given(token)
	w.given(token) // the answer was lost
	w.callFrom("2001:db8:1::17")
	w.given("") // with its key alone, whenever its credential is over
	w.key = newMachineKey(t)
	w.refused(http.StatusUnauthorized, "another key", token)
	w.refused(http.StatusUnauthorized, "there is no such node with this key", "")
}

func TestABootstrapTokenIsWorthNothingFromElsewhereOrToAnotherOrLater(t *testing.T) {
	t.Parallel()
	w := newMachineWorld(t)
	w.known()
	token := w.keys.BootstrapToken("sam-1", w.now())
	w.callFrom("203.0.113.8")
	w.refused(http.StatusForbidden, "from 203.0.113.8, which is not the machine's", token)
	w.callFrom("203.0.113.7")
	w.refused(http.StatusUnauthorized, "not this node's", w.keys.BootstrapToken("sam-2", w.now()))
	w.refused(http.StatusUnauthorized, "not this node's", "1."+token)
	w.later(BootstrapLife + time.Second)
	w.refused(http.StatusUnauthorized, "over 15m0s old", token)
	w.refused(http.StatusUnauthorized, "there is no such node", "") // no key was ever bound
	if n, err := w.store.Node(t.Context(), "sam-1"); err != nil || n.Machine == nil || n.State != task.NodeBooting {
		t.Errorf("the node is %+v, %v", n, err)
	}
}

func TestAStrangerLearnsNothingOfTheNodes(t *testing.T) {
	t.Parallel()
	w := newMachineWorld(t)
	sign := func(node string) func(*wire.CredentialRequest) {
		return func(r *wire.CredentialRequest) {
			r.Node, r.Signature = node, ed25519.Sign(w.key, wire.SignedText(node, r.Challenge))
		}
	}
	for _, node := range []string{"sam-1", "sam-9", "local", ""} {
		w.refused(http.StatusUnauthorized, "there is no such node with this key", "", sign(node))
	}
	w.refused(http.StatusUnauthorized, "not signed", "", func(r *wire.CredentialRequest) { r.Node = "sam-9" })
	w.refused(http.StatusUnauthorized, "not signed", "", func(r *wire.CredentialRequest) { r.Key = r.Key[1:] })
	old := w.challenge()
	w.refused(http.StatusUnauthorized, "ask for another", "", func(r *wire.CredentialRequest) { r.Challenge = "1" + old })
	w.later(2 * time.Minute)
	w.refused(http.StatusUnauthorized, "ask for another", "", func(r *wire.CredentialRequest) { r.Challenge = old })
}

func TestAMachinesCredentialIsRenewedOverItsLink(t *testing.T) {
	t.Parallel()
	w := newMachineWorld(t)
	w.known()
	credential := w.given(w.keys.BootstrapToken("sam-1", w.now()))
	l := w.dialWith(credential)
	l.say(hello())
	l.hear(wire.TypeWelcome)
	frame := l.hear(wire.TypeCredential)
	if node, made := w.keys.node(frame.Credential.Value, w.now().Add(50*time.Minute)); node != "sam-1" || !made {
		t.Errorf("renewed is that of %q", node)
	}
	w.later(2 * time.Hour)
	if _, status, err := w.try(bearer(credential)); err == nil || status != http.StatusUnauthorized {
		t.Errorf("with a credential of two hours ago: %d, %v", status, err)
	}
}
