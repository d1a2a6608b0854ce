package store

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sam/task"
)

// chunkEvents is how many events one object of a task's archive holds; the last one of a finished task may hold fewer. So
// the object that holds an event is known from the event's number.
const chunkEvents = 1000

// chunkKey names the object that holds the event with a number, from 1.
func chunkKey(id task.ID, seq int64) string {
	return fmt.Sprintf("events/%s/%06d.jsonl.gz", id, (seq-1)/chunkEvents)
}

// encodeChunk packs events as gzip of one line of JSON each.
func encodeChunk(events []task.Numbered) ([]byte, error) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	for _, e := range events {
		line := bytes.Buffer{}
		if err := json.Compact(&line, e.JSON); err != nil { // a line end inside would make two lines of it
			return nil, fmt.Errorf("pack event %d: %w", e.Seq, err)
		}
		line.WriteByte('\n')
		if _, err := w.Write(line.Bytes()); err != nil {
			return nil, fmt.Errorf("pack event %d: %w", e.Seq, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack events: %w", err)
	}
	return packed.Bytes(), nil
}

// decodeChunk unpacks what encodeChunk made.
func decodeChunk(packed []byte) ([]task.Numbered, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack events: %w", err)
	}
	var events []task.Numbered
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return events, nil
		}
		if err != nil {
			return nil, fmt.Errorf("unpack events after %d: %w", len(events), err)
		}
		var head struct {
			Seq int64 `json:"seq"`
		}
		if err := json.Unmarshal(line, &head); err != nil {
			return nil, fmt.Errorf("unpack events after %d: %w", len(events), err)
		}
		events = append(events, task.Numbered{Seq: head.Seq, JSON: bytes.TrimSuffix(line, []byte("\n"))})
	}
}
