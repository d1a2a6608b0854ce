package hostile

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"sam/sandbox/hostile/orders"
)

// What a workspace may take of the disk and of memory, in bytes. They are the settings that are not the default, which would
// take longer to fill, and more of the machine, than a test may.
const (
	allowedDisk   = 256 << 20
	allowedMemory = 768 << 20
)

// What the greedy try to take, and what may be taken at most.
const (
	flooded    = 1 << 30         // bytes that are printed, on each of two streams half
	floodKept  = 700 << 20       // bytes on the node for them
	filled     = 4 * allowedDisk // bytes that are written, at no more than 128 MiB a second
	eaten      = 2 * allowedMemory
	mostPIDs   = 600
	leastPIDs  = 50 // fewer are no bomb; each has several threads, which count
	watchEvery = 100 * time.Millisecond
)

// peak watches how large something becomes until stop is called.
func peak(measure func() int64) (stop func() int64) {
	var watching sync.WaitGroup
	end := make(chan struct{})
	most := int64(0)
	watching.Go(func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			most = max(most, measure())
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	})
	return func() int64 {
		close(end)
		watching.Wait()
		return most
	}
}

// greed is an attempt to take more than there is for a task.
type greed struct {
	name    string
	amount  int64 // that is to be taken, where it is told how much
	measure func(mark string) int64
	grows   bool // what is measured counts from what it was before
	least   int64
	most    int64  // more is an escape, and less than least no attempt
	unit    string // of most, least and what is measured
	one     int64  // unit, of what is measured
	told    telling
}

// greedy are those that are tried.
func (w *world) greedy() map[string]greed {
	kept := func(string) int64 { return size(w.options.Dir) }
	written := func(string) int64 { return size(w.nodeDir() + "/workspaces") }
	all := map[string]greed{}
	for _, g := range []greed{
		{name: "flood", amount: flooded, measure: kept, grows: true, most: floodKept, unit: "MiB", one: 1 << 20, told: noticed("output_cut", "")},
		{name: "fork-bomb", measure: processes, least: leastPIDs, most: mostPIDs, unit: "processes", one: 1, told: noticed("processes_refused", "512")},
		{name: "memory", amount: eaten, measure: resident, least: allowedMemory / 2, most: allowedMemory + allowedMemory/8, unit: "MiB", one: 1 << 20, told: noticed("memory_exhausted", "768 MiB")},
		{name: "fill-disk", amount: filled, measure: written, grows: true, least: 16 << 20, most: filled - filled/10, unit: "MiB", one: 1 << 20, told: telling{code: "finished", names: "of the node's disk"}},
	} {
		all[g.name] = g
	}
	return all
}

func processes(mark string) int64 {
	found, _ := marked(mark)
	return int64(len(found))
}

// resident is the memory of the processes with a mark, in bytes.
func resident(mark string) int64 {
	found, _ := marked(mark)
	total := int64(0)
	for _, pid := range found {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if fields := strings.Fields(string(text)); err == nil && len(fields) > 1 {
			pages, _ := strconv.ParseInt(fields[1], 10, 64)
			total += pages * int64(os.Getpagesize())
		}
	}
	return total
}

// exhaust has a task take more than there is for it.
func (w *world) exhaust(ctx context.Context, name string) ([]Result, error) {
	g := w.greedy()[name]
	result := Result{Name: g.name, Verdict: Contained}
	mark := "greed" + strings.ToLower(rand.Text()[:12])
	began := int64(0)
	if g.grows {
		began = g.measure(mark)
	}
	stop := peak(func() int64 { return g.measure(mark) - began })
	j, err := w.ask(repository, 0, orders.Orders{Attempts: []string{g.name}, Mark: mark, Amount: g.amount})
	if err != nil {
		stop()
		return nil, err
	}
	done, err := j.ends(ctx)
	most := stop()
	if err != nil {
		return nil, err
	}
	said, made := done.report(g.name)
	result.tell(done, g.told)
	result.Why = fmt.Sprintf("at most %d %s were seen; %s %s", most/g.one, g.unit, said.Said, done.reason())
	left, err := marked(mark)
	switch {
	case err != nil:
		return nil, err
	case most > g.most, len(left) > 0:
		result.Verdict, result.Why = Escaped, fmt.Sprintf("%s; %d processes are left", result.Why, len(left))
	case most < g.least, g.least == 0 && !made && !result.Told:
		result.Verdict, result.Why = Untried, fmt.Sprintf("only %d %s were seen; %s", most/g.one, g.unit, done.reason())
	}
	return []Result{result}, nil
}
