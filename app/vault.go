package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sam/config"
	"sam/seal"
	"sam/store"
	"sam/task"
)

// vault opens what the store keeps sealed. It holds the keys and no secret.
type vault struct {
	store *store.Store
	keys  config.Keys

	mu   sync.Mutex
	ring seal.Ring
	read time.Time           // when the keys were
	told map[string]struct{} // what cannot be opened, and was logged
}

// keysAgain is how often the key files are read again while something is sealed with a key that is not known: the operator has
// made a new one.
const keysAgain = 10 * time.Second

// loadKeys reads the keys that a configuration names; none for a configuration that names none.
func loadKeys(c config.Keys) (seal.Ring, error) {
	if c.None() {
		return seal.Ring{}, nil
	}
	ring, err := seal.Load(c.Files, c.Dir)
	if err != nil {
		return seal.Ring{}, config.Error{Key: "keys", Why: err.Error()}
	}
	return ring, nil
}

func newVault(s *store.Store, c config.Keys, ring seal.Ring) *vault {
	return &vault{store: s, keys: c, ring: ring, read: time.Now(), told: map[string]struct{}{}}
}

// open returns a secret's value.
func (v *vault) open(one task.SealedSecret) (string, error) {
	text, err := v.unseal(one.Owner(), one.Sealed)
	return string(text), err
}

// unseal opens whatever is sealed. Nil, the vault of a server without keys, opens nothing.
func (v *vault) unseal(owner string, sealed []byte) ([]byte, error) {
	if v == nil {
		return seal.Ring{}.Open(owner, sealed)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	text, err := v.ring.Open(owner, sealed)
	if errors.Is(err, seal.ErrUnknownKey) && time.Since(v.read) > keysAgain {
		v.read = time.Now()
		ring, failed := loadKeys(v.keys)
		if failed != nil {
			return nil, errors.Join(err, failed)
		}
		v.ring = ring
		text, err = ring.Open(owner, sealed)
	}
	return text, err
}

// Secrets implements gateway.Secrets.
func (v *vault) Secrets(ctx context.Context, project, account int64) (open []task.Secret, closed map[string]string, err error) {
	all, err := v.store.Secrets(ctx, project)
	if err != nil {
		return nil, nil, err
	}
	closed = map[string]string{}
	for _, one := range all {
		if !one.Replaced.IsZero() {
			continue
		}
		if one.Account != account {
			closed[one.Name] = "it was set while another account owned this repository, and is not given to the new one; the operator sets it again with `sam secret set`"
			continue
		}
		value, err := v.open(one)
		if err != nil {
			v.tell(ctx, one, err)
			closed[one.Name] = fmt.Sprintf("it cannot be opened (%s); the operator gives this server its key, or sets it again with `sam secret set`", reasonClosed(err))
			continue
		}
		open = append(open, task.Secret{Name: one.Name, Value: value})
	}
	return open, closed, nil
}

// Redacted implements gateway.Secrets. What cannot be opened cannot be looked for, and was given to nobody by this server.
func (v *vault) Redacted(ctx context.Context, project int64) ([]task.Secret, error) {
	all, err := v.store.Secrets(ctx, project)
	if err != nil {
		return nil, err
	}
	open := make([]task.Secret, 0, len(all))
	for _, one := range all {
		value, err := v.open(one)
		if err != nil {
			v.tell(ctx, one, err)
			continue
		}
		open = append(open, task.Secret{Name: one.Name, Value: value})
	}
	return open, nil
}

// reasonClosed is what a person of the project may know of why a secret cannot be opened: not where the operator keeps keys.
func reasonClosed(err error) string {
	for _, known := range []error{seal.ErrUnknownKey, seal.ErrChanged, seal.ErrNotSealed} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "the server's log says why"
}

// tell logs, once, that a secret cannot be opened.
func (v *vault) tell(ctx context.Context, one task.SealedSecret, err error) {
	what := fmt.Sprint(one.Owner(), one.Set, one.Replaced)
	v.mu.Lock()
	_, told := v.told[what]
	v.told[what] = struct{}{}
	v.mu.Unlock()
	if !told {
		zerolog.Ctx(ctx).Error().Err(err).Int64("project", one.Project).Str("secret", one.Name).
			Msg("a project's secret cannot be opened: it is given to no workspace, and not looked for in what agents say")
	}
}
