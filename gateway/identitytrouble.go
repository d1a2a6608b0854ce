package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"sam/task"
)

// trouble is what a machine did wrong that had its node's own bootstrap token, as the metric has it.
type trouble string

const (
	troubleElsewhere trouble = "elsewhere" // it called from an address that is not the machine's
	troubleAgain     trouble = "again"     // it called with a second key
	troubleLate      trouble = "late"      // it called when the token was too old
)

// elsewhere, again and late are the refusals that a person should know of, with the words for it: they follow "the machine was
// made and is given up". The node's record has them, and only whoever had the node's own token comes so far.

func elsewhere(n task.Node, from netip.Addr) denial {
	return denial{
		http.StatusForbidden, fmt.Sprintf("the bootstrap token was shown from %s, which is not the machine's address", from), troubleElsewhere,
		fmt.Sprintf("the one-use token of its user data was shown from %s, which is not one of its own addresses (%s), and was refused. "+
			"If that address is a reverse proxy's before SAM, list it in `public.proxies` of SAM's configuration; "+
			"if it is a NAT's or a private network's, let machines reach `public.url` by their public addresses. "+
			"Else something has read the machine's user data: see who may in the provider's project, and what ran there.",
			from, strings.Join(n.Machine.Addresses, ", ")),
	}
}

func again(n task.Node, err error) denial {
	return denial{
		http.StatusUnauthorized, err.Error(), troubleAgain,
		fmt.Sprintf("it called home a second time, with another key than the one that it had made before, and was refused. "+
			"Something that runs on it has read its user data, or it was installed anew or lost its files. "+
			"A machine is not trusted again after that: SAM makes another for the task that waits. Look at what ran on %s.", n.Name),
	}
}

func late(n task.Node) denial {
	text := fmt.Sprintf("it called home when the one-use token of its user data was over %s old, and was refused. "+
		"It took too long to boot or could not reach `public.url` of SAM's configuration before: /var/lib/sam/boot-report.json on the machine and the provider's console say what took the time. "+
		"If it did not, set the clock of SAM's server.", BootstrapLife)
	if n.State != task.NodeBooting {
		text = fmt.Sprintf("the one-use token of its user data was shown when it had done its work and was over %s old, and was refused. "+
			"Something that runs on it has read its user data: look at what ran there.", BootstrapLife)
	}
	return denial{
		http.StatusUnauthorized, fmt.Sprintf("the bootstrap token is over %s old: a machine that takes so long is let go, and another made", BootstrapLife),
		troubleLate, text,
	}
}

// Bounds of what a machine that calls again and again costs: how often its node's record is written, and how many nodes are
// remembered for that.
const (
	troublePause = 10 * time.Second
	maxTroubled  = 10_000
)

// machineRefusals counts machines that were refused, and bounds how often that is noted.
type machineRefusals struct {
	count *prometheus.CounterVec

	mu    sync.Mutex
	noted map[string]time.Time // by node
}

// newMachineRefusals registers the metric, unless r is nil.
func newMachineRefusals(r prometheus.Registerer) *machineRefusals {
	m := &machineRefusals{
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sam_machine_refused_total",
			Help: "Requests for a credential with a node's own bootstrap token that were refused, by why: elsewhere is from an address that is not the machine's, again is with a second key, late is with a token that is too old.",
		}, []string{"why"}),
		noted: map[string]time.Time{},
	}
	for _, why := range []trouble{troubleElsewhere, troubleAgain, troubleLate} {
		m.count.WithLabelValues(string(why))
	}
	if r != nil {
		r.MustRegister(m.count)
	}
	return m
}

// may reports whether a node's record may be written now.
func (m *machineRefusals) may(node string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last, ok := m.noted[node]; ok && now.Sub(last) < troublePause {
		return false
	}
	if len(m.noted) >= maxTroubled {
		clear(m.noted)
	}
	m.noted[node] = now
	return true
}

// note has the node's record say what its machine did wrong, unless it says so already.
func (i *identity) note(ctx context.Context, node string, no denial) {
	if no.trouble == "" {
		return
	}
	i.refused.count.WithLabelValues(string(no.trouble)).Inc()
	n, err := i.machines.Node(ctx, node)
	if err == nil && (n.Trouble == no.text || !i.refused.may(node, i.now())) {
		return
	}
	if err == nil {
		err = i.machines.NoteMachineTrouble(ctx, node, no.text)
	}
	if err != nil && !errors.Is(err, task.ErrNotFound) {
		zerolog.Ctx(ctx).Warn().Err(err).Str("node", node).Msg("what a machine did wrong is not noted on its node")
	}
}
