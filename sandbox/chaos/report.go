package chaos

import (
	"fmt"
	"slices"
)

// Report is what a run comes to. It is printed as one line of JSON.
type Report struct {
	Seed       uint64         `json:"seed"`
	Deliveries int            `json:"deliveries"` // attempts that GitHub made
	Tasks      int            `json:"tasks"`
	Machines   int            `json:"machines"` // that were made
	Spent      float64        `json:"spent"`    // on them, EUR with taxes
	Faults     map[string]int `json:"faults"`   // how often each kind struck

	// The last eleven are 0 when every promise was kept.
	Lost                  int `json:"lost"`                    // requests of a writer without a task or a closing comment
	DuplicateTasks        int `json:"duplicate_tasks"`         // requests that made more than one task, or one task more than once
	DuplicateComments     int `json:"duplicate_comments"`      // comments of ours beyond the first with one marker
	DuplicatePullRequests int `json:"duplicate_pull_requests"` // open pull requests of ours beyond the first of a thread
	StaleWrites           int `json:"stale_writes"`            // writes of who was superseded, or who superseded a live holder
	Gaps                  int `json:"gaps"`                    // numbers that are missing in a task's stream, or there twice
	Unfinished            int `json:"unfinished"`              // tasks that are not final, and what is owed for them
	Uninvited             int `json:"uninvited"`               // tasks that nobody asked for who may, and words to a stranger
	Orphans               int `json:"orphans"`                 // servers that no record claims, records without a server, whatever is left at the end
	OverBudget            int `json:"over_budget"`             // begun hours that the bill has beyond the account's budgets
	OverCap               int `json:"over_cap"`                // servers that were made beyond what the account may have at once

	findings []string
}

// found adds to a count and says what was found.
func (r *Report) found(count *int, format string, args ...any) {
	*count++
	r.findings = append(r.findings, fmt.Sprintf(format, args...))
}

// Findings say one by one what the counts count.
func (r *Report) Findings() []string { return slices.Sorted(slices.Values(r.findings)) }

// Kept reports whether every promise was kept.
func (r *Report) Kept() bool {
	return r.Lost+r.DuplicateTasks+r.DuplicateComments+r.DuplicatePullRequests+r.StaleWrites+r.Gaps+r.Unfinished+r.Uninvited+
		r.Orphans+r.OverBudget+r.OverCap == 0
}

// Saw reports whether the run shows that a protection was taken away, by what goes wrong without that one.
func (r *Report) Saw(protection string) bool {
	aim := aims[protection]
	return aim != nil && aim.seen(r) > 0
}

// Missed lists the kinds of fault that were to strike and never did, in order.
func (r *Report) Missed() []string {
	var kinds []string
	for kind, hits := range r.Faults {
		if hits == 0 {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}
