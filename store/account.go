package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// Account reads what was set for an account. task.ErrNotFound when nothing was.
func (s *Store) Account(ctx context.Context, account int64) (task.Account, error) {
	text, err := s.accountText(ctx, account)
	if err == nil && text == "" {
		err = fmt.Errorf("account %d: %w", account, task.ErrNotFound)
	}
	if err != nil {
		return task.Account{}, err
	}
	return decodeAccount(account, text)
}

// Accounts lists the accounts for which something was set, by their ids. Beside it stands what is wrong with each record that cannot be
// read, as one of a newer release may be: it holds up no other account.
func (s *Store) Accounts(ctx context.Context) (all []task.Account, unread map[int64]error, err error) {
	members, err := s.members(ctx, partition.accounts)
	if err != nil {
		return nil, nil, fmt.Errorf("list accounts: %w", err)
	}
	unread = map[int64]error{}
	for _, m := range members {
		n, err := strconv.ParseInt(m, 10, 64)
		if err != nil {
			return nil, nil, fmt.Errorf("list accounts: %q is no id: %w", m, err)
		}
		text, err := s.accountText(ctx, n)
		if err != nil {
			return nil, nil, err
		}
		if text == "" {
			continue // removed since
		}
		a, err := decodeAccount(n, text)
		if err != nil {
			unread[n] = err
			continue
		}
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b task.Account) int { return cmp.Compare(a.ID, b.ID) })
	return all, unread, nil
}

// ChangeAccount makes of what was set for an account what change returns, and returns that. An account for which nothing was
// set has an ID alone, and so has one of which nothing is to be kept. change is called again when somebody else has changed
// it meanwhile, or when Redis's answer was lost: to make it twice is to be the same as once. Its error ends it.
func (s *Store) ChangeAccount(ctx context.Context, account int64, change func(task.Account) (task.Account, error)) (task.Account, error) {
	for {
		text, err := s.accountText(ctx, account)
		if err != nil {
			return task.Account{}, err
		}
		was, err := decodeAccount(account, text)
		if err != nil {
			return task.Account{}, err
		}
		now, err := change(was)
		if err != nil {
			return task.Account{}, err
		}
		now.ID = account
		wanted, err := encodeAccount(now)
		if err != nil {
			return task.Account{}, err
		}
		if wanted == text {
			return now, nil
		}
		p := s.partitions.account(account)
		done, err := s.runKept(ctx, p, "account", []string{p.account(account), p.accounts()}, account, text, wanted).Int()
		if err != nil {
			return task.Account{}, fmt.Errorf("set account %d: %w", account, err)
		}
		if done == 1 {
			return now, nil
		}
	}
}

// WithdrawAccount notes that an account is to have no machines any more: those that there are go, and then its token, if it has
// one, is forgotten.
func (s *Store) WithdrawAccount(ctx context.Context, account int64) error {
	_, err := s.ChangeAccount(ctx, account, func(a task.Account) (task.Account, error) {
		a.Withdrawn = true
		return a, nil
	})
	return err
}

// AccountLeft withdraws an account that has removed the App, if it has machines, or a token to be forgotten.
func (s *Store) AccountLeft(ctx context.Context, account int64) error {
	machines, err := s.rdb.HLen(ctx, s.partitions.account(account).fleet(account)).Result()
	if err != nil {
		return fmt.Errorf("look for machines of account %d: %w", account, err)
	}
	a, err := s.Account(ctx, account)
	if err != nil && !errors.Is(err, task.ErrNotFound) {
		return err
	}
	if machines == 0 && len(a.Token) == 0 {
		return nil
	}
	return s.WithdrawAccount(ctx, account)
}

func (s *Store) accountText(ctx context.Context, account int64) (string, error) {
	text, err := s.rdb.Get(ctx, s.partitions.account(account).account(account)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("read account %d: %w", account, err)
	}
	return text, nil
}

// encodeAccount is "" for one of which nothing is to be kept.
func encodeAccount(a task.Account) (string, error) {
	if a.None() {
		return "", nil
	}
	a.Set = a.Set.UTC()
	text, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("encode account %d: %w", a.ID, err)
	}
	return string(text), nil
}

func decodeAccount(account int64, text string) (task.Account, error) {
	a := task.Account{ID: account}
	if text == "" {
		return a, nil
	}
	strict := json.NewDecoder(bytes.NewReader([]byte(text)))
	strict.DisallowUnknownFields() // else a change would lose what a newer release wrote
	if err := strict.Decode(&a); err != nil {
		return a, fmt.Errorf("decode account %d: %w", account, err)
	}
	return a, nil
}
