package pool

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standin "sam/sandbox/hetzner"
	"sam/task"
)

// says has a node's record say that something was at a time.
func (w *world) says(node, field string, at time.Time) {
	w.t.Helper()
	if _, err := w.redis.Do(w.t.Context(), "HSET", "{0}:node:"+node, field, strconv.FormatInt(at.UnixMilli(), 10)); err != nil {
		w.t.Fatal(err)
	}
}

// linked makes a machine whose node has called home, and whose task has ended.
func (w *world) linked(p *Pool, now time.Time) task.Node {
	w.t.Helper()
	one := w.wanted()
	w.once(p, now)
	n := w.nodes()[0]
	w.link(n.Name)
	w.place(p, one, now)
	w.ended(one.ID)
	return n
}

func TestANodeIsSilentWhenThisProcessHasListenedInVainWhateverItsRecordSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	n := w.linked(p, now)
	w.once(p, now) // it was heard
	w.silent = true
	w.says(n.Name, "seen", now.Add(-24*time.Hour)) // as a Redis from yesterday has it
	for _, at := range []time.Duration{0, p.Timing.Lost - time.Second} {
		w.once(p, now.Add(at))
		w.agree(1)
	}
	late := now.Add(p.Timing.Lost)
	w.once(w.replica(w.connect()), late) // another has only begun to listen
	w.agree(1)
	w.once(p, late)
	w.once(p, late)
	w.agree(0)
}

func TestAnOutageOfRedisIsNotTheSilenceOfItsNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	n := w.linked(p, now)
	ago := now.Add(-time.Hour)
	outage := func(from time.Time) {
		w.says(n.Name, "seen", ago)
		one, err := w.store.Node(t.Context(), n.Name)
		if err != nil {
			t.Fatal(err)
		}
		p.sightings[n.Name] = sighting{one.Seen, ago}
		p.reached = from
		p.turn(t.Context())
		p.tenders.Wait()
	}
	outage(now.Add(-2 * deaf))
	if got := w.nodes(); len(got) != 1 || got[0].State == task.NodeGoing {
		t.Fatalf("nobody could have been heard for a while, and there are %+v", got)
	}
	outage(time.Now())
	if got := w.nodes(); len(got) == 1 && got[0].State != task.NodeGoing {
		t.Errorf("it was silent for an hour in which this process listened, and is %+v", got[0])
	}
}

func TestARecordThatBootsSinceYesterdayIsGivenTheTimeForItsLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	w.wanted()
	w.once(p, now)
	n := w.nodes()[0]
	w.says(n.Name, "made", now.Add(-24*time.Hour))
	day := now.Add(24 * time.Hour) // its server is a day old as well
	w.once(p, day)
	w.agree(1)
	w.link(n.Name) // it was at work all the time, and dials again
	w.once(p, day.Add(2*relink))
	w.agree(1)
}

func TestARecordFromYesterdayThatHasNoMachineGetsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	if _, err := p.record(t.Context(), &desk{Account: w.way, id: acme}, "sam-yesterday", 1); err != nil {
		t.Fatal(err)
	}
	w.says("sam-yesterday", "made", now.Add(-24*time.Hour))
	w.once(p, now)
	if got := w.hub.History().Servers; len(got) != 0 {
		t.Fatalf("made was %+v", got)
	}
	w.once(p, now.Add(relink))
	w.once(p, now.Add(relink))
	w.agree(0)
	if why := w.fleet(now).Obstacle.Why; why == "" {
		t.Error("nobody is told that it was given up")
	} else {
		contains(t, why, "SAM tried for 15m0s", "did not answer as it should")
	}
}

func TestAMachineThatWasHadLateHasItsWholeTimeToCallHome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	w.wanted()
	w.once(p, now)
	name := w.nodes()[0].Name
	w.says(name, "made", now.Add(2*time.Minute-p.Timing.CallHome)) // 13 minutes of tries
	for _, at := range []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute} {
		w.once(p, now.Add(at))
	}
	w.agree(1)
	if got := w.nodes()[0].Name; got != name {
		t.Errorf("it was given up, and %s made in its place", got)
	}
}

// mutely makes passes until the machine that there is was given up, and returns the time after.
func (w *world) mutely(p *Pool, now time.Time) time.Time {
	w.t.Helper()
	w.agree(1)
	w.says(w.nodes()[0].Name, "made", now)
	for range 2 {
		w.once(p, now) // seen as of that time
	}
	late := now.Add(max(p.Timing.CallHome, time.Since(now)+p.Timing.CallHome))
	for range 2 {
		w.once(p, late)
	}
	w.agree(0)
	return late
}

func TestMachinesThatDoNotCallHomeAreMadeMoreAndMoreSeldom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	p.Timing.Again = time.Minute
	one := w.wanted()
	for range slots * 2 {
		w.wanted() // which would need more than one
	}
	w.way.Caps.Machines = 1
	w.once(p, now)
	for i, pause := range []time.Duration{time.Minute, 4 * time.Minute, 16 * time.Minute, 64 * time.Minute, 256 * time.Minute, 6 * time.Hour, 6 * time.Hour} {
		now = w.mutely(p, now)
		w.way.Caps = task.Caps{Machines: 5, Daily: -1, Monthly: -1}
		w.once(p, now.Add(pause-time.Second))
		w.agree(0)
		_, wait := w.place(p, one, now.Add(pause-time.Second))
		contains(t, wait, "did not call home within 15m0s", now.Add(pause).UTC().Format("made at 15:04 UTC"))
		if i > 0 {
			contains(t, wait, "called home of "+strconv.Itoa(i+1)+" in a row")
		}
		now = now.Add(pause)
		for range 2 { // one alone, and none beside it
			w.once(p, now)
			w.agree(1)
		}
	}
	w.says(w.nodes()[0].Name, "made", now)
	w.link(w.nodes()[0].Name)
	w.once(p, now)
	if o := w.fleet(now).Obstacle; o != (task.Obstacle{}) {
		t.Errorf("one has called home, and %+v", o)
	}
	if w.once(p, now); len(w.servers()) < 2 {
		t.Error("the others wait still")
	}
}

func TestAServerThatIsStartedAnewDoesNotWaitForWhatTheLastOneHadSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	p.Timing.Again = time.Hour
	w.wanted()
	w.once(p, now)
	now = w.mutely(p, now)
	w.once(p, now)
	w.agree(0)
	w.once(w.replica(w.store), now)
	w.agree(1)
}

func TestWhatKeepsAMachineFromBeingHadLeavesWhatIsKnownOfThoseThatWereMute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	w.wanted()
	w.once(p, now)
	now = w.mutely(p, now)
	w.goWrong(standin.Rule{Kind: standin.ResourceUnavailable, Method: http.MethodPost, Path: "/servers", Next: 3})
	now = now.Add(p.Timing.Again)
	w.once(p, now)
	if o := w.fleet(now).Obstacle; o.Mute != 1 || !strings.Contains(o.Why, "no machine is to be had now") {
		t.Errorf("%+v", o)
	}
	w.once(p, now)
	now = now.Add(p.Timing.Again + time.Second)
	w.once(p, now)
	w.agree(1)
	if o := w.fleet(now).Obstacle; o.Mute != 1 || o.Why != "" {
		t.Errorf("it was made, and %+v", o)
	}
}
