package hostile

import (
	"fmt"
	"io"
	"strings"
)

// Verdict says what came of an attempt.
type Verdict string

// The verdicts. What was refused did not happen; what was contained did, within bounds that it could not leave.
const (
	Refused   Verdict = "refused"
	Contained Verdict = "contained"
	Escaped   Verdict = "escaped"
	Untried   Verdict = "untried" // it was not made, or could not be looked at: nothing is known
)

// Result is what came of one attempt.
type Result struct {
	Name    string
	Verdict Verdict
	Why     string // what was seen
	Told    bool   // the task's page says, by name, that something was refused, left out or cut
	Nobody  string // why there is nobody to tell; empty when the page is to tell
}

// untold reports whether the page should have told of it and did not.
func (r Result) untold() bool { return !r.Told && r.Nobody == "" }

// Report is what a run comes to. As JSON it is the one line that is printed.
type Report struct {
	Attempts  int `json:"attempts"`
	Refused   int `json:"refused"`
	Contained int `json:"contained"`
	Escaped   int `json:"escaped"`

	Results []Result `json:"-"`
}

func (r *Report) add(all ...Result) {
	for _, one := range all {
		r.Results = append(r.Results, one)
		r.Attempts++
		switch one.Verdict {
		case Refused:
			r.Refused++
		case Contained:
			r.Contained++
		case Escaped:
			r.Escaped++
		case Untried:
		}
	}
}

// Held reports whether nothing escaped, everything was tried, and told where somebody is to be told.
func (r *Report) Held() bool {
	return r.Attempts > 0 && r.Attempts == r.Refused+r.Contained && len(r.Untold()) == 0
}

// Untold are the attempts of which a page should have told, and does not.
func (r *Report) Untold() []string {
	var names []string
	for _, one := range r.Results {
		if one.untold() {
			names = append(names, one.Name)
		}
	}
	return names
}

// Print writes a line for each attempt: what came of it, whether its task's page tells, its name, and what was seen. A dash is
// where there is nobody to tell.
func (r *Report) Print(w io.Writer) {
	for _, one := range r.Results {
		told := "told"
		switch {
		case one.Nobody != "":
			told = "-"
		case !one.Told:
			told = "UNTOLD"
		}
		why := strings.Join(strings.Fields(one.Why), " ")
		if most := 200; len(why) > most {
			why = strings.ToValidUTF8(why[:most], "") + "…"
		}
		fmt.Fprintf(w, "%-9s %-6s  %-22s %s\n", one.Verdict, told, one.Name, why)
	}
}
