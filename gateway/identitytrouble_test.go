package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sam/agent/wire"
	"sam/task"
)

// trouble is what the node's record says that its machine did wrong.
func (w *machineWorld) trouble() string {
	w.t.Helper()
	n, err := w.store.Node(w.t.Context(), "sam-1")
	if err != nil {
		w.t.Fatal(err)
	}
	return n.Trouble
}

func (w *machineWorld) troubled(words ...string) {
	w.t.Helper()
	got := w.trouble()
	for _, one := range words {
		if !strings.Contains(got, one) {
			w.t.Errorf("the node's trouble is %q, want %q", got, one)
		}
	}
	if len(words) == 0 && got != "" {
		w.t.Errorf("the node's trouble is %q, want none", got)
	}
}

// counting has the world count its machines' refusals, and returns how many there were.
func (w *machineWorld) counting() (counted func(trouble, float64)) {
	metrics := prometheus.NewRegistry()
	w.gateway.identity.refused = newMachineRefusals(metrics)
	return func(why trouble, want float64) {
		w.t.Helper()
		families, err := metrics.Gather()
		if err != nil {
			w.t.Fatal(err)
		}
		for _, m := range families[0].GetMetric() {
			if got := m.GetCounter().GetValue(); m.GetLabel()[0].GetValue() == string(why) && got != want {
				w.t.Errorf("%g are counted of %s, want %g", got, why, want)
			}
		}
	}
}

func TestAPersonIsToldThatATokenWasShownFromElsewhereUntilTheMachineCallsHome(t *testing.T) {
	t.Parallel()
	w := newMachineWorld(t)
	counted := w.counting()
	w.known()
	token := w.keys.BootstrapToken("sam-1", w.now())
	w.callFrom("198.51.100.9")
	w.refused(http.StatusForbidden, "which is not the machine's", token)
	w.troubled("shown from 198.51.100.9", "(203.0.113.7, 2001:db8:1::/64)", "`public.proxies`", "something has read the machine's user data")

	// Who calls from many addresses has the record written now and then, not each time.
	w.callFrom("198.51.100.10")
	w.refused(http.StatusForbidden, "which is not the machine's", token)
	w.troubled("shown from 198.51.100.9")
	w.later(troublePause + time.Second)
	w.refused(http.StatusForbidden, "which is not the machine's", token)
	w.troubled("shown from 198.51.100.10")
	counted(troubleElsewhere, 3)

	w.callFrom("203.0.113.7")
	w.given(token)
	w.troubled()
}

func TestAPersonIsToldThatAMachineCallsTwice(t *testing.T) {
	t.Parallel()
	w := newMachineWorld(t)
	counted := w.counting()
	w.known()
	token := w.keys.BootstrapToken("sam-1", w.now())
	w.given(token)
	first := w.key
	w.key = newMachineKey(t)
	w.refused(http.StatusUnauthorized, "another key", token)
	w.troubled("called home a second time, with another key", "SAM makes another for the task that waits")
	counted(troubleAgain, 1)
	w.key = first
	w.given("") // it goes on, and what happened stays
	w.troubled("called home a second time")
}

func TestAPersonIsToldThatAMachineCalledHomeTooLate(t *testing.T) {
	t.Parallel()
	w := newMachineWorld(t)
	counted := w.counting()
	w.known()
	token := w.keys.BootstrapToken("sam-1", w.now())
	w.later(BootstrapLife + time.Second)
	w.refused(http.StatusUnauthorized, "over 15m0s old", token)
	w.troubled("called home when the one-use token of its user data was over 15m0s old", "boot-report.json")
	counted(troubleLate, 1)
}

func TestATokenThatIsShownWhenTheMachineIsLongAtHomeSaysThatItWasRead(t *testing.T) {
	t.Parallel()
	w := newMachineWorld(t)
	w.known()
	token := w.keys.BootstrapToken("sam-1", w.now())
	w.given(token)
	if _, err := w.store.NodeLinked(t.Context(), task.Node{Name: "sam-1", Slots: 2}); err != nil {
		t.Fatal(err)
	}
	w.later(BootstrapLife + time.Second)
	w.key = newMachineKey(t)
	w.refused(http.StatusUnauthorized, "over 15m0s old", token)
	w.troubled("had done its work", "look at what ran there")
}

func TestAStrangerWritesNothingOnANode(t *testing.T) {
	t.Parallel()
	w := newMachineWorld(t)
	counted := w.counting()
	w.known()
	w.callFrom("198.51.100.9")
	others := w.keys.BootstrapToken("sam-2", w.now())
	w.refused(http.StatusUnauthorized, "not this node's", others)
	w.refused(http.StatusUnauthorized, "no such node", "")
	w.refused(http.StatusUnauthorized, "not signed", w.keys.BootstrapToken("sam-1", w.now()), func(r *wire.CredentialRequest) { r.Signature[0] ^= 1 })
	w.refused(http.StatusUnauthorized, "ask for another", w.keys.BootstrapToken("sam-1", w.now()), func(r *wire.CredentialRequest) { r.Challenge = "1.x" })
	w.troubled()
	for _, why := range []trouble{troubleElsewhere, troubleAgain, troubleLate} {
		counted(why, 0)
	}
}

func TestOfAMachineThatNobodyKnowsYetNothingIsSaid(t *testing.T) {
	t.Parallel()
	w := newMachineWorld(t)
	w.callFrom("198.51.100.9")
	w.refused(http.StatusServiceUnavailable, "has not said yet", w.keys.BootstrapToken("sam-1", w.now()))
	w.troubled()
}
