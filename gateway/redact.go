package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"sam/redact"
	"sam/task"
)

// redactFor is how long the values of a project are looked for before they are read again. They are read at once when an attempt
// on this replica is given one.
const redactFor = 5 * time.Second

// redactors are the redactors of projects whose agents speak now.
type redactors struct {
	secrets Secrets // nil: there are none to be found

	mu sync.Mutex
	of map[int64]projectRedactor
}

type projectRedactor struct {
	*redact.Redactor
	read time.Time
}

// project returns the redactor of a project's secrets. An error means that they cannot be read: nothing may be stored then.
func (r *redactors) project(ctx context.Context, id int64) (*redact.Redactor, error) {
	if r.secrets == nil {
		return nil, nil //nolint:nilnil // the nil redactor finds nothing
	}
	r.mu.Lock()
	known, ok := r.of[id]
	r.mu.Unlock()
	if ok && time.Since(known.read) < redactFor {
		return known.Redactor, nil
	}
	began := time.Now()
	secrets, err := r.secrets.Redacted(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read what is to be redacted of project %d: %w", id, err)
	}
	list := make([]redact.Secret, len(secrets))
	for i, s := range secrets {
		list[i] = redact.Secret{Name: s.Name, Value: s.Value}
	}
	made := projectRedactor{redact.New(list), began}
	r.mu.Lock()
	defer r.mu.Unlock()
	for other, one := range r.of { // of projects whose agents have become silent nothing is kept
		if time.Since(one.read) >= redactFor {
			delete(r.of, other)
		}
	}
	r.of[id] = made
	return made.Redactor, nil
}

// forget has the project's secrets read again.
func (r *redactors) forget(project int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, project)
}

// redact takes secrets out of a task's events as they come, before anything of them is read or stored. Only the link's reader
// calls it.
func (l *link) redact(ctx context.Context, id task.ID, items []json.RawMessage) ([]json.RawMessage, error) {
	if l.gateway.redactors.secrets == nil {
		return items, nil
	}
	project, ok := l.projects[id]
	if !ok {
		t, err := l.gateway.store.Task(ctx, id)
		if errors.Is(err, task.ErrNotFound) {
			return items, nil // there is no stream to store them in
		}
		if err != nil {
			return nil, err
		}
		project = t.Project
		if l.projects == nil {
			l.projects = map[task.ID]int64{}
		}
		l.projects[id] = project
	}
	hidden, err := l.gateway.redactors.project(ctx, project)
	if err != nil {
		return nil, err
	}
	clean := make([]json.RawMessage, len(items))
	for i, item := range items {
		clean[i] = hidden.Event(item, task.MaxEvent)
	}
	return clean, nil
}
