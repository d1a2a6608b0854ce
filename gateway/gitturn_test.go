package gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestATaskHasOnePushUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns pushTurns
		over, err := turns.take(t.Context(), "t1")
		if err != nil {
			t.Fatal(err)
		}
		if other, err := turns.take(t.Context(), "t2"); err != nil {
			t.Errorf("another task's: %v", err)
		} else {
			other()
		}
		waited := make(chan func(), 3)
		for range 3 {
			go func() {
				next, err := turns.take(t.Context(), "t1")
				if err != nil {
					t.Error(err)
				}
				waited <- next
			}()
		}
		for range 3 {
			synctest.Wait()
			if len(waited) != 0 {
				t.Fatal("two pushes are under way")
			}
			over()
			over = <-waited
		}
		within, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := turns.take(within, "t1"); err == nil {
			t.Error("the wait does not end with its request")
		}
		over()
		if len(turns.under) != 0 {
			t.Errorf("turns are left: %v", turns.under)
		}
	})
}

func TestAPushThatWaitsForAnotherHoldsNothingAndSaysSoInTheEnd(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t, GitLimits{Time: 300 * time.Millisecond})
	over, err := w.git.turns.take(t.Context(), "t1")
	if err != nil {
		t.Fatal(err)
	}
	id := w.must(w.bare, "rev-parse", "main")
	status, answer := w.post(receivePackService, pushBody(zeroID, id, samBranch, "report-status"), nil)
	if status != http.StatusServiceUnavailable || !strings.Contains(answer, "another push of this task is under way; try again when it is over") {
		t.Errorf("%d %q", status, answer)
	}
	if n := w.asked(http.MethodGet, "/info/refs"); n != 0 {
		t.Errorf("upstream was asked %d times", n)
	}
	over()
	if _, answer := w.post(receivePackService, pushBody(zeroID, id, samBranch, "report-status"), nil); strings.Contains(answer, "another push") {
		t.Errorf("when that is over: %q", answer)
	}
}
