package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sam/config"
	"sam/runner/cloud"
	"sam/store"
)

// readHetznerToken reads a token from a file of one line. A config.Error of the key says what is wrong and does not quote it.
func readHetznerToken(key, path string) (string, error) {
	token, err := config.Secret(key, path)
	if err != nil {
		return "", err
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) || len(token) > maxToken {
		return "", config.Error{Key: key, Why: path + " holds no token of Hetzner's: that is one line of letters and digits"}
	}
	return token, nil
}

// maxToken is more than a token of Hetzner's has: 64 bytes.
const maxToken = 512

// fingerprint tells one token from another, and not what it is.
func fingerprint(token []byte) string {
	sum := sha256.Sum256(token)
	return "sha256:" + hex.EncodeToString(sum[:8])
}

// strayMachines lists the account's machines that a provider with another token does not see.
func strayMachines(ctx context.Context, s *store.Store, account int64, p cloud.Provider) ([]string, error) {
	names, err := machineNames(ctx, s, account)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	seen, err := p.List(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(seen, func(m cloud.Machine) bool { return m.Name == name })
	}), nil
}

// machineNames are those of an account's machines, also of such as are being made.
func machineNames(ctx context.Context, s *store.Store, account int64) ([]string, error) {
	fleet, err := s.Fleet(ctx, account, time.Now())
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(fleet.Hours))
	for name := range fleet.Hours {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// mayReplace says why a token must not take the place of another, nil when it may: nobody could delete machines that it does not
// see. before is the provider by the token that there is, nil for none; abandon says that they are left to the person.
func mayReplace(ctx context.Context, s *store.Store, account int64, fresh, before cloud.Provider, abandon bool) error {
	stray, err := strayMachines(ctx, s, account, fresh)
	if err != nil || len(stray) == 0 {
		return err
	}
	dead := before == nil
	if !dead {
		var refused cloud.CredentialError
		_, err := before.List(ctx, time.Now())
		dead = errors.As(err, &refused)
	}
	list := strings.Join(stray, ", ")
	switch {
	case dead && abandon:
		return nil
	case dead:
		return fmt.Errorf("the project of this token does not have %s, which SAM made for the account, and the token by which it did is of no use any more. Give a token of that project; "+
			"or delete them yourself (Hetzner: Cloud Console) and say --abandon", list)
	case abandon:
		return fmt.Errorf("--abandon is for machines that SAM cannot delete, and the token that there is works: let %s go first, with `sam account remove %d`", list, account)
	}
	return fmt.Errorf("the project of this token does not have %s, which SAM made for the account: it is another project, or they are being made at this moment. "+
		"Let them go first: `sam account remove %d`, and set the token when `sam account show %d` says that there are none", list, account, account)
}
