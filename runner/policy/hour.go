package policy

import "time"

// Fixed lets go of a machine that was idle for a time, wherever in its hour that is. It is what pools for providers that
// bill by the second do, and what the others are measured against.
type Fixed struct{ For time.Duration }

// Name is fixed- and the duration: fixed-30m, fixed-1h30m.
func (f Fixed) Name() string { return "fixed-" + short(f.For) }

// Keep lets go once the time is over.
func (f Fixed) Keep(w Warm) Verdict {
	if until := w.Used.Add(f.For); w.Now.Before(until) {
		return Verdict{Next: until}
	}
	return Verdict{LetGo: true}
}

// Hour keeps a machine as long as it is paid for, and lets go Margin before the next hour would begin. (The Jenkins plugin
// for Hetzner calls this BeforeHourWrapsPolicy.)
type Hour struct{}

// Name is hour.
func (Hour) Name() string { return "hour" }

// Keep lets go within Margin of the end of the paid hour.
func (Hour) Keep(w Warm) Verdict {
	if until := w.Paid.Add(-Margin); w.Now.Before(until) {
		return Verdict{Next: until}
	}
	return Verdict{LetGo: true}
}

// HourRenew is Hour, but pays another hour for a machine that was used shortly before the paid one ends: within Spare where
// the account has free slots elsewhere, within Last where it has none.
//
// With 30 minutes for both, and one machine, it costs at most what Fixed{30m} does and, Margin aside, is warm whenever that is. Let u be the
// last use and p the end of the paid hour: fixed lets go at u+30m, which is in another begun hour exactly when u+30m > p, and
// that is when this renews. So both pay the same hours for the same uses, but this keeps the machine to their end; and a use
// that finds it warm there, where fixed has let go, continues paid time instead of beginning an hour of its own.
//
// What is saved so is spent where it helps most. Without the last machine the next task waits for certain; without a spare one
// only when several come at once. docs/simulate.md has the measure of 25 and 35 minutes against 30 for both.
type HourRenew struct{ Spare, Last time.Duration }

// defaultRenew is the policy called hour-renew.
func defaultRenew() HourRenew { return HourRenew{Spare: 25 * time.Minute, Last: 35 * time.Minute} }

// Name is hour-renew, with the length where it is another than the default.
func (h HourRenew) Name() string {
	switch {
	case h == defaultRenew():
		return "hour-renew"
	case h.Spare == h.Last:
		return "hour-renew-" + short(h.Last)
	default:
		return "hour-renew-" + short(h.Spare) + "-" + short(h.Last)
	}
}

// Keep decides within Margin of the end of the paid hour.
func (h HourRenew) Keep(w Warm) Verdict {
	until := w.Paid.Add(-Margin)
	within := h.Last
	if w.Spare > 0 {
		within = h.Spare
	}
	switch {
	case w.Now.Before(until):
		return Verdict{Next: until}
	case w.Paid.Sub(w.Used) < within:
		return Verdict{Next: until.Add(BillingPeriod)}
	default:
		return Verdict{LetGo: true}
	}
}
