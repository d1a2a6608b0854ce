package gateway

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"sam/task"
)

// Keys makes and checks the two credentials of this door. They are computed, so they are stored nowhere:
//
//	node   "<name>.<mac>"  who has it may link as that node
//	task   "<mac>"         over task, epoch and node; it comes from a workspace and is worth something only beside that
//	                       node's own credential, while that attempt is the task's current one
type Keys struct{ secret []byte }

// NewKeys derives the keys from a secret that all replicas share and that no node has. It refuses one of under 16 bytes.
func NewKeys(secret []byte) (Keys, error) {
	if len(secret) < 16 {
		return Keys{}, fmt.Errorf("the secret that the gateway's keys are derived from has %d bytes and needs 16", len(secret))
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "sam gateway credentials 1", sha256.Size)
	if err != nil {
		return Keys{}, fmt.Errorf("derive the gateway's keys: %w", err)
	}
	return Keys{key}, nil
}

// NodeToken is the credential of a node.
func (k Keys) NodeToken(node string) string { return node + "." + k.mac("node", node) }

// node returns whose credential a token is, "" when it is nobody's.
func (k Keys) node(token string) string {
	cut := strings.LastIndexByte(token, '.')
	if cut < 1 || !hmac.Equal([]byte(token), []byte(k.NodeToken(token[:cut]))) {
		return ""
	}
	return token[:cut]
}

// taskToken is what a task's workspace shows.
func (k Keys) taskToken(id task.ID, epoch int64, node string) string {
	return k.mac("task", string(id), strconv.FormatInt(epoch, 10), node)
}

func (k Keys) isTaskToken(token string, id task.ID, epoch int64, node string) bool {
	return hmac.Equal([]byte(token), []byte(k.taskToken(id, epoch, node)))
}

func (k Keys) mac(parts ...string) string {
	h := hmac.New(sha256.New, k.secret)
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p) // lengths first, so that no two lists of parts look the same
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
