package simulator

import (
	"slices"
	"time"

	"sam/runner/policy"
)

// span is when a task held its slot.
type span struct{ from, to time.Time }

// bound compares a run with somebody who knew the future: who knows at which moments each slot will be needed, and rents
// machines for just that work, at just those moments. It returns
//
//   - the begun hours that he pays at least when he creates at most as many machines as the run had cold starts, and
//   - the number of machines that he creates at least when he pays at most the run's hours.
//
// Creations stand for cold starts, since in this pool a machine is only ever made for a task that found no free slot:
// every creation has at least one cold start, so fewer cold starts than the second number cannot be had for that money.
// (With a schedule of minimum machines there are creations without a cold start. Then neither number is a bound.)
//
// Both are true lower bounds of that problem, not its exact solution. Let d(t) be the machines that are needed at t: the tasks
// that run, divided by a machine's slots, rounded up. Any set of lives that does the work covers d, and the run's own does.
//
//  1. Begun hours. A life of n begun hours is n blocks of one hour, so at least as many are paid as the fewest blocks of one hour
//     that cover d; taking a new one only where there are too few, from the left, finds that number exactly.
//  2. Creations. The machines alive at t, h(t) >= d(t), step up as often as machines are created. Seen level by level, the
//     set of times where h is at least l contains the one where d is, and is of one piece more than it bridges gaps less.
//     k creations in all leave at most k pieces over all levels, so all but k pieces of d's levels are joined to the one before by
//     paying for the gap between; the cheapest are the shortest. So the lives last together at least the integral of d, plus
//     the pieces-k shortest gaps; and begun hours are at least that.
//
// The larger of both is the first result; the smallest k for which the second is within the run's hours is the second result.
// Booting, thus work begun later, deletion and caps are left out of the reckoning, which only lowers the bounds. Machines do
// not serve two accounts, so levels are counted for each account.
func bound(work map[int64][]span, slots, cold, paid int) (hours, creations int) {
	blocks := 0
	var total time.Duration
	var gaps []time.Duration
	levels := 0 // pieces that no gap joins to one before
	for _, spans := range work {
		steps := needed(spans, slots)
		blocks += cover(steps)
		sum, own, most := pieces(steps)
		total += sum
		gaps = append(gaps, own...)
		levels += most
	}
	slices.Sort(gaps)
	// lasting is how long lives last at least with k creations. There are len(gaps)+levels pieces; at least levels remain.
	joined := func(k int) int { return min(len(gaps), max(0, len(gaps)+levels-k)) }
	sums := make([]time.Duration, len(gaps)+1)
	for i, g := range gaps {
		sums[i+1] = sums[i] + g
	}
	begun := func(d time.Duration) int { return int((d + policy.BillingPeriod - 1) / policy.BillingPeriod) }
	hours = max(blocks, begun(total+sums[joined(cold)]))
	for creations = levels; begun(total+sums[joined(creations)]) > paid; creations++ {
		if joined(creations) == 0 {
			break // not even without bridging: paid is not what a run paid
		}
	}
	return hours, creations
}

// step is how many machines are needed from a time on.
type step struct {
	at       time.Time
	machines int
}

// needed is d(t), as the times at which it changes.
func needed(spans []span, slots int) []step {
	type edge struct {
		at   time.Time
		more int
	}
	var edges []edge
	for _, s := range spans {
		edges = append(edges, edge{s.from, 1}, edge{s.to, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return a.at.Compare(b.at) })
	var steps []step
	tasks := 0
	for i, e := range edges {
		tasks += e.more
		if i+1 < len(edges) && edges[i+1].at.Equal(e.at) {
			continue
		}
		machines := (tasks + slots - 1) / slots
		if len(steps) == 0 || steps[len(steps)-1].machines != machines {
			steps = append(steps, step{e.at, machines})
		}
	}
	return steps
}

// cover counts the fewest blocks of one hour that cover what is needed.
func cover(steps []step) int {
	blocks := 0
	var ends []time.Time // of the blocks that cover now, in order: each lasts as long as the others
	for i, s := range steps {
		for now := s.at; ; {
			for len(ends) > 0 && !ends[0].After(now) {
				ends = ends[1:]
			}
			for len(ends) < s.machines {
				ends = append(ends, now.Add(policy.BillingPeriod))
				blocks++
			}
			// Within the step a block may end, and then another is needed.
			if len(ends) == 0 || i+1 < len(steps) && !ends[0].Before(steps[i+1].at) || i+1 == len(steps) {
				break
			}
			now = ends[0]
		}
	}
	return blocks
}

// pieces sums what is needed over all levels, and lists the gaps between the pieces of each level. levels is how many there are.
func pieces(steps []step) (total time.Duration, gaps []time.Duration, levels int) {
	var since []time.Time // when the piece of a level began or, of one that is not needed now, ended
	height := 0
	for _, s := range steps {
		for ; height < s.machines; height++ {
			if height == len(since) {
				since = append(since, s.at)
				continue
			}
			gaps = append(gaps, s.at.Sub(since[height]))
			since[height] = s.at
		}
		for ; height > s.machines; height-- {
			total += s.at.Sub(since[height-1])
			since[height-1] = s.at
		}
	}
	return total, gaps, len(since)
}
