package policy

const (
	// histogramSilences is how many comparable silences Histogram must have seen before it trusts them.
	histogramSilences = 20
	// histogramWorth is the chance of being needed from which another hour is worth its price.
	histogramWorth = 0.5
)

// Histogram pays another hour when the account's own arrivals say that the machine will more likely than not be needed in
// it: of the silences that lasted as long as this one has, in how many did so many tasks come within the next hour that
// the free slots elsewhere would not do? It is the keep-alive of Shahrad et al., "Serverless in the Wild" (2020), for time
// that is paid in hours. As long as fewer than 20 silences compare it decides as HourRenew does.
type Histogram struct{}

// Name is histogram.
func (Histogram) Name() string { return "histogram" }

// Keep decides within Margin of the end of the paid hour.
func (Histogram) Keep(w Warm) Verdict {
	until := w.Paid.Add(-Margin)
	if w.Now.Before(until) {
		return Verdict{Next: until}
	}
	needed, silences := w.needed()
	switch {
	case silences < histogramSilences:
		return defaultRenew().Keep(w)
	case float64(needed) >= histogramWorth*float64(silences):
		return Verdict{Next: until.Add(BillingPeriod)}
	default:
		return Verdict{LetGo: true}
	}
}

// needed counts the silences between arrivals that lasted at least as long as the present one, and those of them after
// which, within the next paid hour, more tasks came than there are free slots elsewhere.
func (w Warm) needed() (needed, silences int) {
	n := len(w.Arrivals)
	if n == 0 {
		return 0, 0
	}
	age := w.Now.Sub(w.Arrivals[n-1])
	end := w.Paid.Add(BillingPeriod).Sub(w.Now) // what another hour would pay for, from now
	for i, at := range w.Arrivals[:n-1] {
		if w.Arrivals[i+1].Sub(at) < age {
			continue
		}
		silences++
		if last := i + 1 + w.Spare; last < n && last >= 0 && w.Arrivals[last].Sub(at) <= age+end {
			needed++
		}
	}
	return needed, silences
}
