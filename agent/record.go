package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sam/agent/wire"
)

// record is what another process of sam node needs to go on with an attempt whose workspace outlives this one. It holds
// no secret: the task's token comes with the next link.
type record struct {
	Start  wire.Start `json:"start"` // without its token and its secrets
	Mirror string     `json:"mirror"`
	Base   string     `json:"base"`
	Branch string     `json:"branch"`
	Before int64      `json:"before"` // number of the last event before the driver's first
	// Answers are what people have answered to the agent's questions, by the question's ID.
	Answers map[string]string `json:"answers,omitempty"`
}

func (r record) heads() heads { return heads{mirror: r.Mirror, base: r.Base, branch: r.Branch} }

func newRecord(s wire.Start, from heads, before int64) record {
	s.Token, s.Secrets = "", nil
	return record{Start: s, Mirror: from.mirror, Base: from.base, Branch: from.branch, Before: before}
}

// records are files, one for each attempt that can be gone on with.
type records struct {
	dir string
	mu  sync.Mutex
}

func (r *records) path(ref wire.Ref) string {
	return filepath.Join(r.dir, fmt.Sprintf("%s.%d.json", ref.Task, ref.Epoch))
}

// write puts the record on the disk, whole or not at all.
func (r *records) write(one record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.put(one)
}

// answer adds an answer to its attempt's record. One that has none cannot be gone on with, so nothing is lost by that.
func (r *records) answer(a wire.Answer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var one record
	data, err := os.ReadFile(r.path(a.Ref))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &one)
	}
	if err != nil {
		return fmt.Errorf("note an answer: %w", err)
	}
	if one.Answers == nil {
		one.Answers = map[string]string{}
	}
	one.Answers[a.Ask] = a.Text
	return r.put(one)
}

func (r *records) put(one record) error {
	data, err := json.Marshal(one)
	if err != nil {
		return fmt.Errorf("note the attempt: %w", err)
	}
	path := r.path(one.Start.Ref)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("note the attempt: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("note the attempt: %w", err)
	}
	return nil
}

func (r *records) remove(ref wire.Ref) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := os.Remove(r.path(ref)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget the attempt: %w", err)
	}
	return nil
}

// all reads what an earlier process left. What cannot be read is removed: its attempt cannot be gone on with.
func (r *records) all() ([]record, error) {
	files, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("look for attempts: %w", err)
	}
	var found []record
	for _, file := range files {
		path := filepath.Join(r.dir, file.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("look for attempts: %w", err)
		}
		var one record
		if strings.HasSuffix(path, ".json") && json.Unmarshal(data, &one) == nil && r.path(one.Start.Ref) == path {
			found = append(found, one)
			continue
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("look for attempts: %w", err)
		}
	}
	return found, nil
}
