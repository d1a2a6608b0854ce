package hetzner_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"

	"sam/sandbox/hetzner"
)

// sluggish are machines that run nothing, and are gone only when gone is closed.
type sluggish struct {
	booted chan time.Duration // how long each boot may take
	gone   chan struct{}
}

func (s sluggish) Boot(ctx context.Context, _ hetzner.MachineSpec) (hetzner.Machine, error) {
	by, bounded := ctx.Deadline()
	if !bounded {
		by = time.Time{}
	}
	s.booted <- time.Until(by)
	return s, nil
}

func (s sluggish) Halt(context.Context) error    { return nil }
func (s sluggish) Restart(context.Context) error { return nil }
func (s sluggish) Exited() <-chan struct{}       { return nil }
func (s sluggish) Log() string                   { return "" }

func (s sluggish) Remove(ctx context.Context) error {
	select {
	case <-s.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begun makes a server and moves the clock until its machine boots.
func (s sluggish) begun(t *testing.T, w *world, clock *clock) (sv *hcloud.Server, mayTake time.Duration) {
	t.Helper()
	made, _, err := w.client.Server.Create(t.Context(), order("slow"))
	if err != nil {
		t.Fatal(err)
	}
	clock.pass(time.Minute)
	if sv = w.server(t, made.Server.ID); sv.Status != hcloud.ServerStatusRunning {
		t.Fatalf("after a minute it is %s", sv.Status)
	}
	select {
	case mayTake = <-s.booted:
	case <-t.Context().Done():
		t.Fatal("no machine has booted")
	}
	return sv, mayTake
}

func newSluggish(t *testing.T) (*world, sluggish, *clock, func()) {
	t.Helper()
	s, clock := sluggish{make(chan time.Duration, 1), make(chan struct{})}, newClock()
	w := begin(t, hetzner.Options{Now: clock.now, Machines: s})
	release := sync.OnceFunc(func() { close(s.gone) })
	t.Cleanup(release) // before the stand-in is closed, which waits for its machines
	return w, s, clock, release
}

func TestAMachineThatDoesNotComeUpIsNotWaitedForForever(t *testing.T) {
	w, machines, clock, _ := newSluggish(t)
	if _, mayTake := machines.begun(t, w, clock); mayTake <= 0 || mayTake > 10*time.Minute {
		t.Errorf("its boot may take %s", mayTake)
	}
}

func TestADeletionEndsWhenTheMachineIsGoneHoweverFarTheClockHasJumped(t *testing.T) {
	w, machines, clock, release := newSluggish(t)
	sv, _ := machines.begun(t, w, clock)
	gone, _, err := w.client.Server.DeleteWithResult(t.Context(), sv)
	if err != nil {
		t.Fatal(err)
	}
	clock.pass(50 * 365 * 24 * time.Hour)
	action := func() *hcloud.Action {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		a, _, err := w.client.Action.GetByID(ctx, gone.Action.ID)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := action(); a.Status != hcloud.ActionStatusRunning || w.server(t, sv.ID) == nil {
		t.Fatalf("its machine is there, and the action is %s", a.Status)
	}
	release()
	for a := action(); a.Status == hcloud.ActionStatusRunning; a = action() {
		clock.pass(time.Second)
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the deletion has not ended")
		}
	}
	if w.server(t, sv.ID) != nil {
		t.Error("the server is still there")
	}
}

func TestACatalogueThatCannotBeShownIsRefused(t *testing.T) {
	here := []schema.Location{{ID: 1, Name: "here"}}
	for want, offers := range map[string][]hetzner.Offer{
		"offered nowhere":               nil,
		`"there", which is none of its`: {{Location: "here"}, {Location: "there"}},
	} {
		_, err := hetzner.New(hetzner.Options{Catalogue: hetzner.Catalogue{Locations: here, Types: []hetzner.Type{{ID: 1, Name: "t1", Offers: offers}}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
