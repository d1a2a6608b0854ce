package pool

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sam/runner/policy"
	"sam/task"
)

func TestAMachineIsMadeForATaskAndGoesWhenItDoesNotPayAnyMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.replica(w.store)
	one, now := w.wanted(), time.Now()
	if node, wait := w.place(p, one, now); node != "" {
		t.Fatalf("it is placed on %s", node)
	} else {
		contains(t, wait, "SAM makes a machine for this: cx33 in fsn1, which costs 0.010472 EUR for each begun hour, its address included. If it is sold out another is taken, of 0.020944 EUR at most.", "may have 5 machines at once, and spend 5.00 EUR a day and 50.00 EUR a month.")
	}
	w.once(p, now)
	w.agree(1)
	made := w.nodes()[0]
	server := w.hub.History().Servers[0]
	if made.State != task.NodeBooting || made.Account != acme || made.Slots != slots || server.Labels["sam-node"] != made.Name || server.Labels["sam-counter"] == "" {
		t.Fatalf("made is %+v as %+v", made, server)
	}
	w.once(p, now) // it boots: no other is made
	w.agree(1)

	w.link(made.Name)
	if node, wait := w.place(p, one, now); node != made.Name {
		t.Fatalf("the task waits: %s", wait)
	}
	created := made.Machine.Created
	w.once(p, created.Add(59*time.Minute))
	if paid := w.fleet(now).Hours[made.Name]; paid != 2 {
		t.Errorf("it is at work, its second hour is about to begin, and %d are paid", paid)
	}
	// Redis's clock says when the task has ended: now.
	w.ended(one.ID)
	if next := w.once(p, created.Add(20*time.Minute)); next.Before(created.Add(57*time.Minute)) || next.After(created.Add(time.Hour)) {
		t.Errorf("it is to be looked at again at %s, the end of its hour", next.Sub(created))
	}
	w.agree(1)
	w.once(p, created.Add(58*time.Minute+30*time.Second)) // idle for longer than the policy allows
	w.once(p, created.Add(58*time.Minute+31*time.Second))
	w.agree(0)
	calls := 0
	for _, c := range w.hub.History().Calls {
		if !slices.ContainsFunc([]string{"/server_types", "/pricing", "/firewalls"}, func(once string) bool { return strings.HasSuffix(c.Path, once) }) {
			calls++
		}
	}
	if calls > 10 {
		t.Errorf("its life took %d calls of Hetzner's: %+v", calls, w.hub.History().Calls)
	}
	if f := w.fleet(now); f.Day != made.Machine.Hour {
		t.Errorf("it cost %d, and one hour was begun", f.Day)
	}
}

func TestAMachineThatIsAtWorkInItsNextHourWithoutMoneyStopsItsTasks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.replica(w.store)
	one, now := w.wanted(), time.Now()
	w.once(p, now)
	made := w.nodes()[0]
	w.link(made.Name)
	w.place(p, one, now)
	w.way.Caps.Daily = 0
	w.once(p, made.Machine.Created.Add(policy.BillingPeriod-time.Second))
	got, err := w.store.Task(t.Context(), one.ID)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, got.Cancel, "its machine's next hour costs more than the account may spend", "daily budget", "What was pushed is on the branch")
}
