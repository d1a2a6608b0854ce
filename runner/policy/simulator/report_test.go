package simulator

import (
	"math"
	"testing"
	"time"

	"sam/runner/policy"
)

// The seeds are held out: none up to 1000 is among them, and none above was used to choose a policy.
func TestTheDefaultCostsNoMoreThanThirtyMinutesAndHasAtMostFourFifthsOfItsColdStarts(t *testing.T) {
	policies := []policy.Keeper{policy.Fixed{For: 30 * time.Minute}, named(t, policy.Default)}
	for _, rate := range []float64{17, 70} {
		lines, err := Compare(t.Context(), SyntheticCase(rate, 1001, 20), policies, Defaults())
		if err != nil {
			t.Fatal(err)
		}
		fixed, ours := lines[0], lines[1]
		t.Logf("%g tasks a day: %.4f EUR against %.4f, %.2f %% cold against %.2f %%: %+v", rate, ours.EURPer100, fixed.EURPer100, ours.ColdPct, fixed.ColdPct, *ours.VersusFixed30m)
		if !ours.Default || ours.VersusFixed30m.Cost > 1 || ours.VersusFixed30m.Cold > 0.8 {
			t.Errorf("%g tasks a day: %+v", rate, *ours.VersusFixed30m)
		}
		for _, l := range lines {
			if l.BoundEUR > l.EURPer100 || l.BoundColdPct > l.ColdPct || l.BoundEUR <= 0 || l.BoundColdPct <= 0 {
				t.Errorf("%s is better than who knows the future: %+v", l.Policy, l)
			}
		}
	}
}

func named(t testing.TB, name string) policy.Keeper {
	k, err := policy.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestALineIsTheMeanOverItsRunsWithHowSureItIs(t *testing.T) {
	runs := []Result{
		{Tasks: 10, Cold: 1, Cost: 100_000, Bound: 50_000, ColdBound: 1, Paid: time.Hour, Worked: 15 * time.Minute, Waits: []time.Duration{0, 0, time.Second, time.Minute}},
		{Tasks: 10, Cold: 3, Cost: 300_000, Bound: 150_000, ColdBound: 1, Paid: time.Hour, Worked: 45 * time.Minute, Waits: []time.Duration{0, 0, 3 * time.Second, time.Minute}},
	}
	l := summarise(runs)
	if l.ColdPct != 20 || l.EURPer100 != 2 || l.BoundEUR != 1 || l.BoundColdPct != 10 || l.IdlePct != 50 || l.WaitP50 != 0 || l.WaitP95 != 60 || l.Seeds != 2 {
		t.Errorf("%+v", l)
	}
	// Two values, 10 and 30: their standard error is 10, and t is 12.706.
	if got := l.CI95["cold_pct"]; got[0] != 0 || math.Abs(got[1]-147.06) > 0.001 {
		t.Errorf("%v", got)
	}
	if one := summarise(runs[:1]); one.CI95 != nil || one.ColdPct != 10 {
		t.Errorf("%+v", one)
	}
	if none := summarise([]Result{{}}); none.ColdPct != 0 || none.EURPer100 != 0 || none.IdlePct != 0 {
		t.Errorf("%+v", none)
	}
}

func TestStudentsQuantileIsThatOfTheTables(t *testing.T) {
	for freedom, want := range map[int]float64{1: 12.706, 10: 2.228, 11: 2.201, 19: 2.093, 30: 2.042, 120: 1.980, 100000: 1.960} {
		if got := student(freedom); math.Abs(got-want) > 0.001 {
			t.Errorf("%d degrees: %.4f, want %.3f", freedom, got, want)
		}
	}
}
