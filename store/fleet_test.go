package store_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sam/task"
)

// paidHours is what the store is to know of a machine, by a model.
type paidHours struct {
	hours int
	from  []time.Time // each hour's day
}

func TestNoCapIsPassedAndNoMoneyIsLostWhateverIsReservedAndGivenBack(t *testing.T) {
	s, _ := open(t)
	const price = 7_300
	account := int64(0)
	rapid.Check(t, func(r *rapid.T) {
		account++ // another at every try
		caps := task.Caps{Machines: rapid.IntRange(0, 4).Draw(r, "machines"), Daily: rapid.Int64Range(-1, 12).Draw(r, "daily"), Monthly: rapid.Int64Range(-1, 20).Draw(r, "monthly")}
		for _, one := range []*int64{&caps.Daily, &caps.Monthly} {
			if *one > 0 {
				*one *= price
			}
		}
		now := time.Date(2026, 11, 29, 22, 0, 0, 0, time.UTC)
		fleet := map[string]*paidHours{}
		spent := func(same func(time.Time) bool) (sum int64) {
			for _, m := range fleet {
				for _, at := range m.from {
					if same(at) {
						sum += price
					}
				}
			}
			return sum
		}
		gone := map[string]int64{} // by day and month, of machines that are gone
		today := func() int64 {
			return gone[now.Format(time.DateOnly)] + spent(func(at time.Time) bool { return at.Format(time.DateOnly) == now.Format(time.DateOnly) })
		}
		thisMonth := func() int64 {
			return gone[now.Format("2006-01")] + spent(func(at time.Time) bool { return at.Month() == now.Month() })
		}
		r.Repeat(map[string]func(*rapid.T){
			"time": func(r *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 5).Draw(r, "hours")) * time.Hour)
			},
			"reserve": func(r *rapid.T) {
				one := task.Reservation{
					Account: account, Node: fmt.Sprint("sam-", rapid.IntRange(0, 5).Draw(r, "node")), New: rapid.Bool().Draw(r, "new"),
					Hours: rapid.IntRange(1, 5).Draw(r, "hours"), Hour: price, Caps: caps,
				}
				m, there := fleet[one.Node]
				more := one.Hours
				if there {
					more = max(0, one.Hours-m.hours)
				}
				sum := int64(more) * price
				want := ""
				switch {
				case !there && !one.New:
					want = "gone"
				case !there && len(fleet) >= caps.Machines:
					want = "machines"
				case caps.Daily >= 0 && sum > 0 && today()+sum > caps.Daily:
					want = "day"
				case caps.Monthly >= 0 && sum > 0 && thisMonth()+sum > caps.Monthly:
					want = "month"
				}
				err := s.Reserve(t.Context(), one, now)
				var passed task.CapError
				switch {
				case want == "gone":
					if !errors.Is(err, task.ErrNotFound) {
						r.Fatalf("%+v: %v", one, err)
					}
				case want != "":
					if !errors.As(err, &passed) || passed.Cap != want {
						r.Fatalf("%+v: %v, want %s", one, err, want)
					}
				case err != nil:
					r.Fatalf("%+v: %v", one, err)
				default:
					if !there {
						m = &paidHours{}
						fleet[one.Node] = m
					}
					m.hours += more
					for range more {
						m.from = append(m.from, now)
					}
				}
			},
			"let go": func(r *rapid.T) {
				node := fmt.Sprint("sam-", rapid.IntRange(0, 5).Draw(r, "node"))
				begun := rapid.IntRange(0, 6).Draw(r, "begun")
				back, err := s.Unreserve(t.Context(), account, node, begun)
				if err != nil {
					r.Fatal(err)
				}
				var want int64
				if m, there := fleet[node]; there {
					kept := min(begun, m.hours)
					want = int64(m.hours-kept) * price
					for _, at := range m.from[:kept] {
						gone[at.Format(time.DateOnly)] += price
						gone[at.Format("2006-01")] += price
					}
					delete(fleet, node)
				}
				if back != want {
					r.Fatalf("%s: given back %d, want %d", node, back, want)
				}
			},
			"": func(r *rapid.T) {
				f, err := s.Fleet(t.Context(), account, now)
				if err != nil {
					r.Fatal(err)
				}
				hours := map[string]int{}
				for name, m := range fleet {
					hours[name] = m.hours
				}
				if !maps.Equal(f.Hours, hours) || f.Day != today() || f.Month != thisMonth() {
					r.Fatalf("%+v; want %v, today %d, this month %d", f, hours, today(), thisMonth())
				}
				if len(f.Hours) > caps.Machines || caps.Daily >= 0 && f.Day > caps.Daily || caps.Monthly >= 0 && f.Month > caps.Monthly {
					r.Fatalf("%+v is over %+v", f, caps)
				}
			},
		})
	})
	accounts, err := s.Fleets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range accounts {
		if f, err := s.Fleet(t.Context(), one, time.Now()); err != nil || len(f.Hours) == 0 {
			t.Errorf("account %d is listed with %+v, %v", one, f, err)
		}
	}
}

func TestAMachineThatIsKeptForLongHasAnEntryForADayAndGivesBackWhatItDidNotUse(t *testing.T) {
	s, r := open(t)
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for hours := 1; hours <= 36; hours++ {
		if err := s.Reserve(t.Context(), task.Reservation{
			Account: 5, Node: "sam-1", New: hours == 1, Hours: hours, Hour: 100, Caps: task.Caps{Machines: 1, Daily: -1, Monthly: -1},
		}, noon.Add(time.Duration(hours-1)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := r.Do(t.Context(), "HGET", "{0}:fleet:5", "sam-1")
	if err != nil || strings.Count(fmt.Sprint(text), `"day"`) != 2 {
		t.Errorf("its entry is %v, %v", text, err)
	}
	if back, err := s.Unreserve(t.Context(), 5, "sam-1", 35); err != nil || back != 100 {
		t.Errorf("given back are %d, %v", back, err)
	}
	for day, want := range map[time.Time]int64{noon: 1200, noon.AddDate(0, 0, 1): 2300} {
		if f, err := s.Fleet(t.Context(), 5, day); err != nil || f.Day != want {
			t.Errorf("of %s there are %d spent, %v; want %d", day, f.Day, err, want)
		}
	}
}

func TestOfAnAccountThatHasLeftNothingStaysForGood(t *testing.T) {
	s, server := open(t)
	now := time.Now()
	sp := spec(1)
	for _, err := range []error{
		s.Reserve(t.Context(), task.Reservation{Account: 5, Node: "sam-1", New: true, Hours: 2, Hour: 10, Caps: task.Caps{Machines: 1, Daily: -1, Monthly: -1}}, now),
		s.NoteObstacle(t.Context(), 5, task.Obstacle{Why: "no capacity", Until: now.Add(time.Minute)}),
		s.NoteArrival(t.Context(), task.Spec{ID: sp.ID, Account: 5, Accepted: now}, now),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Doubt(t.Context(), 5, []string{"machine 7"}, now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Unreserve(t.Context(), 5, "sam-1", 1); err != nil {
		t.Fatal(err)
	}
	redis := raw(t, server)
	keys, err := redis.Keys(t.Context(), "*:5").Result()
	if err != nil || len(keys) != 5 {
		t.Fatalf("%q, %v", keys, err)
	}
	for _, key := range keys {
		if left := redis.TTL(t.Context(), key).Val(); left < 23*time.Hour || left > 63*24*time.Hour {
			t.Errorf("%s lasts for %s", key, left)
		}
	}
}
