package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"sam/agent/wire"
	"sam/redact"
	"sam/task"
)

// errEnded: the attempt's Finished is written; nothing may follow it.
var errEnded = errors.New("the attempt has ended")

// errDropped: the gateway no longer wants the attempt's events.
var errDropped = errors.New("the attempt was dropped")

// spool is one attempt's events on disk, one a line after a header, numbered without gaps. Appending never waits for the
// network; the link reads from the file, so memory is bounded by one batch however far the gateway is behind.
type spool struct {
	ref     wire.Ref
	path    string
	changed func() // tells the sender

	mu      sync.Mutex
	file    *os.File
	after   int64            // number before that of the first event in the file
	last    int64            // number of the last event in the file; after when there is none
	begin   int64            // offset of the first event
	size    int64            // of what is whole; a torn write is cut back to it
	hidden  *redact.Redactor // of what must not be in the file
	ended   bool             // Finished is in
	dropped bool
	orphan  bool // an earlier process of the node agent left it

	next   int64 // number of the event to send next on this link
	offset int64 // where it begins
	acked  int64 // number up to which the gateway has said, on this link, that it has all
}

// spoolHead is the first line of the file.
type spoolHead struct {
	Spool int   `json:"spool"` // version of the format
	After int64 `json:"after"`
}

// createSpool makes the file with its header on disk: from then on the attempt counts as taken in.
func createSpool(path string, ref wire.Ref, after int64, changed func()) (*spool, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create spool: %w", err)
	}
	s := &spool{ref: ref, path: path, changed: changed, file: file}
	if err := s.begins(after); err != nil {
		_ = file.Close()
		_ = os.Remove(path)
		return nil, err
	}
	return s, nil
}

// begins empties the file but for a header: the next event is after+1.
func (s *spool) begins(after int64) error {
	head, err := json.Marshal(spoolHead{Spool: 1, After: after})
	if err != nil {
		return fmt.Errorf("write spool: %w", err)
	}
	head = append(head, '\n')
	if err := s.file.Truncate(0); err != nil {
		return fmt.Errorf("write spool: %w", err)
	}
	if _, err := s.file.WriteAt(head, 0); err != nil {
		return fmt.Errorf("write spool: %w", err)
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("write spool: %w", err)
	}
	s.begin = int64(len(head))
	s.size, s.offset = s.begin, s.begin
	s.after, s.last, s.next = after, after, after+1
	return nil
}

// errHeadless: the process died between creating the file and writing its header, so nothing was taken in.
var errHeadless = errors.New("the spool has no header")

// recoverSpool opens what an earlier process left, and cuts off a last line that was not written whole.
func recoverSpool(path string, ref wire.Ref, changed func()) (*spool, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s := &spool{ref: ref, path: path, changed: changed, file: file, orphan: true}
	if err := s.scan(); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("read spool %s: %w", path, err)
	}
	return s, nil
}

func (s *spool) scan() error {
	reader := bufio.NewReaderSize(io.NewSectionReader(s.file, 0, 1<<62), 2*task.MaxEvent)
	line, err := reader.ReadSlice('\n')
	var head spoolHead
	if err != nil || json.Unmarshal(line, &head) != nil || head.Spool != 1 {
		return errHeadless
	}
	s.begin = int64(len(line))
	s.size, s.offset = s.begin, s.begin
	s.after, s.last, s.next = head.After, head.After, head.After+1
	for {
		line, err := reader.ReadSlice('\n')
		var e struct {
			Seq  int64     `json:"seq"`
			Kind task.Kind `json:"kind"`
		}
		if err != nil || json.Unmarshal(line, &e) != nil || e.Seq != s.last+1 {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
				return err
			}
			break // the end, or a torn line: everything before it is whole
		}
		s.last++
		s.size += int64(len(line))
		s.ended = s.ended || e.Kind == task.Finished
	}
	return s.file.Truncate(s.size)
}

// append numbers the event and writes it in one write. It returns errEnded after a Finished, errDropped after a drop, and
// an error that wraps task.ErrEvent for what the gateway would not take; any other error is the disk's. In every case
// nothing of the event was kept.
func (s *spool) append(e task.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(e)
}

func (s *spool) write(e task.Event) error {
	switch {
	case s.dropped:
		return errDropped
	case s.ended:
		return errEnded
	}
	data, err := s.line(e)
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if _, err := s.file.WriteAt(data, s.size); err != nil {
		_ = s.file.Truncate(s.size)
		return fmt.Errorf("write to spool: %w", err)
	}
	s.size += int64(len(data))
	s.last++
	s.ended = e.Kind == task.Finished
	s.changed()
	return nil
}

// line is the event as the next one in the file, or an error that wraps task.ErrEvent.
func (s *spool) line(e task.Event) ([]byte, error) {
	e.Seq = s.last + 1
	if e.At.IsZero() {
		e.At = time.Now().UTC()
	}
	data, err := encode(e)
	if err != nil {
		return nil, err
	}
	data = s.hidden.Event(data, task.MaxEvent)
	if _, err := task.ParseEvent(data); err != nil {
		return nil, err // the gateway would refuse it, and all that comes after
	}
	return data, nil
}

// takes reports whether the event is one that append would take.
func (s *spool) takes(e task.Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.line(e)
	return err == nil
}

// resume sets what a new link sends first: the event after the last one that the gateway has stored. An attempt that
// died with an earlier process is closed as lost here, because only now its next number is certain: a machine that
// crashed may have lost the end of a file whose events the gateway has.
func (s *spool) resume(after int64, lost task.End) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped {
		return nil
	}
	if after > s.last {
		if err := s.begins(after); err != nil {
			return err
		}
	} else if err := s.seek(max(after, s.after)); err != nil {
		return err
	}
	s.acked = after
	if s.orphan && !s.ended {
		return s.write(finished(lost))
	}
	s.changed()
	return nil
}

// seek places next behind the event with the number after, which is in the file or just before its first.
func (s *spool) seek(after int64) error {
	reader := bufio.NewReaderSize(io.NewSectionReader(s.file, s.begin, s.size-s.begin), 2*task.MaxEvent)
	s.next, s.offset = s.after+1, s.begin
	for s.next <= after {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("seek event %d in spool: %w", after, err)
		}
		s.next++
		s.offset += int64(len(line))
	}
	return nil
}

// batch takes the next events to send, at most limit bytes of them (but one, if there is one), nil when all are sent.
func (s *spool) batch(limit int) ([]json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped || s.next > s.last {
		return nil, nil
	}
	buffer := make([]byte, min(s.size-s.offset, int64(max(limit, task.MaxEvent+1))))
	if _, err := s.file.ReadAt(buffer, s.offset); err != nil {
		return nil, fmt.Errorf("read from spool: %w", err)
	}
	var items []json.RawMessage
	for {
		line, rest, whole := bytes.Cut(buffer, []byte{'\n'})
		if !whole {
			return items, nil
		}
		items = append(items, line)
		buffer = rest
		s.next++
		s.offset += int64(len(line)) + 1
	}
}

// ack notes that the gateway has stored everything up to seq. A number below an earlier one of the same link means that
// it has lost what it had, as when its store fails over: the error ends the link, and the next one resumes from there.
func (s *spool) ack(seq int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq < s.acked {
		return fmt.Errorf("the gateway had task %s up to event %d and now has it up to %d", s.ref.Task, s.acked, seq)
	}
	s.acked = seq
	return nil
}

// close leaves the file for the next process; drop removes it. Both may be called twice.
func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped = true
	_ = s.file.Close()
}

func (s *spool) drop() error {
	s.close()
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("drop spool: %w", err)
	}
	return nil
}
