package hetzner

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestWhatIsSharedIsAskedForOnceForAllWhoWantItAsOfThatTime(t *testing.T) {
	t.Parallel()
	var s shared[int64]
	var asked atomic.Int64
	ask := func() (int64, error) { return asked.Add(1), nil }
	round := time.Now()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if n, err := s.since(round, ask); n != 1 || err != nil {
				t.Errorf("of one round: %d, %v", n, err)
			}
		})
	}
	group.Wait()
	if n, _ := s.since(s.asked, ask); n != 1 {
		t.Errorf("it is as old as the question, and was asked for the %d. time", n)
	}
	if n, _ := s.since(s.asked.Add(1), ask); n != 2 {
		t.Errorf("it is older than the question: %d", n)
	}
	s.forget()
	if n, _ := s.since(round, ask); n != 3 {
		t.Errorf("forgotten: %d", n)
	}
}

func TestWhatIsSharedStaysWhenItIsAskedForInVain(t *testing.T) {
	t.Parallel()
	var s shared[int64]
	begin := time.Now()
	down := errors.New("down")
	if _, err := s.since(begin, func() (int64, error) { return 0, down }); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
	if n, err := s.since(begin, func() (int64, error) { return 7, nil }); n != 7 || err != nil {
		t.Errorf("the next: %d, %v", n, err)
	}
	if _, err := s.since(time.Now().Add(time.Hour), func() (int64, error) { return 0, down }); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
	if n, err := s.since(begin, func() (int64, error) { return 8, nil }); n != 7 || err != nil {
		t.Errorf("what was known before: %d, %v", n, err)
	}
}
