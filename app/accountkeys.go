package app

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"sam/seal"
	"sam/store"
	"sam/task"
)

// rotateAccounts seals accounts' tokens anew, each only if it is still the one that was read, and counts them. One that cannot be read
// ends it: it may need a key that would be thrown away.
func rotateAccounts(ctx context.Context, s *store.Store, ring seal.Ring, needed map[string]int) (*rotation, error) {
	tokens := &rotation{ring: ring, needed: needed}
	accounts, unread, err := s.Accounts(ctx)
	if err := cmp.Or(err, errors.Join(slices.Collect(maps.Values(unread))...)); err != nil {
		return tokens, err
	}
	for _, a := range accounts {
		before := a.Token
		a, err := s.ChangeAccount(ctx, a.ID, func(a task.Account) (task.Account, error) {
			before = a.Token
			anew, _, err := underNewest(ring, a.SealedFor(), a.Token)
			a.Token = anew
			return a, err
		})
		if err != nil {
			return tokens, fmt.Errorf("seal the token of account %d anew: %w", a.ID, err)
		}
		if len(a.Token) == 0 {
			continue
		}
		if !bytes.Equal(before, a.Token) {
			tokens.anew++
		}
		tokens.look(fmt.Sprintf("the token of account %d", a.ID), a.SealedFor(), a.Token)
	}
	return tokens, nil
}
