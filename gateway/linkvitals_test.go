package gateway

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"sam/agent/wire"
	"sam/task"
)

func TestABeatTellsHowTheNodeIsAndWhatItHoldsWhenThatHasChanged(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, _ := w.link("local")
	well := wire.Beat{Load1: 0.5, MemFree: 3 << 30, Memory: 8 << 30, DiskFree: 30 << 30, Disk: 40 << 30, DiskKept: 2 << 30}
	want := task.Vitals{Load1: 0.5, MemoryFree: 3 << 30, Memory: 8 << 30, DiskFree: 30 << 30, Disk: 40 << 30, DiskKept: 2 << 30}
	p.say(wire.Frame{Type: wire.TypeBeat, Beat: &well})
	w.until("its vitals are known", func() bool { return w.node("local").Vitals == want })
	if n := w.node("local"); !slices.Equal(n.Mirrors, []int64{testProject}) || n.Built != nil {
		t.Errorf("without a word it holds %v and %v", n.Mirrors, n.Built)
	}
	well.Held = &wire.Held{Mirrors: []int64{testProject, 9}, Built: []int64{9}}
	p.say(wire.Frame{Type: wire.TypeBeat, Beat: &well})
	w.until("what it holds is known", func() bool {
		n := w.node("local")
		return slices.Equal(n.Mirrors, well.Held.Mirrors) && slices.Equal(n.Built, well.Held.Built)
	})
	p.say(wire.Frame{Type: wire.TypeBeat, Beat: &wire.Beat{Held: &wire.Held{}}})
	w.until("that it holds nothing any more is known", func() bool {
		n := w.node("local")
		return len(n.Mirrors) == 0 && len(n.Built) == 0 && reflect.DeepEqual(n.Vitals, task.Vitals{})
	})
}

func TestAHelloSaysWhichEnvironmentsTheNodeHasBuilt(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p := w.dial("local")
	f := hello()
	f.Hello.Built = []int64{3, 5}
	p.say(f)
	p.hear(wire.TypeWelcome)
	if n := w.node("local"); !slices.Equal(n.Built, f.Hello.Built) {
		t.Errorf("it has %v", n.Built)
	}
}

func TestANodeThatOverstatesItselfIsTakenForTheLargestThereIs(t *testing.T) {
	t.Parallel()
	if v := vitals(wire.Beat{Disk: math.MaxUint64, DiskFree: math.MaxInt64 + 1}); v.Disk != math.MaxInt64 || v.DiskFree != math.MaxInt64 {
		t.Errorf("%+v", v)
	}
}
