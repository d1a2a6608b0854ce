package chaos

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"sam/sandbox/hetzner"
)

// rented is what the stand-in for Hetzner shows of an account's machines, and what it was to stay within.
type rented struct {
	servers   []hetzner.ServerRecord // that are, or were
	bill      []hetzner.Line
	caps      caps
	withdrawn bool // the account has taken its token back: nothing is to be left
}

// checkMachines compares what the stand-in shows with the records, and with what the account allows.
func checkMachines(report *Report, m rented, r *records) {
	for _, what := range m.strays(r) {
		report.found(&report.Orphans, "%s", what)
	}
	m.checkCap(report)
	m.checkBudgets(report)
}

// strays are servers that no record claims, and records that no server stands behind. When the token is withdrawn everything that is left
// is one.
func (m rented) strays(r *records) []string {
	there, known := map[string]bool{}, map[string]bool{}
	for _, name := range r.machines {
		known[name] = true
	}
	var all []string
	for _, s := range m.servers {
		if s.DeletedAt != nil {
			continue
		}
		there[s.Name] = true
		switch {
		case !known[s.Name]:
			all = append(all, fmt.Sprintf("server %s (%d) is there, and no record claims it", s.Name, s.ID))
		case m.withdrawn:
			all = append(all, fmt.Sprintf("server %s (%d) is left, though the account's token is withdrawn", s.Name, s.ID))
		}
	}
	for _, name := range r.machines {
		if !there[name] {
			all = append(all, fmt.Sprintf("there is a record of machine %s, and no server", name))
		}
	}
	for _, name := range r.paid {
		if !known[name] {
			all = append(all, fmt.Sprintf("money is reserved for machine %s, of which there is no record", name))
		}
	}
	return all
}

// checkCap finds the moments at which there were more servers than the account may have.
func (m rented) checkCap(report *Report) {
	type change struct {
		at   time.Time
		by   int
		name string
	}
	var changes []change
	for _, s := range m.servers {
		changes = append(changes, change{s.CreatedAt, 1, s.Name})
		if s.DeletedAt != nil {
			changes = append(changes, change{*s.DeletedAt, -1, s.Name})
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.by, b.by)) })
	there := 0
	for _, c := range changes {
		if there += c.by; c.by > 0 && there > m.caps.machines {
			report.found(&report.OverCap, "at %s server %s was made, which is the %d. at once, where %d may be", c.at.Format(time.TimeOnly), c.name, there, m.caps.machines)
		}
	}
}

// tax is what is added to the bill's prices, in per cent. Budgets are with it.
const tax = 19

// checkBudgets finds the begun hours of servers and addresses that brought the bill of a day, or of a month, beyond its budget.
func (m rented) checkBudgets(report *Report) {
	type hour struct {
		at   time.Time
		cost int64 // millionths of a euro
		what string
	}
	var hours []hour
	for _, line := range m.bill {
		for h := range line.Hours {
			// A line is in ten-thousandths, without taxes.
			hours = append(hours, hour{line.Created.Add(time.Duration(h) * time.Hour), int64(line.Hourly) * (100 + tax), line.Resource + " " + line.Name})
		}
	}
	slices.SortStableFunc(hours, func(a, b hour) int { return a.at.Compare(b.at) })
	spent := map[string]int64{}
	for _, h := range hours {
		day, month := h.at.UTC().Format(time.DateOnly), h.at.UTC().Format("2006-01")
		spent[day] += h.cost
		spent[month] += h.cost
		if h.cost > 0 && (spent[day] > m.caps.daily || spent[month] > m.caps.monthly) {
			report.found(&report.OverBudget, "the hour of %s that began at %s brought the bill to %s EUR of the day's %s, and %s of the month's %s",
				h.what, h.at.Format(time.TimeOnly), euros(spent[day]), euros(m.caps.daily), euros(spent[month]), euros(m.caps.monthly))
		}
	}
	report.Machines, report.Spent = len(m.servers), 0
	for _, period := range slices.Sorted(maps.Keys(spent)) {
		if len(period) == len(time.DateOnly) {
			report.Spent += float64(spent[period]) / 1_000_000
		}
	}
}
