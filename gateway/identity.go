package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/rs/zerolog"

	"sam/agent/wire"
	"sam/task"
)

// How long what a machine proves itself with is good for.
const (
	BootstrapLife  = 15 * time.Minute // of the token in its user data, from when that was written
	credentialLife = time.Hour        // of what it has then; renewed over the link when half of it is over
	challengeLife  = time.Minute
)

// Machines is what the gateway reads and writes of machines that SAM made.
type Machines interface {
	// Node reads a node's record; task.ErrNotFound.
	Node(ctx context.Context, name string) (task.Node, error)
	// BindNode ties a node to a key, or recognises it; errors that wrap task.ErrRefused say why not.
	BindNode(ctx context.Context, node, fingerprint string, bootstrap bool) error
	// NoteMachineTrouble notes what a node's machine did wrong, for the person.
	NoteMachineTrouble(ctx context.Context, node, why string) error
}

// identity gives machines their credentials: to whoever has the key that was bound to the node, and binds the first key
// that comes with the node's bootstrap token, from the address that the provider says is the machine's.
type identity struct {
	machines Machines
	keys     Keys
	from     func(*http.Request) netip.Addr
	now      func() time.Time
	refused  *machineRefusals
}

// serveChallenge gives a text to sign. It is not stored: it says itself when it was made, and that it is ours.
func (i *identity) serveChallenge(w http.ResponseWriter, r *http.Request) {
	i.reply(r.Context(), w, wire.Challenge{Text: i.keys.challenge(i.now())})
}

func (i *identity) reply(ctx context.Context, w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("answering a machine failed")
	}
}

// denial is a refusal that the machine is told, and the operator's log. A trouble is what the person is told of the node.
type denial struct {
	status  int
	why     string
	trouble trouble
	text    string
}

func (d denial) Error() string { return d.why }

func (i *identity) serveCredential(w http.ResponseWriter, r *http.Request) {
	var asked wire.CredentialRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&asked); err != nil {
		http.Error(w, fmt.Sprintf("not a request for a credential: %v", err), http.StatusBadRequest)
		return
	}
	ctx := r.Context()
	from := i.from(r)
	log := zerolog.Ctx(ctx).With().Str("node", asked.Node).Stringer("from", from).Logger()
	err := i.check(ctx, asked, from)
	var no denial
	switch {
	case errors.As(err, &no):
		log.Warn().Msg("a machine is refused a credential: " + no.why)
		i.note(ctx, asked.Node, no)
		if no.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "2")
		}
		http.Error(w, no.why, no.status)
		return
	case err != nil:
		log.Error().Err(err).Msg("looking at a machine's record failed")
		http.Error(w, "the machine's record cannot be read; try again", http.StatusBadGateway)
		return
	}
	if asked.Bootstrap != "" {
		log.Info().Msg("a machine has called home")
	}
	i.reply(ctx, w, i.credential(asked.Node))
}

func (i *identity) credential(node string) wire.Credential {
	return wire.Credential{Value: i.keys.machineCredential(node, i.now().Add(credentialLife)), Seconds: int(credentialLife / time.Second)}
}

// check proves that a request comes from the machine that was made for the node. What it learns in vain it does not tell:
// a stranger is not to know which nodes there are.
func (i *identity) check(ctx context.Context, asked wire.CredentialRequest, from netip.Addr) error {
	no := func(why string) denial { return denial{status: http.StatusUnauthorized, why: why} }
	switch {
	case !i.keys.isChallenge(asked.Challenge, i.now(), challengeLife):
		return no("the challenge is not one of this server's, or over a minute old: ask for another")
	case len(asked.Key) != ed25519.PublicKeySize || !ed25519.Verify(asked.Key, wire.SignedText(asked.Node, asked.Challenge), asked.Signature):
		return no("the challenge is not signed with the key that is shown")
	}
	known, fresh := false, false
	if asked.Bootstrap != "" {
		if known, fresh = i.keys.isBootstrapToken(asked.Bootstrap, asked.Node, i.now()); !known {
			return no("the bootstrap token is not this node's")
		}
	}
	stranger := no("there is no such node with this key")
	n, err := i.machines.Node(ctx, asked.Node)
	switch {
	case errors.Is(err, task.ErrNotFound):
		return stranger
	case err != nil:
		return err
	case !known:
	case n.Machine != nil && !isOneOf(from, n.Machine.Addresses):
		return elsewhere(n, from)
	case !fresh:
		return late(n)
	case n.Machine == nil:
		return denial{status: http.StatusServiceUnavailable, why: "the provider has not said yet which address this machine has: try again"}
	}
	sum := sha256.Sum256(asked.Key)
	err = i.machines.BindNode(ctx, asked.Node, base64.RawURLEncoding.EncodeToString(sum[:]), known)
	switch {
	case errors.Is(err, task.ErrNotFound):
		return stranger
	case !errors.Is(err, task.ErrRefused):
		return err
	case !known:
		return stranger
	case errors.Is(err, task.ErrOtherKey):
		return again(n, err)
	}
	return no(err.Error())
}

// isOneOf reports whether an address is one of a machine's, of which an IPv6 is a prefix.
func isOneOf(from netip.Addr, addresses []string) bool {
	for _, one := range addresses {
		if address, err := netip.ParseAddr(one); err == nil && address.Unmap() == from {
			return true
		}
		if prefix, err := netip.ParsePrefix(one); err == nil && prefix.Contains(from) {
			return true
		}
	}
	return false
}
