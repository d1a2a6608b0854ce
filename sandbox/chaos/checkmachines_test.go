package chaos

import (
	"strings"
	"testing"
	"time"

	"sam/sandbox/hetzner"
)

// bookkeeping is what a run leaves behind of machines.
type bookkeeping struct {
	rented
	records
}

// hourly is the price of a machine with its address, as the bill has them.
const (
	hourly        = hetzner.Money(80)
	hourlyAddress = hetzner.Money(8)
)

// add makes a server at a time, and ends it again unless it lives for 0.
func (b *bookkeeping) add(name string, at time.Time, lives time.Duration) {
	s := hetzner.ServerRecord{ID: int64(len(b.servers) + 1), Name: name, CreatedAt: at}
	hours := int64(1)
	if lives > 0 {
		end := at.Add(lives)
		s.DeletedAt, hours = &end, int64((lives+time.Hour-1)/time.Hour)
	}
	b.servers = append(b.servers, s)
	b.bill = append(b.bill,
		hetzner.Line{Resource: "server", Name: name, Created: at, Hours: hours, Hourly: hourly},
		hetzner.Line{Resource: "primary_ip", Name: name + "-4", Created: at, Hours: hours, Hourly: hourlyAddress},
		hetzner.Line{Resource: "primary_ip", Name: name + "-6", Created: at, Hours: hours})
}

// agreeing is of two machines that were there, one after the other, and one that is; the account may have two at once.
func agreeing() *bookkeeping {
	b := &bookkeeping{}
	b.caps = caps{machines: 2, daily: 40_000, monthly: 60_000} // a machine's hour comes to 10,472
	b.add("m1", noon, 20*time.Minute)
	b.add("m2", noon.Add(20*time.Minute), 10*time.Minute)
	b.add("m3", noon.Add(25*time.Minute), 0)
	b.machines, b.paid = []string{"m3"}, []string{"m3"}
	return b
}

func (b *bookkeeping) report() *Report {
	r := &Report{}
	checkMachines(r, b.rented, &b.records)
	return r
}

func TestMachinesThatWereKeptTrackOfAreReportedAsSuch(t *testing.T) {
	r := agreeing().report()
	if !r.Kept() || len(r.Findings()) != 0 || r.Machines != 3 || r.Spent != 0.031416 {
		t.Errorf("%+v", r)
	}
}

func TestEveryKindOfBrokenPromiseAboutMachinesIsSeen(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(*bookkeeping)
		want Report
	}{
		{"a server that no record claims", func(b *bookkeeping) { b.machines, b.paid = nil, nil }, Report{Orphans: 1}},
		{"a server that is there again when its record is gone", func(b *bookkeeping) { b.servers[0].DeletedAt = nil }, Report{Orphans: 1, OverCap: 1}},
		{"a record whose server is gone", func(b *bookkeeping) {
			end := noon.Add(time.Hour)
			b.servers[2].DeletedAt = &end
		}, Report{Orphans: 1}},
		{"money for a machine without a record", func(b *bookkeeping) { b.paid = append(b.paid, "m9") }, Report{Orphans: 1}},
		{"a machine that outlives the account's token", func(b *bookkeeping) { b.withdrawn = true }, Report{Orphans: 1}},
		{"a machine more than may be", func(b *bookkeeping) { b.caps.machines = 1 }, Report{OverCap: 1}},
		{"a machine where none may be", func(b *bookkeeping) { b.caps.machines = 0 }, Report{OverCap: 3}},
		{"an hour more than the day's budget allows", func(b *bookkeeping) { b.caps.daily = 31_415 }, Report{OverBudget: 1}},
		{"hours more than the month's", func(b *bookkeeping) { b.caps.monthly = 20_943 }, Report{OverBudget: 3}}, // an address, a server and its address
		{"an hour that begins when nobody looks", func(b *bookkeeping) {
			b.caps.daily = 31_416
			b.bill[0].Hours = 2
		}, Report{OverBudget: 1}},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := agreeing()
			c.do(b)
			got := b.report()
			findings := got.Findings()
			if got.Kept() || len(findings) == 0 {
				t.Error("the checker did not see it")
			}
			got.Machines, got.Spent, got.findings = 0, 0, nil
			if x, y := line(t, got), line(t, &c.want); x != y {
				t.Errorf("counted %s\nwant    %s\n%s", x, y, strings.Join(findings, "\n"))
			}
		})
	}
}

func TestWhatLooksLikeABrokenPromiseAboutMachinesAndIsNoneIsNotCounted(t *testing.T) {
	for what, do := range map[string]func(*bookkeeping){
		"one that is made at the moment at which another is gone": func(b *bookkeeping) {
			b.caps.daily = 60_000
			b.add("m4", noon.Add(30*time.Minute), time.Minute)
		},
		"a budget that is spent to the last cent": func(b *bookkeeping) { b.caps.daily, b.caps.monthly = 31_416, 31_416 },
		"hours of another day": func(b *bookkeeping) {
			b.caps.daily = 31_416
			b.add("m4", noon.Add(24*time.Hour), time.Minute)
		},
		"nothing at all after the token is withdrawn": func(b *bookkeeping) {
			end := noon.Add(time.Hour)
			b.servers[2].DeletedAt, b.machines, b.paid, b.withdrawn = &end, nil, nil, true
		},
	} {
		t.Run(what, func(t *testing.T) {
			b := agreeing()
			do(b)
			if r := b.report(); !r.Kept() {
				t.Errorf("counted as broken: %v", r.Findings())
			}
		})
	}
}
