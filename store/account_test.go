package store_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"sam/store"
	"sam/task"
)

// change changes account 5.
func change(t *testing.T, s *store.Store, how func(*task.Account)) task.Account {
	t.Helper()
	got, err := s.ChangeAccount(t.Context(), 5, func(a task.Account) (task.Account, error) {
		how(&a)
		return a, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWhatIsSetForAnAccountIsReadBackUntilNothingIs(t *testing.T) {
	s, server := open(t)
	if _, err := s.Account(t.Context(), 5); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	machines, daily, policy := 0, int64(-1), "fixed-10m"
	set := change(t, s, func(a *task.Account) {
		a.Login, a.Token, a.Set, a.Machines, a.Daily, a.Policy = "octo", []byte("sealed"), created, &machines, &daily, &policy
	})
	other := connect(t, server)
	if got, err := other.Account(t.Context(), 5); err != nil || !reflect.DeepEqual(got, set) || got.ID != 5 || *got.Machines != 0 || got.Monthly != nil {
		t.Errorf("read back %+v, %v; set %+v", got, err, set)
	}
	if all, _, err := other.Accounts(t.Context()); err != nil || len(all) != 1 || all[0].ID != 5 {
		t.Errorf("accounts %+v, %v", all, err)
	}
	change(t, s, func(a *task.Account) { *a = a.Gone() })
	if got, err := s.Account(t.Context(), 5); err != nil || len(got.Token) > 0 || *got.Machines != 0 {
		t.Errorf("without its token: %+v, %v", got, err)
	}
	change(t, s, func(a *task.Account) { *a = task.Account{Login: "octo"} })
	if _, err := s.Account(t.Context(), 5); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("with nothing set: %v", err)
	}
	if all, _, err := s.Accounts(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("accounts %+v, %v", all, err)
	}
}

func TestAnAccountWithNothingSetCanBeWithdrawn(t *testing.T) {
	s, _ := open(t)
	for range 2 {
		if err := s.WithdrawAccount(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Account(t.Context(), 5); err != nil || !got.Withdrawn {
		t.Errorf("%+v, %v", got, err)
	}
	change(t, s, func(a *task.Account) { *a = a.Gone() })
	if _, err := s.Account(t.Context(), 5); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("when it has no machine: %v", err)
	}
}

func TestOfChangesToAnAccountAtOnceNoneIsLost(t *testing.T) {
	s, server := open(t)
	replicas := []*store.Store{s, connect(t, server)}
	var group errgroup.Group
	for i := range 20 {
		group.Go(func() error {
			_, err := replicas[i%2].ChangeAccount(t.Context(), 5, func(a task.Account) (task.Account, error) {
				machines := 1
				if a.Machines != nil {
					machines = *a.Machines + 1
				}
				a.Machines = &machines
				return a, nil
			})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Account(t.Context(), 5); err != nil || *got.Machines != 20 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAChangeThatIsRefusedChangesNothing(t *testing.T) {
	s, _ := open(t)
	refused := errors.New("refused")
	_, err := s.ChangeAccount(t.Context(), 5, func(a task.Account) (task.Account, error) {
		a.Withdrawn = true
		return a, refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
	if _, err := s.Account(t.Context(), 5); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestATokenIsSealedForItsAccountAlone(t *testing.T) {
	if a, b := (task.Account{ID: 5}).SealedFor(), (task.Account{ID: 51}).SealedFor(); a == b || a != fmt.Sprint("account/", 5, "/hetzner") {
		t.Errorf("%s and %s", a, b)
	}
}

func TestARecordThatCannotBeReadHoldsUpNoOtherAccount(t *testing.T) {
	s, server := open(t)
	change(t, s, func(a *task.Account) { a.Token = []byte("sealed") })
	if err := s.WithdrawAccount(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	redis := raw(t, server)
	record, err := redis.Keys(t.Context(), "*account:5").Result()
	if err != nil || len(record) != 1 {
		t.Fatalf("%q, %v", record, err)
	}
	if err := redis.Set(t.Context(), record[0], `{"id":5,"of_a_newer_release":true}`, 0).Err(); err != nil {
		t.Fatal(err)
	}
	all, unread, err := s.Accounts(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != 6 || len(unread) != 1 || !strings.Contains(fmt.Sprint(unread[5]), "of_a_newer_release") {
		t.Errorf("%+v, %v, %v", all, unread, err)
	}
}
