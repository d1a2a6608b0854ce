// Package seal keeps what must be stored and not read: AES-256-GCM under a ring of keys, the newest of which seals while all of
// them open.
//
// A sealed text is
//
//	version (1 byte, 1) | length of the key's ID (1 byte) | the key's ID | nonce (12 bytes, random) | ciphertext and tag
//
// and what it belongs to, its owner, is bound to it as additional data, with all that stands before the nonce: moved to another
// owner, or under another key's name, it does not open. A random nonce is good for 2^32 texts under one key, which is why keys
// are to be rotated and not why they are. Nothing here is secret but the keys' bytes; package seal never prints those.
package seal

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// keyBytes is the length of a key: AES-256.
const keyBytes = 32

// keyWord begins a key's line, and says which format it is.
const keyWord = "sam-key-1"

// keyTime is the part of a key's ID that says when it was made.
const keyTime = "20060102T150405.000Z"

// keyID is a key's name: when it was made, UTC to the millisecond, and 32 random bits. Byte order is age.
var keyID = regexp.MustCompile(`^\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{8}$`)

// Key is one key of a ring.
type Key struct {
	ID string
	// A function, since fmt shows no more of one than its address, whatever it is a part of: the key would be in a log else.
	material func() material
}

// material is the key itself.
type material struct {
	aead cipher.AEAD
	text string // its line
}

// NewKey makes a key from the system's randomness. now is what its ID says; a later key is the newer one.
func NewKey(now time.Time) (Key, error) {
	secret := make([]byte, keyBytes)
	_, _ = rand.Read(secret) // it never fails: crypto/rand ends the process instead
	mark := make([]byte, 4)
	_, _ = rand.Read(mark)
	return newKey(now.UTC().Format(keyTime)+"-"+hex.EncodeToString(mark), secret)
}

func newKey(id string, secret []byte) (Key, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return Key{}, fmt.Errorf("use key %s: %w", id, err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return Key{}, fmt.Errorf("use key %s: %w", id, err)
	}
	m := material{aead, keyWord + " " + id + " " + base64.StdEncoding.EncodeToString(secret)}
	return Key{id, func() material { return m }}, nil
}

// Line is the key as its file holds it, without a line's end. It is the secret itself.
func (k Key) Line() string { return k.material().text }

// String names the key and does not show it.
func (k Key) String() string { return "key " + k.ID }

// ErrKey is what ParseKey's errors wrap. They never quote what they read.
var ErrKey = errors.New("not a key of SAM's")

// ParseKey reads a key's line, with or without blanks around it.
func ParseKey(line string) (Key, error) {
	parts := strings.Fields(line)
	if len(parts) != 3 || parts[0] != keyWord {
		return Key{}, fmt.Errorf("%w: it is one line, %q, an ID and 32 bytes in base64, as `sam keys new` writes it", ErrKey, keyWord)
	}
	if !keyID.MatchString(parts[1]) {
		return Key{}, fmt.Errorf("%w: its ID is not of the form 20060102T150405.000Z-0123abcd", ErrKey)
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(secret) != keyBytes {
		return Key{}, fmt.Errorf("%w: key %s is not %d bytes in base64", ErrKey, parts[1], keyBytes)
	}
	return newKey(parts[1], secret)
}

// Ring is the keys that a process has. The zero Ring has none. It is safe for concurrent use.
type Ring struct {
	keys []Key // newest first
}

// NewRing returns a ring of the keys, in whatever order they come. Two with one ID are an error, unless they are the same key.
func NewRing(keys ...Key) (Ring, error) {
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, func(a, b Key) int { return cmp.Compare(b.ID, a.ID) })
	for i := 1; i < len(sorted); i++ {
		if sorted[i].ID == sorted[i-1].ID && sorted[i].Line() != sorted[i-1].Line() {
			return Ring{}, fmt.Errorf("two different keys are called %s: one of their files was changed by hand", sorted[i].ID)
		}
	}
	return Ring{keys: slices.CompactFunc(sorted, func(a, b Key) bool { return a.ID == b.ID })}, nil
}

// Newest is the ID of the key that seals, "" for a ring without keys.
func (r Ring) Newest() string {
	if len(r.keys) == 0 {
		return ""
	}
	return r.keys[0].ID
}

// after returns now, or the first millisecond that a key newer than all of the ring's may be of.
func (r Ring) after(now time.Time) time.Time {
	made, err := time.Parse(keyTime, r.Newest()[:min(len(keyTime), len(r.Newest()))])
	if err == nil && now.Before(made.Add(time.Millisecond)) {
		return made.Add(time.Millisecond)
	}
	return now // it is later, or there is no key
}

// IDs are the keys' IDs, newest first.
func (r Ring) IDs() []string {
	ids := make([]string, len(r.keys))
	for i, k := range r.keys {
		ids[i] = k.ID
	}
	return ids
}

func (r Ring) key(id string) (Key, bool) {
	for _, k := range r.keys {
		if k.ID == id {
			return k, true
		}
	}
	return Key{}, false
}
