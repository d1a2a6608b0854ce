package store_test

import (
	"reflect"
	"testing"

	"sam/task"
)

func TestANodesVitalsAndWhatItHoldsStayUntilItSaysOtherwise(t *testing.T) {
	s, _ := open(t)
	linkNode(t, s, 1)
	link := func() int64 {
		t.Helper()
		epoch, err := s.NodeLinked(t.Context(), task.Node{Name: "local", Slots: 1, Mirrors: []int64{7}, Built: []int64{7}})
		if err != nil {
			t.Fatal(err)
		}
		return epoch
	}
	beat := func(epoch int64, v task.Vitals, changed *task.Held) {
		t.Helper()
		if err := s.NodeBeat(t.Context(), "local", epoch, v, changed); err != nil {
			t.Fatal(err)
		}
	}
	is := func(when string, v task.Vitals, mirrors, built []int64) {
		t.Helper()
		one, err := s.Node(t.Context(), "local")
		if err != nil || one.Vitals != v || !reflect.DeepEqual(one.Mirrors, mirrors) || !reflect.DeepEqual(one.Built, built) {
			t.Errorf("%s: %+v, %v", when, one, err)
		}
	}
	full := task.Vitals{Load1: 2.5, MemoryFree: 1, Memory: 8 << 30, DiskFree: 1 << 30, Disk: 40 << 30, DiskKept: 2 << 30}
	epoch := link()
	is("before its first beat", task.Vitals{}, []int64{7}, []int64{7})
	beat(epoch, full, nil)
	is("after a beat", full, []int64{7}, []int64{7})
	beat(epoch, full, &task.Held{Mirrors: []int64{7, 8}})
	is("after news", full, []int64{7, 8}, nil)
	epoch = link()
	is("when it has dialled again, before it beats", full, []int64{7}, []int64{7})
	beat(epoch, task.Vitals{}, &task.Held{Mirrors: []int64{}, Built: []int64{8}})
	is("when it knows nothing of itself", task.Vitals{}, []int64{}, []int64{8})
}
