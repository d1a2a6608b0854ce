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
	Told    bool   // the task's page says that something was refused, left out or cut
}

// Report is what a run comes to. As JSON it is the one line that is printed.
type Report struct {
	Attempts  int `json:"attempts"`
	Refused   int `json:"refused"`
	Contained int `json:"contained"`
	Escaped   int `json:"escaped"`

	Results []Result `json:"-"`
}

func (r *Report) add(one Result) {
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

// Held reports whether nothing escaped and everything was tried.
func (r *Report) Held() bool { return r.Attempts > 0 && r.Attempts == r.Refused+r.Contained }

// Print writes a line for each attempt.
func (r *Report) Print(w io.Writer) {
	for _, one := range r.Results {
		told := "        "
		if one.Told {
			told = "and told"
		}
		why := strings.Join(strings.Fields(one.Why), " ")
		if most := 200; len(why) > most {
			why = strings.ToValidUTF8(why[:most], "") + "…"
		}
		fmt.Fprintf(w, "%-9s %s  %-20s %s\n", one.Verdict, told, one.Name, why)
	}
}
