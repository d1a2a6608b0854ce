package gateway

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sam/task"
)

// Keys makes and checks the credentials of this door. They are computed, so they are stored nowhere:
//
//	node       "<name>.<mac>"           who has it may link as that node: one that the operator starts
//	machine    "<name>~<until>.<mac>"   the same for a machine that SAM made, until a time in Unix seconds
//	bootstrap  "<made>.<mac>"           over the node's name and when it was made: in a machine's user data
//	challenge  "<made>.<mac>"           what a machine signs with its key to get its credential
//	task       "<mac>"                  over task, epoch and node; it comes from a workspace and is worth something only
//	                                    beside that node's own credential, while that attempt is the task's current one
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

// node returns whose credential a token is, "" when it is nobody's now. made says that it is of a machine that SAM made.
func (k Keys) node(token string, now time.Time) (name string, made bool) {
	cut := strings.LastIndexByte(token, '.')
	if cut < 1 {
		return "", false
	}
	head := token[:cut]
	name, until, made := strings.Cut(head, machineMark)
	if !made {
		if !hmac.Equal([]byte(token), []byte(k.NodeToken(head))) {
			return "", false
		}
		return head, false
	}
	seconds, err := strconv.ParseInt(until, 10, 64)
	if err != nil || !hmac.Equal([]byte(token), []byte(k.machineCredential(name, time.Unix(seconds, 0)))) || now.Unix() >= seconds {
		return "", false
	}
	return name, true
}

// machineMark is in no node's name.
const machineMark = "~"

// machineCredential is that of a machine, until a time.
func (k Keys) machineCredential(node string, until time.Time) string {
	seconds := strconv.FormatInt(until.Unix(), 10)
	return node + machineMark + seconds + "." + k.mac("machine", node, seconds)
}

// BootstrapToken is what a machine's user data has: with it the machine's first key is bound to the node, within
// BootstrapLife of made.
func (k Keys) BootstrapToken(node string, made time.Time) string {
	return k.dated(made, "bootstrap", node)
}

// isBootstrapToken reports whether a token is that of a node, and whether it is still good.
func (k Keys) isBootstrapToken(token, node string, now time.Time) (known, fresh bool) {
	return k.isDated(token, now, BootstrapLife, "bootstrap", node)
}

func (k Keys) challenge(now time.Time) string { return k.dated(now, "challenge") }

func (k Keys) isChallenge(text string, now time.Time, within time.Duration) bool {
	_, fresh := k.isDated(text, now, within, "challenge")
	return fresh
}

// dated is a text that says when it was made.
func (k Keys) dated(made time.Time, parts ...string) string {
	seconds := strconv.FormatInt(made.Unix(), 10)
	return seconds + "." + k.mac(append(parts, seconds)...)
}

// clockSlack is how far replicas' clocks may be apart.
const clockSlack = 30 * time.Second

func (k Keys) isDated(text string, now time.Time, within time.Duration, parts ...string) (known, fresh bool) {
	head, _, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(head, 10, 64)
	if err != nil || !hmac.Equal([]byte(text), []byte(k.dated(time.Unix(seconds, 0), parts...))) {
		return false, false
	}
	age := now.Sub(time.Unix(seconds, 0))
	return true, age >= -clockSlack && age <= within
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
