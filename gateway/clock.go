package gateway

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// clockOff is how far a node's clock may be from the server's before that is worth a line in the log. Nothing depends on
// it: order is by number, leases are by Redis's clock. But what the agent does may, from certificates to the dates of its
// commits, and the times of its events are shown to people.
const clockOff = time.Minute

// clocks compares the nodes' clocks with the server's.
type clocks struct{ offset *prometheus.GaugeVec }

// newClocks registers the metric, unless r is nil.
func newClocks(r prometheus.Registerer) clocks {
	c := clocks{prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sam_node_clock_offset_seconds",
		Help: "How far a node's clock is ahead of the server's by its last beat; negative when it is behind.",
	}, []string{"node"})}
	if r != nil {
		r.MustRegister(c.offset)
	}
	return c
}

// note notes what a node's clock said when its beat came, and reports whether it is off. It is logged when that is news.
func (c clocks) note(ctx context.Context, node string, at time.Time, was bool) bool {
	if at.IsZero() { // a node of an earlier release does not tell
		return was
	}
	offset := time.Until(at)
	c.offset.WithLabelValues(node).Set(offset.Seconds())
	off := offset.Abs() > clockOff
	if off && !was {
		zerolog.Ctx(ctx).Warn().Dur("ahead", offset).Msg("the node's clock is off; set it, for what its agents do may depend on it")
	}
	return off
}
