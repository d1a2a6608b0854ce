package simulator

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"sam/runner/policy"
	"sam/task"
)

// The time from a creation's request to a node that is ready, log-normal around 36 s: 11 s until a server of a system image
// runs, some 15 s of kernel and cloud-init, 10 s of our own. One in twenty takes three times as long.
const (
	bootMedian = 36 * time.Second
	bootSpread = 0.35
	bootSlow   = 0.05
	bootFactor = 3
)

// afterwards is how long after the last arrival machines may be kept before the simulation ends: longer than any policy does
// without a task, since what is kept then is a schedule's, and would be kept for ever.
const afterwards = 26 * time.Hour

// historyKept bounds the arrivals that policies are told of: four weeks' of a busy account.
const historyKept = 2000

// Run simulates a trace to its end. It stops early, with ctx's error, only when ctx is done.
func Run(ctx context.Context, t Trace, o Options) (Result, error) {
	w := newWorld(t, o)
	for w.events.heap.Len() > 0 {
		if ctx.Err() != nil {
			return Result{}, fmt.Errorf("simulate %s: %w", t.Name, ctx.Err())
		}
		e := w.events.pop()
		if e.kind == ask && w.open == 0 && e.at.After(w.horizon.Add(afterwards)) {
			break
		}
		w.now = e.at
		w.happen(e)
	}
	return w.result()
}

// machine is a policy.Machine and what happened to it.
type machine struct {
	policy.Machine
	busy    time.Time // since when it has had a task, while it has one
	deleted time.Time
}

// job is a task of the trace.
type job struct {
	policy.Request
	run   time.Duration
	turn  time.Time // when it was first in its thread
	start time.Time
	end   time.Time
	cold  bool
	node  *machine
}

type world struct {
	Options
	rand     *rand.Rand
	now      time.Time
	horizon  time.Time // the last arrival
	events   events
	jobs     []job
	byID     map[task.ID]*job
	threads  map[task.ThreadID][]*job // what waits in a thread, its first at work or in the queue
	queue    []*job                   // firsts of their threads without a machine
	busy     map[task.ThreadID]bool
	accounts []int64
	arrivals map[int64][]time.Time
	machines []*machine // alive
	gone     []*machine
	made     int
	most     map[int64]int
	open     int       // tasks that are not over
	asked    time.Time // when release is asked again next
	worked   time.Duration
}

func newWorld(t Trace, o Options) *world {
	w := &world{
		Options: o, rand: rand.New(rand.NewPCG(o.Seed, 6)), //nolint:gosec // to be repeated, not guessed at
		byID: map[task.ID]*job{}, threads: map[task.ThreadID][]*job{}, busy: map[task.ThreadID]bool{},
		arrivals: map[int64][]time.Time{}, most: map[int64]int{}, jobs: make([]job, len(t.Arrivals)), open: len(t.Arrivals),
	}
	for i, a := range t.Arrivals {
		j := &w.jobs[i]
		j.ID, j.Account, j.Project, j.run = task.ID(strconv.Itoa(i)), a.Account, a.Repository, a.Run
		j.Thread = task.ThreadID(fmt.Sprintf("%d/%d/%s", a.Account, a.Repository, a.Thread))
		j.Created, j.Image = a.At, strconv.FormatInt(a.Repository, 10)
		w.byID[j.ID] = j
		w.events.push(event{at: a.At, kind: arrive, job: j})
		w.accounts = append(w.accounts, a.Account)
		w.horizon = a.At
	}
	slices.Sort(w.accounts)
	w.accounts = slices.Compact(w.accounts)
	if len(t.Arrivals) > 0 && len(o.Schedule.Windows) > 0 {
		w.events.push(event{at: t.Arrivals[0].At, kind: edge})
	}
	return w
}

// happen is one event, and the pool's pass that it wakes.
func (w *world) happen(e event) {
	switch e.kind {
	case arrive:
		a := e.job.Account
		if len(w.arrivals[a]) == historyKept {
			w.arrivals[a] = w.arrivals[a][1:]
		}
		w.arrivals[a] = append(w.arrivals[a], w.now)
		w.threads[e.job.Thread] = append(w.threads[e.job.Thread], e.job)
		if len(w.threads[e.job.Thread]) == 1 {
			w.enqueue(e.job)
		}
	case boot:
		e.machine.State = task.NodeReady
	case finish:
		w.finish(e.job)
	case edge:
		if next := w.Schedule.Next(w.now); next.Before(w.horizon) {
			w.events.push(event{at: next, kind: edge})
		}
	case ask:
	}
	w.place()
	w.release()
}

func (w *world) enqueue(j *job) {
	j.turn = w.now
	w.queue = append(w.queue, j)
}

func (w *world) finish(j *job) {
	m := j.node
	m.Tasks = slices.DeleteFunc(m.Tasks, func(id task.ID) bool { return id == j.ID })
	m.Used = w.now
	if len(m.Tasks) == 0 {
		w.worked += w.now.Sub(m.busy)
	}
	w.open--
	delete(w.busy, j.Thread)
	rest := w.threads[j.Thread][1:]
	w.threads[j.Thread] = rest
	if len(rest) == 0 {
		delete(w.threads, j.Thread)
		return
	}
	w.enqueue(rest[0])
}

// snapshot is what the pool would read from its records.
func (w *world) snapshot(queue []*job) policy.Snapshot {
	s := policy.Snapshot{
		Now: w.now, Accounts: make(map[int64]policy.Limits, len(w.accounts)), Busy: w.busy,
		Machines: make([]policy.Machine, 0, len(w.machines)),
	}
	for _, a := range w.accounts {
		s.Accounts[a] = policy.Limits{
			Create: true, Machines: w.Machines, Slots: w.Slots, Hourly: w.Hourly, Minimum: w.Schedule.Minimum(w.now),
		}
	}
	for _, m := range w.machines {
		m.Seen = w.now
		m.Paid = policy.PaidUntil(m.Created, w.now)
		s.Machines = append(s.Machines, m.Machine)
	}
	for _, j := range queue {
		s.Queue = append(s.Queue, j.Request)
	}
	return s
}

// place carries out what policy.Decide says.
func (w *world) place() {
	if len(w.queue) == 0 && len(w.Schedule.Windows) == 0 {
		return
	}
	plan := policy.Decide(w.snapshot(w.queue))
	for _, s := range plan.Starts {
		w.start(w.byID[s.Task], s.Node)
	}
	for _, c := range plan.Creations {
		w.create(c.Account)
	}
	w.queue = slices.DeleteFunc(w.queue, func(j *job) bool { return j.node != nil })
	for _, j := range w.queue {
		if j.turn.Equal(w.now) {
			j.cold = true // its turn is now, and no slot of a ready machine was free
		}
	}
}

func (w *world) start(j *job, node string) {
	m := w.machines[slices.IndexFunc(w.machines, func(m *machine) bool { return m.Name == node })]
	begin := w.now
	if !slices.Contains(m.Mirrors, j.Project) {
		begin = begin.Add(w.Fetch)
		m.Mirrors, m.Images = append(m.Mirrors, j.Project), append(m.Images, j.Image)
	}
	if len(m.Tasks) == 0 {
		m.busy = w.now
	}
	m.Tasks = append(slices.Clone(m.Tasks), j.ID)
	j.node, j.start, j.end = m, w.now, begin.Add(j.run)
	w.busy[j.Thread] = true
	w.events.push(event{at: j.end, kind: finish, job: j})
}

func (w *world) create(account int64) {
	w.made++
	m := &machine{Machine: policy.Machine{
		Node: task.Node{
			Name: fmt.Sprintf("m%06d", w.made), Account: account, State: task.NodeBooting, Slots: w.Slots,
		},
		Created: w.now, Used: w.now, Hourly: w.Hourly,
	}}
	w.machines = append(w.machines, m)
	here := 0
	for _, other := range w.machines {
		if other.Account == account {
			here++
		}
	}
	w.most[account] = max(w.most[account], here)
	took := time.Duration(float64(bootMedian) * math.Exp(bootSpread*w.rand.NormFloat64()))
	if w.rand.Float64() < bootSlow {
		took *= bootFactor
	}
	w.events.push(event{at: w.now.Add(took), kind: boot, machine: m})
}

// release carries out what policy.Release says, and has it asked again when it wants to be.
func (w *world) release() {
	idle := slices.ContainsFunc(w.machines, func(m *machine) bool { return m.State == task.NodeReady && len(m.Tasks) == 0 })
	if !idle {
		return
	}
	kept := policy.Release(w.Policy, w.snapshot(nil), w.arrivals)
	for _, name := range kept.LetGo {
		i := slices.IndexFunc(w.machines, func(m *machine) bool { return m.Name == name })
		w.machines[i].deleted = w.now.Add(w.Delete)
		w.gone = append(w.gone, w.machines[i])
		w.machines = slices.Delete(w.machines, i, i+1)
	}
	if kept.Next.IsZero() || w.asked.After(w.now) && !kept.Next.Before(w.asked) {
		return // asked then anyway
	}
	w.asked = kept.Next
	w.events.push(event{at: kept.Next, kind: ask})
}
