package policy

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Window keeps machines warm at certain hours of certain days, whatever the policy says.
type Window struct {
	Days     []time.Weekday // on which the window begins; none: on every day
	From, To time.Duration  // since midnight by the clock on the wall; To before From is on the next day
	Machines int
}

// Schedule is an account's windows and where its clock hangs.
type Schedule struct {
	Location *time.Location // nil: UTC
	Windows  []Window
}

// Check says what is wrong with a schedule, in words for who wrote it.
func (s Schedule) Check() error {
	for i, w := range s.Windows {
		switch {
		case w.Machines < 1:
			return fmt.Errorf("window %d keeps %d machines warm; it is to be at least 1, or the window to be removed", i+1, w.Machines)
		case w.From < 0 || w.From >= 24*time.Hour || w.To < 0 || w.To > 24*time.Hour:
			return fmt.Errorf("window %d is from %s to %s; both are to be times of a day, 00:00 to 24:00", i+1, w.From, w.To)
		case w.From == w.To:
			return errors.New("a window that ends when it begins keeps nothing warm; for a whole day say 00:00 to 24:00")
		}
	}
	return nil
}

// Minimum is how many machines are to be warm at a time: the most that any window asks for.
func (s Schedule) Minimum(now time.Time) int {
	at := now.In(s.where())
	// By the clock on the wall, also on the days on which it is changed.
	clock := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second
	today, yesterday := at.Weekday(), at.AddDate(0, 0, -1).Weekday()
	most := 0
	for _, w := range s.Windows {
		var open bool
		if w.From < w.To {
			open = w.on(today) && clock >= w.From && clock < w.To
		} else {
			open = w.on(today) && clock >= w.From || w.on(yesterday) && clock < w.To
		}
		if open {
			most = max(most, w.Machines)
		}
	}
	return most
}

// Next is the first time after now at which Minimum may change, to the minute; zero when there are no windows.
func (s Schedule) Next(now time.Time) time.Time {
	var next time.Time
	at := now.In(s.where())
	for _, w := range s.Windows {
		for _, edge := range []time.Duration{w.From, w.To} {
			for day := range 2 {
				t := time.Date(at.Year(), at.Month(), at.Day()+day, 0, int(edge/time.Minute), 0, 0, s.where())
				if t.After(now) && (next.IsZero() || t.Before(next)) {
					next = t
				}
			}
		}
	}
	return next
}

func (w Window) on(day time.Weekday) bool { return len(w.Days) == 0 || slices.Contains(w.Days, day) }

func (s Schedule) where() *time.Location {
	if s.Location == nil {
		return time.UTC
	}
	return s.Location
}
