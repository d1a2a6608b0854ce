package forge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"sam/sandbox/github"
	"sam/task"
)

// heard is a world whose App takes its deliveries, or refuses them.
type heard struct {
	*world
	taken  atomic.Int64
	refuse atomic.Bool
}

func newHeard(t *testing.T) *heard {
	t.Helper()
	h := &heard{world: newWorld(t)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if h.refuse.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.taken.Add(1)
	}))
	t.Cleanup(server.Close)
	app, err := h.hub.CreateApp(github.AppSpec{Name: "Ears", Owner: "octo", WebhookURL: server.URL,
		Permissions: map[string]string{"issues": "write"}, Events: []string{"issues"}})
	h.check(err)
	_, err = h.hub.Install(app.ID, "octo", "hello")
	h.check(err)
	h.app = app
	h.connect(nil)
	h.settle()
	return h
}

func (h *heard) settle() {
	h.t.Helper()
	h.check(h.hub.Settle(h.t.Context()))
}

// events has n issues opened, each of which makes a delivery.
func (h *heard) events(n int) {
	h.t.Helper()
	for i := range n {
		_, err := h.hub.CreateIssue("octo", "octo", "hello", fmt.Sprintf("Issue %d", i), "")
		h.check(err)
	}
	h.settle()
}

// missed reads the log from a cursor to its end, the cursor taken through JSON as it is kept.
func (h *heard) missed(since task.LogCursor) ([]task.Missed, task.LogCursor) {
	h.t.Helper()
	var all []task.Missed
	for {
		kept, err := json.Marshal(since)
		h.check(err)
		since = task.LogCursor{}
		h.check(json.Unmarshal(kept, &since))
		missed, next, err := h.forge.MissedDeliveries(h.t.Context(), since)
		h.check(err)
		all = append(all, missed...)
		if since = next; next.Page == "" {
			return all, next
		}
	}
}

func TestDeliveriesWithoutSuccessAreListedAndSentAgain(t *testing.T) {
	h := newHeard(t)
	h.events(2)
	h.refuse.Store(true)
	h.events(3)
	missed, _ := h.missed(task.LogCursor{})
	if len(missed) != 3 {
		t.Fatalf("missed %v, want the 3 that were refused", missed)
	}
	h.check(h.forge.Redeliver(t.Context(), missed[0].ID))
	h.settle()
	again, _ := h.missed(task.LogCursor{})
	if len(again) != 3 {
		t.Errorf("when one was refused once more: %v, want 3 deliveries", again)
	}
	for _, m := range again {
		if m.GUID == missed[0].GUID && m.ID == missed[0].ID {
			t.Error("a delivery that was tried twice is named by its first attempt")
		}
	}
	h.refuse.Store(false)
	for _, m := range again {
		h.check(h.forge.Redeliver(t.Context(), m.ID))
	}
	h.settle()
	if left, _ := h.missed(task.LogCursor{}); len(left) != 0 {
		t.Errorf("when all were taken: %v", left)
	}
	if err := h.forge.Redeliver(t.Context(), 1); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("one that GitHub does not know: %v", err)
	}
}

func TestTheLogIsReadFromItsCursorOn(t *testing.T) {
	h := newHeard(t)
	h.refuse.Store(true)
	h.events(1)
	_, next := h.missed(task.LogCursor{})
	if next.Since.IsZero() || time.Since(next.Since) > time.Minute {
		t.Fatalf("the next look starts from %s", next.Since)
	}
	if soon, _ := h.missed(next); len(soon) != 1 {
		t.Errorf("right after: %v, want what was close to the cursor once more", soon)
	}
	next.Since = next.Since.Add(10 * time.Minute)
	if later, same := h.missed(next); len(later) != 0 || !same.Since.Equal(next.Since) {
		t.Errorf("later: %v, and the next look from %s; want none, from %s", later, same.Since, next.Since)
	}
}

func TestALongLogIsReadInSeveralGoes(t *testing.T) {
	h := newHeard(t)
	h.refuse.Store(true)
	h.events(1)
	h.refuse.Store(false)
	h.events(2005)
	_, first, err := h.forge.DeliveryLog(t.Context(), task.LogCursor{})
	h.check(err)
	if first.Page == "" || !first.Since.IsZero() {
		t.Fatalf("after the first go the cursor is %+v, want a page to go on with", first)
	}
	missed, next := h.missed(first)
	if len(missed) != 1 || next.Page != "" || next.Since.Before(first.Newest) {
		t.Errorf("the second go finds %v, and then %+v; want the oldest", missed, next)
	}
	log, _, err := h.forge.DeliveryLog(t.Context(), next)
	h.check(err)
	if len(log) == 0 || !log[0].Delivered || log[0].Event != "issues" || log[0].Action != "opened" || log[0].Repository == 0 || log[0].Attempts != 1 {
		t.Errorf("the log says %+v", log)
	}
}
