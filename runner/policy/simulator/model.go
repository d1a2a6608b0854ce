package simulator

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"sam/task"
)

// The synthetic model: people who work in office hours, come back to what was done after a time to think, and now and
// then label several issues at once. The numbers are assumptions, not measurements of users; they were written down, and the
// traces under bench/traces drawn, before any policy was run on them.
const (
	modelWeeks   = 4
	weekendShare = 0.05 // of an office day's tasks, on each day of a weekend
	eveningShare = 0.05 // of the sessions begin between 18:00 and 23:00
	lunchShare   = 0.3  // of the other hours' sessions begin in the hour from 12:00

	burstShare = 0.2 // of the tasks come from labels, put on 3 to 6 issues in one go
	burstLeast = 3
	burstMost  = 6
	burstPause = 10 * time.Second // mean between two labels

	followUp     = 0.6             // the chance that a person has another wish when a task is done: 2.5 tasks a session
	thinkMedian  = 8 * time.Minute // log-normal: 14 % think longer than half an hour, 5 % longer than an hour
	thinkSpread  = 1.2
	runMedian    = 6 * time.Minute // log-normal, mean 9 minutes
	runSpread    = 0.9
	shortestRun  = 30 * time.Second
	longestRun   = time.Hour
	modelAccount = 1
)

// modelStart is a Monday.
var modelStart = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// Synthetic draws four weeks of one account's tasks, on average rate of them on each day from Monday to Friday. The same
// rate and seed give the same trace.
func Synthetic(rate float64, seed uint64) Trace {
	m := model{Rand: rand.New(rand.NewPCG(seed, math.Float64bits(rate)))} //nolint:gosec // a model is to be repeated, not guessed at
	for day := range modelWeeks * 7 {
		date := modelStart.AddDate(0, 0, day)
		expected := rate
		if w := date.Weekday(); w == time.Saturday || w == time.Sunday {
			expected *= weekendShare
		}
		for range m.poisson(expected * (1 - burstShare) * (1 - followUp)) { // a session has 1/(1-followUp) tasks
			m.session(date.Add(m.moment()))
		}
		for range m.poisson(expected * burstShare / ((burstLeast + burstMost) / 2.0)) {
			m.burst(date.Add(m.moment()))
		}
	}
	slices.SortStableFunc(m.arrivals, func(a, b Arrival) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Thread, b.Thread))
	})
	return Trace{Name: fmt.Sprintf("rate%g-seed%d", rate, seed), Arrivals: m.arrivals}
}

type model struct {
	*rand.Rand
	arrivals []Arrival
	threads  int
}

// session is a person with one issue: a task, and, as long as there is something to add, another.
func (m *model) session(at time.Time) {
	thread, repository := m.thread(), m.repository()
	for {
		run := m.add(at, repository, thread)
		if m.Float64() >= followUp {
			return
		}
		at = at.Add(run + m.logNormal(thinkMedian, thinkSpread))
	}
}

// burst is a person who labels issues of one repository, one after the other.
func (m *model) burst(at time.Time) {
	repository := m.repository()
	for range burstLeast + m.IntN(burstMost-burstLeast+1) {
		m.add(at, repository, m.thread())
		at = at.Add(time.Duration(m.ExpFloat64() * float64(burstPause)))
	}
}

func (m *model) add(at time.Time, repository int64, thread task.ThreadID) time.Duration {
	run := min(max(m.logNormal(runMedian, runSpread), shortestRun), longestRun).Round(time.Second)
	m.arrivals = append(m.arrivals, Arrival{
		At: at.Truncate(time.Second), Account: modelAccount, Repository: repository, Thread: thread, Run: run,
	})
	return run
}

// moment is when in a day a session or a burst begins.
func (m *model) moment() time.Duration {
	if m.Float64() < eveningShare {
		return 18*time.Hour + time.Duration(m.Float64()*float64(5*time.Hour))
	}
	for { // 9:00 to 18:00, with fewer at noon
		at := 9*time.Hour + time.Duration(m.Float64()*float64(9*time.Hour))
		if noon := at >= 12*time.Hour && at < 13*time.Hour; !noon || m.Float64() < lunchShare {
			return at
		}
	}
}

// repository is one of three: most work is on the first.
func (m *model) repository() int64 {
	switch p := m.Float64(); {
	case p < 0.6:
		return 1
	case p < 0.9:
		return 2
	default:
		return 3
	}
}

func (m *model) thread() task.ThreadID {
	m.threads++
	return task.ThreadID(fmt.Sprintf("t%d", m.threads))
}

func (m *model) logNormal(median time.Duration, spread float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(spread*m.NormFloat64()))
}

// poisson counts what is expected so often, by Knuth's product of uniforms, in pieces that keep the product a number.
func (m *model) poisson(expected float64) int {
	n := 0
	for ; expected > 0; expected -= 50 {
		for product := m.Float64(); product > math.Exp(-min(expected, 50)); product *= m.Float64() {
			n++
		}
	}
	return n
}
