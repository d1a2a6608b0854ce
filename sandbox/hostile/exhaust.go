package hostile

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"sam/sandbox/hostile/orders"
)

// allowedDisk is what a workspace may take of the disk, in bytes. It is the one setting that is not the default, which would
// take longer to fill than a test may.
const allowedDisk = 256 << 20

// What the greedy try to take, and what may be taken at most.
const (
	flooded    = 1 << 30         // bytes that are printed, on each of two streams half
	floodKept  = 700 << 20       // bytes on the node for them
	filled     = 4 * allowedDisk // bytes that are written, at no more than 128 MiB a second
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

// exhaust has tasks take more than there is for them.
func (w *world) exhaust(ctx context.Context, report *Report) error {
	for _, act := range []func(context.Context) (Result, error){w.flood, w.forkBomb, w.fillDisk} {
		result, err := act(ctx)
		if err != nil {
			return err
		}
		report.add(result)
	}
	return nil
}

func (w *world) flood(ctx context.Context) (Result, error) {
	result := Result{Name: "flood", Verdict: Contained}
	began := size(w.options.Dir)
	stop := peak(func() int64 { return size(w.options.Dir) - began })
	j, err := w.ask(repository, 0, orders.Orders{Attempts: []string{"flood"}, Amount: flooded})
	if err != nil {
		return result, err
	}
	done, err := j.ends(ctx)
	most := stop()
	if err != nil {
		return result, err
	}
	said, made := done.report("flood")
	result.Told = done.told("output_cut", "printed")
	result.Why = fmt.Sprintf("at most %d MiB of it were kept; %s %s", most>>20, said.Said, done.reason())
	switch {
	case most > floodKept:
		result.Verdict = Escaped
	case !made && !result.Told:
		result.Verdict, result.Why = Untried, "nothing was flooded: "+done.reason()
	}
	return result, nil
}

func (w *world) forkBomb(ctx context.Context) (Result, error) {
	result := Result{Name: "fork-bomb", Verdict: Contained}
	mark := "bomb" + strings.ToLower(rand.Text()[:12])
	stop := peak(func() int64 { found, _ := marked(mark); return int64(len(found)) })
	j, err := w.ask(repository, 0, orders.Orders{Attempts: []string{"fork-bomb"}, Mark: mark})
	if err != nil {
		return result, err
	}
	done, err := j.ends(ctx)
	most := stop()
	if err != nil {
		return result, err
	}
	said, _ := done.report("fork-bomb")
	result.Told = done.told("processes", "pids")
	result.Why = fmt.Sprintf("at most %d processes were seen; %s", most, said.Said)
	left, err := marked(mark)
	switch {
	case err != nil:
		return result, err
	case most > mostPIDs, len(left) > 0:
		result.Verdict, result.Why = Escaped, fmt.Sprintf("%s; %d are left", result.Why, len(left))
	case most < leastPIDs:
		result.Verdict, result.Why = Untried, fmt.Sprintf("only %d processes were seen; %s", most, done.reason())
	}
	return result, nil
}

func (w *world) fillDisk(ctx context.Context) (Result, error) {
	result := Result{Name: "fill-disk", Verdict: Contained}
	folder := w.nodeDir() + "/workspaces"
	began := size(folder)
	stop := peak(func() int64 { return size(folder) - began })
	j, err := w.ask(repository, 0, orders.Orders{Attempts: []string{"fill-disk"}, Amount: filled})
	if err != nil {
		return result, err
	}
	done, err := j.ends(ctx)
	most := stop()
	if err != nil {
		return result, err
	}
	said, _ := done.report("fill-disk")
	result.Told = done.told("disk", "space")
	result.Why = fmt.Sprintf("at most %d MiB were written; %s %s", most>>20, said.Said, done.reason())
	switch {
	case most >= filled-filled/10:
		result.Verdict, result.Why = Escaped, "nothing stopped it: "+result.Why
	case most < 16<<20:
		result.Verdict, result.Why = Untried, "nothing was written: "+done.reason()
	}
	return result, nil
}
