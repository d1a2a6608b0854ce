package policy

import (
	"fmt"
	"strings"
	"time"
)

const (
	// BillingPeriod is the unit that machines are paid in: Hetzner bills every started hour whole, also of a server that is
	// powered off, until it is deleted. So letting go earlier than at an hour's end saves nothing.
	BillingPeriod = time.Hour
	// Margin is how long before the end of a paid hour a machine is let go: draining and deleting it take seconds, and one
	// second too many costs an hour.
	Margin = 2 * time.Minute
	// Default is the policy of an account that chose none.
	Default = "hour-renew"
)

// Warm is a machine as a policy sees it when asked whether to keep it, and what the policy may know of its account.
type Warm struct {
	Now     time.Time
	Created time.Time // since when it is paid for
	Paid    time.Time // the end of the last hour that has begun: see PaidUntil
	Used    time.Time // when its last task ended; Created of a machine that has had none
	Slots   int       // workspaces that it may run at once
	Free    int       // of these, how many are free
	Spare   int       // free slots on the account's other ready machines
	// Arrivals are the times at which the account's tasks came, oldest first, none later than Now. A few weeks are enough.
	Arrivals []time.Time
}

// Verdict says what becomes of a machine.
type Verdict struct {
	LetGo bool
	// Next is until when it is kept unless something happens, and so when to ask again. Zero when it is let go, and of a
	// machine at work: ask when its last task has ended.
	Next time.Time
}

// Keeper decides how long an idle machine is kept warm. It is pure: the same Warm gives the same Verdict. Asked too late
// it is right all the same, since it then sees the hour that has begun as paid.
type Keeper interface {
	// Name is the policy's word in configuration and reports.
	Name() string
	// Keep decides about a machine of which every slot is free.
	Keep(Warm) Verdict
}

// Names lists the policies that are compared when none is named.
func Names() []string { return []string{"fixed-30m", "hour", Default, "histogram"} }

// Named returns the policy of a name: hour, hour-renew, histogram; fixed- with a duration from 1m to 24h, such as fixed-30m;
// or hour-renew- with one from 1m to 1h, which then holds for every machine. The error says what there is.
func Named(name string) (Keeper, error) {
	switch name {
	case "hour":
		return Hour{}, nil
	case Default:
		return defaultRenew(), nil
	case "histogram":
		return Histogram{}, nil
	}
	if text, ok := strings.CutPrefix(name, "fixed-"); ok {
		d, err := length(name, text, 24*time.Hour)
		if err != nil {
			return nil, err
		}
		return Fixed{For: d}, nil
	}
	if text, ok := strings.CutPrefix(name, "hour-renew-"); ok {
		d, err := length(name, text, BillingPeriod)
		if err != nil {
			return nil, err
		}
		return HourRenew{Spare: d, Last: d}, nil
	}
	return nil, fmt.Errorf("there is no policy %q: choose one of %s, or one with a length of your own: fixed-10m, hour-renew-30m", name, strings.Join(Names(), ", "))
}

// length reads the duration in a policy's name.
func length(name, text string, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Minute || d > most {
		return 0, fmt.Errorf("policy %q: it is to end in a duration from 1m to %s, such as 30m", name, short(most))
	}
	return d, nil
}

// short is a duration without zeros at its end: 30m, 1h30m, 1h.
func short(d time.Duration) string {
	s := d.String()
	for _, zero := range []struct{ end, kept string }{{"m0s", "m"}, {"h0m", "h"}} {
		if head, ok := strings.CutSuffix(s, zero.end); ok {
			s = head + zero.kept
		}
	}
	return s
}

// Ask is Keep, also for a machine that is at work: that one is kept whatever the policy, and asked about when its last
// task has ended.
func Ask(k Keeper, w Warm) Verdict {
	if w.Free < w.Slots {
		return Verdict{}
	}
	return k.Keep(w)
}

// PaidUntil is the end of the hour that has begun at now of a machine created at the given time.
func PaidUntil(created, now time.Time) time.Time {
	return created.Add(max(0, now.Sub(created)).Truncate(BillingPeriod) + BillingPeriod)
}
