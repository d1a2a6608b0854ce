package simulator

import (
	"fmt"
	"slices"
	"time"

	"sam/runner/policy"
)

// Result is what one run over one trace came to.
type Result struct {
	Tasks     int
	Cold      int             // tasks that found no free slot on a ready machine when their turn in their thread came
	Waits     []time.Duration // of each task, from its turn in its thread until its agent can begin; in no order
	Creations int
	Hours     int           // begun hours paid for
	Paid      time.Duration // the same as a time
	Worked    time.Duration // of the machines' lives, when at least one task was on them
	Most      int           // machines that were there at once
	Cost      int64         // millionths of a euro
	// Bound is what is paid at least for the same work at the same moments with no more cold starts, ColdBound the least
	// number of cold starts for no more money: see bound.
	Bound     int64
	ColdBound int
}

// result adds up what happened.
func (w *world) result() (Result, error) {
	if w.open > 0 {
		return Result{}, fmt.Errorf("the simulation ended with %d tasks that were not done; this is a fault of the simulator", w.open)
	}
	r := Result{Tasks: len(w.jobs), Creations: w.made, Worked: w.worked}
	for _, m := range w.machines { // what a schedule keeps is paid for up to the end
		m.deleted = w.now
	}
	for _, m := range slices.Concat(w.gone, w.machines) {
		r.Hours += int((m.deleted.Sub(m.Created) + policy.BillingPeriod - 1) / policy.BillingPeriod)
	}
	r.Paid = time.Duration(r.Hours) * policy.BillingPeriod
	r.Cost = int64(r.Hours) * w.Hourly
	for _, n := range w.most {
		r.Most = max(r.Most, n)
	}
	work := map[int64][]span{}
	for i := range w.jobs {
		j := &w.jobs[i]
		if j.cold {
			r.Cold++
		}
		r.Waits = append(r.Waits, j.end.Add(-j.run).Sub(j.turn))
		work[j.Account] = append(work[j.Account], span{j.start, j.end})
	}
	hours, cold := bound(work, w.Slots, r.Cold, r.Hours)
	r.Bound, r.ColdBound = int64(hours)*w.Hourly, cold
	return r, nil
}
