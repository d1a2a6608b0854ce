// Package simulator runs the pool's own decisions (runner/policy) over a trace of tasks, with machines that are made of
// numbers: they take a time to boot, have slots, are paid by the begun hour and are deleted. It says what a policy costs and how
// often it lets a person wait, and what somebody who knew the future would have paid. docs/simulate.md describes the model
// and what was measured.
package simulator

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"sam/task"
)

// Arrival is a task that was asked for.
type Arrival struct {
	At         time.Time
	Account    int64
	Repository int64
	Thread     task.ThreadID
	Run        time.Duration // how long it holds its slot on a machine that has the repository
}

// Trace is what was asked for in a time, in order.
type Trace struct {
	Name     string
	Arrivals []Arrival
}

// Rate is how many tasks came on a day: the mean over days (UTC) from Monday to Friday that had any; of a trace that has
// none of these, over those that it has.
func (t Trace) Rate() float64 {
	office, all := map[string]int{}, map[string]int{}
	for _, a := range t.Arrivals {
		day := a.At.UTC().Format(time.DateOnly)
		all[day]++
		if w := a.At.UTC().Weekday(); w != time.Saturday && w != time.Sunday {
			office[day]++
		}
	}
	if len(office) == 0 {
		office = all
	}
	if len(office) == 0 {
		return 0
	}
	sum := 0
	for _, n := range office {
		sum += n
	}
	return float64(sum) / float64(len(office))
}

// columns are those of a trace's file.
var columns = []string{"at", "account", "repository", "thread", "seconds"}

const (
	maxTasks = 1_000_000
	maxRun   = 7 * 24 * time.Hour
)

// ReadCSV reads a trace: the header at,account,repository,thread,seconds, then a line a task, ordered by at (RFC 3339).
// account and repository are numbers from 1, thread is any name (its tasks run in order, one at a time), seconds is
// how long the task runs, up to a week. An error names the file as it is called here and the line.
func ReadCSV(name string, r io.Reader) (Trace, error) {
	file := csv.NewReader(r)
	file.FieldsPerRecord = -1
	file.ReuseRecord = true
	t := Trace{Name: name}
	header, err := file.Read()
	switch {
	case errors.Is(err, io.EOF):
		return Trace{}, fmt.Errorf("%s:1: the file is empty; it begins with the line at,account,repository,thread,seconds", name)
	case err != nil:
		return Trace{}, unreadable(name, err)
	}
	if got := strings.Join(header, ","); got != strings.Join(columns, ",") {
		return Trace{}, fmt.Errorf("%s:1: the columns are %q; they are to be %q", name, got, strings.Join(columns, ","))
	}
	for {
		record, err := file.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Trace{}, unreadable(name, err)
		}
		line, _ := file.FieldPos(0)
		a, err := arrival(record)
		if err != nil {
			return Trace{}, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		if n := len(t.Arrivals); n > 0 && a.At.Before(t.Arrivals[n-1].At) {
			return Trace{}, fmt.Errorf("%s:%d: at is %s, before that of the line above; sort the lines by at", name, line, record[0])
		}
		if len(t.Arrivals) == maxTasks {
			return Trace{}, fmt.Errorf("%s:%d: more than %d tasks; cut the trace into several", name, line, maxTasks)
		}
		t.Arrivals = append(t.Arrivals, a)
	}
	if len(t.Arrivals) == 0 {
		return Trace{}, fmt.Errorf("%s:2: there is no task in it", name)
	}
	return t, nil
}

func unreadable(name string, err error) error {
	var bad *csv.ParseError
	if errors.As(err, &bad) {
		return fmt.Errorf("%s:%d: not a line of CSV: %w", name, bad.Line, bad.Err)
	}
	return fmt.Errorf("read %s: %w", name, err)
}

func arrival(record []string) (Arrival, error) {
	if len(record) != len(columns) {
		return Arrival{}, fmt.Errorf("the line has %d values; there are to be %d: %s", len(record), len(columns), strings.Join(columns, ","))
	}
	var a Arrival
	var err error
	if a.At, err = time.Parse(time.RFC3339, record[0]); err != nil {
		return Arrival{}, fmt.Errorf("at is %q, not a time such as 2026-01-05T09:30:00Z", record[0])
	}
	if a.Account, err = strconv.ParseInt(record[1], 10, 64); err != nil || a.Account < 1 {
		return Arrival{}, fmt.Errorf("account is %q, not a number from 1", record[1])
	}
	if a.Repository, err = strconv.ParseInt(record[2], 10, 64); err != nil || a.Repository < 1 {
		return Arrival{}, fmt.Errorf("repository is %q, not a number from 1", record[2])
	}
	if a.Thread = task.ThreadID(record[3]); a.Thread == "" {
		return Arrival{}, errors.New("thread is empty; tasks of one issue have one name there, others have others")
	}
	seconds, err := strconv.ParseFloat(record[4], 64)
	if err == nil && seconds <= maxRun.Seconds() {
		a.Run = time.Duration(math.Round(seconds * float64(time.Second)))
	}
	if a.Run <= 0 {
		return Arrival{}, fmt.Errorf("seconds is %q, not a number above 0 and up to %d", record[4], int(maxRun.Seconds()))
	}
	return a, nil
}

// WriteCSV writes the trace as ReadCSV reads it; whole seconds.
func (t Trace) WriteCSV(w io.Writer) error {
	file := csv.NewWriter(w)
	if err := file.Write(columns); err != nil {
		return fmt.Errorf("write trace %s: %w", t.Name, err)
	}
	for _, a := range t.Arrivals {
		err := file.Write([]string{
			a.At.UTC().Format(time.RFC3339), strconv.FormatInt(a.Account, 10), strconv.FormatInt(a.Repository, 10),
			string(a.Thread), strconv.FormatInt(int64(a.Run.Round(time.Second)/time.Second), 10),
		})
		if err != nil {
			return fmt.Errorf("write trace %s: %w", t.Name, err)
		}
	}
	file.Flush()
	if err := file.Error(); err != nil {
		return fmt.Errorf("write trace %s: %w", t.Name, err)
	}
	return nil
}
