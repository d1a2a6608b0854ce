package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"sam/task"
)

// adopt makes an attempt that an earlier process left one of this process, which goes on with it. It reports false when
// there is nothing to go on with: the attempt has ended, or the gateway has more of it (up to after) than the file.
func (s *spool) adopt(after int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.dropped || after > s.last {
		return false
	}
	s.orphan = false
	return true
}

func (s *spool) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// position is the number of the last event.
func (s *spool) position() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// since counts the driver's events after the one with that number; pushed says that the push after them is recorded too.
func (s *spool) since(number int64) (driver int, pushed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reader := bufio.NewReaderSize(io.NewSectionReader(s.file, s.begin, s.size-s.begin), 2*task.MaxEvent)
	for seq := s.after + 1; seq <= s.last; seq++ {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return 0, false, fmt.Errorf("read event %d in spool: %w", seq, err)
		}
		if seq <= number {
			continue
		}
		var e task.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return 0, false, fmt.Errorf("read event %d in spool: %w", seq, err)
		}
		if e.Kind == task.Stepped && e.Step != nil && e.Step.Name == task.StepPush {
			pushed = true
			continue
		}
		if e.Kind == task.Noticed && (e.Notice == nil || e.Notice.Code != codeOutputCut) {
			continue // the node's own, and of no certain place among the driver's
		}
		driver++
	}
	return driver, pushed, nil
}
