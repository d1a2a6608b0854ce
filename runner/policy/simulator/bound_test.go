package simulator

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// work is spans of minutes after a moment.
func work(minutes ...int) []span {
	var all []span
	for i := 0; i+1 < len(minutes); i += 2 {
		all = append(all, span{
			modelStart.Add(time.Duration(minutes[i]) * time.Minute), modelStart.Add(time.Duration(minutes[i+1]) * time.Minute),
		})
	}
	return all
}

func TestTheBoundIsWhatWhoKnowsTheFuturePays(t *testing.T) {
	for name, c := range map[string]struct {
		spans             []span
		slots, cold, paid int
		hours, creations  int
	}{
		"one task":                  {work(0, 10), 1, 1, 1, 1, 1},
		"two hours of one":          {work(0, 61), 1, 1, 2, 2, 1},
		"two in an hour":            {work(0, 10, 50, 60), 1, 2, 2, 1, 1},
		"two far apart, twice cold": {work(0, 10, 300, 310), 1, 2, 2, 2, 2},
		"two far apart, once cold: the gap is paid": {work(0, 10, 300, 310), 1, 1, 6, 6, 1},
		"two at once need two machines":             {work(0, 10, 5, 15), 1, 2, 2, 2, 2},
		"or one with two slots":                     {work(0, 10, 5, 15), 2, 2, 1, 1, 1},
		"one after the other is no gap":             {work(0, 30, 30, 60), 1, 1, 1, 1, 1},
		"of two gaps the shorter is bridged":        {work(0, 10, 100, 110, 600, 610), 1, 2, 3, 3, 2},
		"no work":                                   {nil, 2, 0, 0, 0, 0},
	} {
		hours, creations := bound(map[int64][]span{1: c.spans}, c.slots, c.cold, c.paid)
		if hours != c.hours || creations != c.creations {
			t.Errorf("%s: %d hours and %d creations, want %d and %d", name, hours, creations, c.hours, c.creations)
		}
	}
	hours, creations := bound(map[int64][]span{1: work(0, 10), 2: work(20, 30)}, 2, 2, 2)
	if hours != 2 || creations != 2 {
		t.Errorf("a machine serves two accounts: %d hours and %d creations", hours, creations)
	}
}

// optimum tries every way to give spans to machines of one slot, and calls seen with each one's begun hours and creations.
func optimum(spans []span, lives [][]span, seen func(hours, creations int)) {
	if len(spans) == 0 {
		hours := 0
		for _, life := range lives {
			hours += int((life[len(life)-1].to.Sub(life[0].from) + time.Hour - 1) / time.Hour)
		}
		seen(hours, len(lives))
		return
	}
	for i, life := range lives {
		if life[len(life)-1].to.After(spans[0].from) {
			continue
		}
		with := slices.Clone(lives)
		with[i] = append(slices.Clone(life), spans[0])
		optimum(spans[1:], with, seen)
	}
	optimum(spans[1:], append(slices.Clone(lives), []span{spans[0]}), seen)
}

func TestNoWayToRentMachinesIsBelowTheBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var minutes []int
		for range rapid.IntRange(1, 7).Draw(t, "tasks") {
			from := rapid.IntRange(0, 600).Draw(t, "from")
			minutes = append(minutes, from, from+rapid.IntRange(1, 150).Draw(t, "length"))
		}
		spans := work(minutes...)
		slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
		optimum(spans, nil, func(hours, creations int) {
			least, fewest := bound(map[int64][]span{1: spans}, 1, creations, hours)
			if hours < least || creations < fewest {
				t.Fatalf("%d hours with %d creations; the bounds are %d and %d", hours, creations, least, fewest)
			}
		})
	})
}
