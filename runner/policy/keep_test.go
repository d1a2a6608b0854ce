package policy_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sam/runner/policy"
)

func at(clock string) time.Time {
	t, err := time.Parse("15:04", clock)
	if err != nil {
		panic(err)
	}
	return time.Date(2026, 11, 23, t.Hour(), t.Minute(), 0, 0, time.UTC)
}

func named(t testing.TB, name string) policy.Keeper {
	k, err := policy.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAPolicyIsFoundByTheNameThatItSays(t *testing.T) {
	for _, name := range append(policy.Names(), "fixed-1m", "fixed-1h", "fixed-1h30m", "fixed-24h", "fixed-90s", "hour-renew-30m", "hour-renew-1h") {
		want := name
		if name == "fixed-90s" {
			want = "fixed-1m30s"
		}
		if got := named(t, name).Name(); got != want {
			t.Errorf("%s calls itself %s", name, got)
		}
	}
	if named(t, policy.Default).Name() != policy.Default {
		t.Error("the default is not one of them")
	}
	for name, says := range map[string]string{
		"":                `there is no policy "": choose one of fixed-30m, hour, hour-renew, histogram`,
		"weekly":          "choose one of fixed-30m",
		"fixed-":          "duration from 1m to 24h",
		"fixed-30":        "duration from 1m to 24h",
		"fixed-10s":       "duration from 1m to 24h",
		"fixed--30m":      "duration from 1m to 24h",
		"fixed-25h":       "duration from 1m to 24h",
		"hour-renew-61m":  "duration from 1m to 1h",
		"hour-renew-soon": "duration from 1m to 1h",
	} {
		k, err := policy.Named(name)
		if err == nil || k != nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, %v; want an error that says %s", name, k, err, says)
		}
	}
}

func TestAnIdleMachineIsKeptAsLongAsItsPolicySays(t *testing.T) {
	letGo := policy.Verdict{LetGo: true}
	until := func(clock string) policy.Verdict { return policy.Verdict{Next: at(clock)} }
	for name, c := range map[string]struct {
		policy, created, used, now string
		spare                      int
		want                       policy.Verdict
	}{
		"a fixed time after its use":                    {"fixed-30m", "10:00", "10:20", "10:20", 0, until("10:50")},
		"a fixed time is over":                          {"fixed-30m", "10:00", "10:20", "10:50", 0, letGo},
		"a fixed time lasts into another hour":          {"fixed-30m", "10:00", "10:50", "11:10", 0, until("11:20")},
		"hour: to the end of the paid hour":             {"hour", "10:00", "10:05", "10:05", 0, until("10:58")},
		"hour: not into another, though just used":      {"hour", "10:00", "10:57", "10:58", 0, letGo},
		"hour: what began is used":                      {"hour", "10:00", "11:05", "11:05", 0, until("11:58")},
		"hour: asked too late, the next hour has begun": {"hour", "10:00", "10:05", "11:00", 0, until("11:58")},
		"renew: to the end of the paid hour":            {"hour-renew", "10:00", "10:05", "10:05", 0, until("10:58")},
		"renew: not used for long":                      {"hour-renew", "10:00", "10:25", "10:58", 0, letGo},
		"renew: the last one, used lately":              {"hour-renew", "10:00", "10:26", "10:58", 0, until("11:58")},
		"renew: one of several, not used so lately":     {"hour-renew", "10:00", "10:26", "10:58", 2, letGo},
		"renew: one of several, used lately":            {"hour-renew", "10:00", "10:36", "10:58", 2, until("11:58")},
		"renew by one length: just not":                 {"hour-renew-30m", "10:00", "10:30", "10:58", 0, letGo},
		"renew by one length: just so":                  {"hour-renew-30m", "10:00", "10:31", "10:58", 2, until("11:58")},
		"histogram knows nothing yet, so it renews":     {"histogram", "10:00", "10:26", "10:58", 0, until("11:58")},
		"histogram: to the end of the paid hour":        {"histogram", "10:00", "10:26", "10:30", 0, until("10:58")},
	} {
		w := policy.Warm{
			Now: at(c.now), Created: at(c.created), Used: at(c.used), Paid: policy.PaidUntil(at(c.created), at(c.now)),
			Slots: 2, Free: 2, Spare: c.spare,
		}
		if got := policy.Ask(named(t, c.policy), w); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestTheHourThatHasBegunIsPaid(t *testing.T) {
	for now, want := range map[string]string{"09:59": "11:00", "10:00": "11:00", "10:59": "11:00", "11:00": "12:00", "13:30": "14:00"} {
		if got := policy.PaidUntil(at("10:00"), at(now)); !got.Equal(at(want)) {
			t.Errorf("at %s it is paid until %s, want %s", now, got.Format("15:04"), want)
		}
	}
}

// every is arrivals at a steady pace up to a time.
func every(pause time.Duration, n int, last time.Time) []time.Time {
	all := make([]time.Time, n)
	for i := range all {
		all[i] = last.Add(-time.Duration(n-1-i) * pause)
	}
	return all
}

func TestTheHistogramLearnsFromTheAccountsOwnArrivals(t *testing.T) {
	w := policy.Warm{
		Now: at("10:58"), Created: at("10:00"), Paid: at("11:00"), Used: at("10:10"), Slots: 2, Free: 2,
	}
	for name, c := range map[string]struct {
		arrivals []time.Time
		spare    int
		keep     bool
	}{
		"tasks come every hour and a half":            {every(90*time.Minute, 40, at("10:05")), 0, true},
		"of these the one that comes finds another":   {every(90*time.Minute, 40, at("10:05")), 2, false},
		"tasks come every five hours":                 {every(5*time.Hour, 40, at("10:05")), 0, false},
		"too few to tell: as hour-renew, not used":    {every(90*time.Minute, 15, at("10:05")), 0, false},
		"none, so nothing to tell: as hour-renew":     {nil, 0, false},
		"bursts fill what is free elsewhere and more": {bursts(4, 40, at("10:05")), 2, true},
		"bursts find room enough elsewhere":           {bursts(4, 40, at("10:05")), 4, false},
	} {
		w.Arrivals, w.Spare = c.arrivals, c.spare
		if got := policy.Ask(policy.Histogram{}, w); got.LetGo == c.keep {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// bursts is n times so many arrivals within some seconds, every hour and a half.
func bursts(size, n int, last time.Time) []time.Time {
	var all []time.Time
	for _, t := range every(90*time.Minute, n, last) {
		for i := range size {
			all = append(all, t.Add(time.Duration(i-size)*time.Second))
		}
	}
	return all
}

// anyPolicy draws a policy.
func anyPolicy(t *rapid.T) policy.Keeper {
	names := append(policy.Names(), "fixed-5m", "fixed-2h", "hour-renew-30m", "hour-renew-1m")
	k, err := policy.Named(rapid.SampledFrom(names).Draw(t, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAPolicyKeepsWhatIsAtWorkAndAlwaysSaysWhenToAskAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := anyPolicy(t)
		seconds := func(what string, most int) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(t, what)) * time.Second
		}
		created := now
		at := created.Add(seconds("age", 6*3600))
		w := policy.Warm{
			Now: at, Created: created, Paid: policy.PaidUntil(created, at), Used: at.Add(-min(seconds("idle", 6*3600), at.Sub(created))),
			Slots: rapid.IntRange(1, 4).Draw(t, "slots"), Spare: rapid.IntRange(0, 3).Draw(t, "spare"),
			Arrivals: every(time.Second+seconds("pause", 7200), rapid.IntRange(0, 60).Draw(t, "arrivals"), at),
		}
		w.Free = rapid.IntRange(0, w.Slots).Draw(t, "free")
		v := policy.Ask(k, w)
		again := policy.Ask(k, w)
		_, isFixed := k.(policy.Fixed)
		switch {
		case v != again:
			t.Fatalf("%+v, then %+v", v, again)
		case w.Free < w.Slots && (v.LetGo || !v.Next.IsZero()):
			t.Fatalf("at work, and %+v", v)
		case w.Free < w.Slots:
		case v.LetGo && !v.Next.IsZero():
			t.Fatalf("let go, and asked about again at %s", v.Next)
		case !v.LetGo && !v.Next.After(at):
			t.Fatalf("to be asked again at %s, which is not after %s", v.Next, at)
		case v.LetGo && !isFixed && w.Paid.Sub(at) > policy.Margin:
			t.Fatalf("let go %s before the paid hour ends", w.Paid.Sub(at))
		}
	})
}

// chain runs one machine with one task at a time; uses are pairs of a pause and a length.
func chain(k policy.Keeper, uses [][2]time.Duration) (hours, cold int) {
	var created, used time.Time
	alive := false
	end := func(deleted time.Time) {
		hours += int((deleted.Sub(created) + policy.BillingPeriod - 1) / policy.BillingPeriod)
		alive = false
	}
	clock := now
	for i := 0; i <= len(uses); i++ {
		next := clock.Add(1000 * time.Hour)
		if i < len(uses) {
			next = clock.Add(uses[i][0])
		}
		for ask := clock; alive && !ask.After(next); {
			v := policy.Ask(k, policy.Warm{Now: ask, Created: created, Paid: policy.PaidUntil(created, ask), Used: used, Slots: 1, Free: 1})
			if v.LetGo {
				end(ask)
				break
			}
			ask = v.Next
		}
		if i == len(uses) {
			break
		}
		if !alive {
			created, alive = next, true
			cold++
		}
		clock = next.Add(uses[i][1])
		used = clock
	}
	return hours, cold
}

// Times are multiples of 5 minutes, and so never within the Margin in which the one has let go already and the other not.
func TestOfOneMachineRenewingIsNeitherDearerNorColderThanThirtyMinutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		step := func(least int) *rapid.Generator[time.Duration] {
			return rapid.Map(rapid.IntRange(least, 30), func(n int) time.Duration { return time.Duration(n) * 5 * time.Minute })
		}
		uses := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [2]time.Duration {
			return [2]time.Duration{step(0).Draw(t, "pause"), step(1).Draw(t, "length")}
		}), 1, 30).Draw(t, "uses")
		fixedHours, fixedCold := chain(policy.Fixed{For: 30 * time.Minute}, uses)
		hours, cold := chain(policy.HourRenew{Spare: 30 * time.Minute, Last: 30 * time.Minute}, uses)
		if hours > fixedHours || cold > fixedCold {
			t.Fatalf("%d hours and %d cold starts, against %d and %d", hours, cold, fixedHours, fixedCold)
		}
	})
}
