package seal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// version is the first byte of what is sealed.
const version = 1

// nonceBytes is the length of GCM's own nonce.
const nonceBytes = 12

// Errors of sealing and opening; compare with errors.Is.
var (
	// ErrNoKey: the ring has no keys, so it seals nothing.
	ErrNoKey = errors.New("there is no key to seal with: make one with `sam keys new` and name it in `keys` of the configuration")
	// ErrUnknownKey: what is sealed names a key that the ring does not have.
	ErrUnknownKey = errors.New("sealed with a key that is not in `keys` of the configuration")
	// ErrNotSealed: it is no sealed text, or not the whole of one.
	ErrNotSealed = errors.New("not a sealed text, or cut short")
	// ErrChanged: it was changed since, or was sealed for another owner: the two look the same.
	ErrChanged = errors.New("does not open: it was changed since it was sealed, or was sealed for another owner")
)

// Seal seals a text for its owner under the newest key: two calls never return the same. ErrNoKey.
func (r Ring) Seal(owner string, plaintext []byte) ([]byte, error) {
	if len(r.keys) == 0 {
		return nil, ErrNoKey
	}
	k := r.keys[0]
	aead := k.material().aead
	head := append([]byte{version, byte(len(k.ID))}, k.ID...) //nolint:gosec // 29, see keyID
	nonce := make([]byte, nonceBytes)
	_, _ = rand.Read(nonce) // it never fails: crypto/rand ends the process instead
	sealed := make([]byte, 0, len(head)+nonceBytes+len(plaintext)+aead.Overhead())
	sealed = append(append(sealed, head...), nonce...)
	return aead.Seal(sealed, nonce, plaintext, bound(head, owner)), nil
}

// Open returns the text that was sealed for the owner. ErrNotSealed, ErrUnknownKey with the key's ID, ErrChanged.
func (r Ring) Open(owner string, sealed []byte) ([]byte, error) {
	id, err := KeyOf(sealed)
	if err != nil {
		return nil, err
	}
	k, ok := r.key(id)
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknownKey, id)
	}
	head, rest := sealed[:2+len(id)], sealed[2+len(id):]
	aead := k.material().aead
	if len(rest) < nonceBytes+aead.Overhead() {
		return nil, ErrNotSealed
	}
	plaintext, err := aead.Open(nil, rest[:nonceBytes], rest[nonceBytes:], bound(head, owner))
	if err != nil {
		return nil, ErrChanged
	}
	return plaintext, nil
}

// KeyOf is the ID of the key that something says it was sealed with. ErrNotSealed.
func KeyOf(sealed []byte) (string, error) {
	if len(sealed) < 2 || sealed[0] != version || len(sealed) < 2+int(sealed[1]) {
		return "", ErrNotSealed
	}
	id := string(sealed[2 : 2+int(sealed[1])])
	if !keyID.MatchString(id) {
		return "", ErrNotSealed
	}
	return id, nil
}

// bound is the additional data: where the head ends is told by its length, so that no two owners have the same.
func bound(head []byte, owner string) []byte {
	data := binary.AppendUvarint(make([]byte, 0, len(head)+len(owner)+binary.MaxVarintLen64), uint64(len(head)))
	return append(append(data, head...), owner...)
}
