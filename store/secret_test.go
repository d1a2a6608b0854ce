package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"sam/store"
	"sam/task"
)

func sealed(name, text string) task.SealedSecret {
	return task.SealedSecret{Project: 7, Account: 5, Name: name, Set: created, Sealed: []byte(text)}
}

func putSecret(t *testing.T, s *store.Store, one task.SealedSecret) {
	t.Helper()
	if err := s.PutSecret(t.Context(), one); err != nil {
		t.Fatal(err)
	}
}

// secretsOf reads project 7's: the present ones as name=text, those that were replaced as name-text.
func secretsOf(t *testing.T, s *store.Store) string {
	t.Helper()
	list, err := s.Secrets(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, one := range list {
		sign := "="
		if !one.Replaced.IsZero() {
			sign = "-"
		}
		text += one.Name + sign + string(one.Sealed) + " "
	}
	return text
}

func TestASecretIsReplacedAndRemovedAndStillKnownForRedaction(t *testing.T) {
	s, _ := open(t)
	putSecret(t, s, sealed("B", "one"))
	putSecret(t, s, sealed("A", "two"))
	putSecret(t, s, sealed("A", "two")) // the same again
	if got := secretsOf(t, s); got != "A=two B=one " {
		t.Fatalf("%s", got)
	}
	list, err := s.Secrets(t.Context(), 7)
	if err != nil || list[0].Account != 5 || !list[0].Set.Equal(created) || list[0].Project != 7 {
		t.Errorf("read back %+v, %v", list, err)
	}
	putSecret(t, s, sealed("B", "three"))
	if err := s.RemoveSecret(t.Context(), 7, "A"); err != nil {
		t.Fatal(err)
	}
	if got := secretsOf(t, s); got != "A-two B=three B-one " {
		t.Errorf("%s", got)
	}
	if err := s.RemoveSecret(t.Context(), 7, "A"); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	if projects, err := s.SealedProjects(t.Context()); err != nil || fmt.Sprint(projects) != "[7]" {
		t.Errorf("projects with secrets: %v, %v", projects, err)
	}
}

func TestAProjectHasSoManySecretsAndNoMore(t *testing.T) {
	s, _ := open(t)
	for i := range task.MaxSecrets {
		putSecret(t, s, sealed(fmt.Sprintf("S%d", i), "text"))
	}
	if err := s.PutSecret(t.Context(), sealed("ONE_MORE", "text")); !errors.Is(err, task.ErrTooManySecrets) {
		t.Errorf("one more: %v", err)
	}
	putSecret(t, s, sealed("S1", "another"))
	if err := s.RemoveSecret(t.Context(), 7, "S2"); err != nil {
		t.Fatal(err)
	}
	putSecret(t, s, sealed("ONE_MORE", "text"))
}

func TestResealingNeverLosesWhatIsSetMeanwhile(t *testing.T) {
	s, server := open(t)
	putSecret(t, s, sealed("A", "old"))
	putSecret(t, s, sealed("A", "two"))
	list, err := s.Secrets(t.Context(), 7)
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	putSecret(t, connect(t, server), sealed("A", "set meanwhile"))
	for i, want := range []bool{false, true} { // the present one has changed, the one it replaced has not
		anew := list[i]
		anew.Sealed = append([]byte("anew "), anew.Sealed...)
		for range 2 { // an answer may be lost
			if done, err := s.ResealSecret(t.Context(), list[i], anew); err != nil || done != want {
				t.Errorf("%s: %v, %v", list[i].Sealed, done, err)
			}
		}
	}
	if got := secretsOf(t, s); got != "A=set meanwhile A-two A-anew old " {
		t.Errorf("%s", got)
	}
}

func TestSecretsThatAreSetAtOnceAreAllThere(t *testing.T) {
	s, _ := open(t)
	var group errgroup.Group
	for i := range 20 {
		group.Go(func() error { return s.PutSecret(t.Context(), sealed("A", fmt.Sprint("text ", i))) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	list, err := s.Secrets(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	present := 0
	for _, one := range list {
		if one.Replaced.IsZero() {
			present++
		} else if time.Since(one.Replaced) > time.Hour {
			t.Errorf("replaced at %s", one.Replaced)
		}
	}
	if present != 1 {
		t.Errorf("%d of one name", present)
	}
}
