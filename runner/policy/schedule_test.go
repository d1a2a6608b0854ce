package policy_test

import (
	"strings"
	"testing"
	"time"

	"sam/runner/policy"
)

func TestAScheduleSaysHowManyMachinesAreWarmByTheClockOnTheWall(t *testing.T) {
	berlin := time.FixedZone("+1", 3600)
	office := []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	s := policy.Schedule{Location: berlin, Windows: []policy.Window{
		{Days: office, From: 9 * time.Hour, To: 18 * time.Hour, Machines: 1},
		{Days: []time.Weekday{time.Monday}, From: 10 * time.Hour, To: 11 * time.Hour, Machines: 3},
		{Days: []time.Weekday{time.Saturday}, From: 22 * time.Hour, To: 2 * time.Hour, Machines: 2},
	}}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   string // 2026-11-23 is a Monday
		want int
		next string
	}{
		{"2026-11-23T08:59:59", 0, "2026-11-23T09:00:00"},
		{"2026-11-23T09:00:00", 1, "2026-11-23T10:00:00"},
		{"2026-11-23T10:30:00", 3, "2026-11-23T11:00:00"},
		{"2026-11-24T10:30:00", 1, "2026-11-24T11:00:00"},
		{"2026-11-23T18:00:00", 0, "2026-11-23T22:00:00"},
		{"2026-11-28T23:00:00", 2, "2026-11-29T02:00:00"},
		{"2026-11-29T01:59:00", 2, "2026-11-29T02:00:00"},
		{"2026-11-29T02:00:00", 0, "2026-11-29T09:00:00"},
		{"2026-11-28T01:00:00", 0, "2026-11-28T02:00:00"},
	} {
		at, err := time.ParseInLocation("2006-01-02T15:04:05", c.at, berlin)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Minimum(at.UTC()); got != c.want {
			t.Errorf("at %s %d machines, want %d", c.at, got, c.want)
		}
		if got := s.Next(at.UTC()).In(berlin).Format("2006-01-02T15:04:05"); got != c.next {
			t.Errorf("at %s it may change at %s, want %s", c.at, got, c.next)
		}
	}
	var none policy.Schedule
	if none.Minimum(now) != 0 || !none.Next(now).IsZero() || none.Check() != nil {
		t.Error("no windows, and yet something to keep")
	}
	all := policy.Schedule{Windows: []policy.Window{{To: 24 * time.Hour, Machines: 1}}}
	if all.Minimum(now) != 1 || all.Check() != nil {
		t.Error("always is not always")
	}
}

func TestAScheduleThatKeepsNothingIsRefused(t *testing.T) {
	for says, w := range map[string]policy.Window{
		"keeps 0 machines warm": {From: time.Hour, To: 2 * time.Hour},
		"times of a day":        {From: time.Hour, To: 25 * time.Hour, Machines: 1},
		"from -1h0m0s":          {From: -time.Hour, To: 2 * time.Hour, Machines: 1},
		"for a whole day say":   {From: time.Hour, To: time.Hour, Machines: 1},
	} {
		if err := (policy.Schedule{Windows: []policy.Window{w}}).Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want an error that says %s", err, says)
		}
	}
}
