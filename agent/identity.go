package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sam/agent/wire"
)

// identity is how a machine that SAM made proves which one it is: by a key that it makes at its first start and that never
// leaves it. The gateway binds the key when it comes with the bootstrap token, and from then on gives credentials for the key
// alone, each for an hour.
type identity struct {
	node      string
	bootstrap string // file of the user data's token; gone once the gateway has taken it
	key       ed25519.PrivateKey

	mu    sync.Mutex
	value string
	until time.Time
}

// credentialSlack is how long before its end a credential counts as over.
const credentialSlack = 5 * time.Minute

// openIdentity reads the machine's key, or makes it at the first start.
func openIdentity(path, node, bootstrap string) (*identity, error) {
	i := &identity{node: node, bootstrap: bootstrap}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the node's own key: %w", err)
	}
	seed, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("the node's own key in %s is damaged: without it the node cannot prove which one it is, and another is to be made", path)
	}
	i.key = ed25519.NewKeyFromSeed(seed)
	return i, nil
}

// makeKey writes a new key for good before anybody is shown it: the gateway takes no second one.
func makeKey(path string) ([]byte, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	text := []byte(base64.StdEncoding.EncodeToString(key.Seed()) + "\n")
	file, err := os.CreateTemp(filepath.Dir(path), ".key-*") // readable for its owner alone
	if err != nil {
		return nil, err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(file.Name()))
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return text, errors.Join(folder.Sync(), folder.Close())
}

// current is the credential to show now, "" for none.
func (i *identity) current() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.value
}

func (i *identity) renewed(c wire.Credential) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.value, i.until = c.Value, time.Now().Add(time.Duration(c.Seconds)*time.Second)
}

// over reports whether there is no credential that is good for some time yet.
func (i *identity) over() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return time.Now().After(i.until.Add(-credentialSlack))
}

// token is the bootstrap token, "" once the key is bound.
func (i *identity) token() (string, error) {
	if i.bootstrap == "" {
		return "", nil
	}
	text, err := os.ReadFile(i.bootstrap)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the bootstrap token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// bound removes the bootstrap token, which has done its work.
func (i *identity) bound() error {
	if i.bootstrap == "" {
		return nil
	}
	if err := os.Remove(i.bootstrap); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the bootstrap token: %w", err)
	}
	return nil
}

// denied has a credential asked for anew, after the gateway has refused the one that was shown.
func (i *identity) denied() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.until = time.Time{}
}

// prove gets a credential for the machine's key when there is none that is good. The error says what the gateway said.
func (g *gatewayClient) prove(ctx context.Context) error {
	if g.identity == nil {
		return nil
	}
	if !g.identity.over() {
		return nil
	}
	token, err := g.identity.token()
	if err != nil {
		return err
	}
	var challenge wire.Challenge
	if err := g.exchange(ctx, http.MethodGet, nil, &challenge); err != nil {
		return err
	}
	i := g.identity
	public, _ := i.key.Public().(ed25519.PublicKey)
	body, err := json.Marshal(wire.CredentialRequest{
		Node: i.node, Key: public, Challenge: challenge.Text, Bootstrap: token,
		Signature: ed25519.Sign(i.key, wire.SignedText(i.node, challenge.Text)),
	})
	if err != nil {
		return fmt.Errorf("ask for a credential: %w", err)
	}
	var given wire.Credential
	if err := g.exchange(ctx, http.MethodPost, body, &given); err != nil {
		return err
	}
	if given.Value == "" || given.Seconds <= 0 {
		return errors.New("ask for a credential: the gateway gave none")
	}
	i.renewed(given)
	return i.bound()
}

// exchange is one request for a credential.
func (g *gatewayClient) exchange(ctx context.Context, method string, body []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, g.base.JoinPath(wire.CredentialPath).String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask for a credential: %w", err)
	}
	response, err := g.http.Do(request)
	if err != nil {
		return fmt.Errorf("ask for a credential: %w", err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("ask for a credential: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway gives no credential (%d): %s", response.StatusCode, strings.TrimSpace(string(said)))
	}
	if err := json.Unmarshal(said, answer); err != nil {
		return fmt.Errorf("ask for a credential: %w", err)
	}
	return nil
}
