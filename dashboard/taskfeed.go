package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"sam/task"
)

// taskSource is a task as a topic: its events, and its status.
type taskSource struct {
	*Dashboard
	id task.ID
}

func (s taskSource) last(ctx context.Context) (position, error) {
	_, last, err := s.store.EventsLeft(ctx, s.id)
	return at(last), err
}

func (s taskSource) read(ctx context.Context, after position, limit int) ([]item, error) {
	first, last, err := s.store.EventsLeft(ctx, s.id)
	if err != nil {
		return nil, err
	}
	if after.compare(at(last)) > 0 || after.compare(at(first-1)) < 0 {
		return nil, errGone
	}
	events, err := s.store.Events(ctx, s.id, after.seq(), int64(limit))
	if err != nil {
		return nil, err
	}
	items := make([]item, 0, len(events))
	for _, n := range events {
		one, err := s.item(n)
		if err != nil {
			return nil, err
		}
		items = append(items, one)
	}
	return items, nil
}

func (s taskSource) item(n task.Numbered) (item, error) {
	v := s.render.view(s.id, n, false)
	words, err := s.render.execute("event", v)
	if err != nil {
		return item{}, err
	}
	data, err := json.Marshal(struct {
		Topic string `json:"topic"`
		Seq   int64  `json:"seq"`
		HTML  string `json:"html"`
	}{topic{task: s.id}.String(), n.Seq, string(words)})
	if err != nil {
		return item{}, fmt.Errorf("encode event %d of task %s: %w", n.Seq, s.id, err)
	}
	return item{at(n.Seq), data}, nil
}

func (s taskSource) follow(ctx context.Context, after position, to sink) error {
	sum, err := s.sums.of(ctx, s.id)
	if err != nil {
		return err
	}
	var mu sync.Mutex // guards sum, now and the order of what is told
	now, err := s.store.Task(ctx, s.id)
	if err != nil {
		return err
	}
	tell := func() error {
		message, err := s.statusMessage(now, sum)
		if err != nil {
			return err
		}
		to.status(message)
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return s.store.FollowTask(ctx, s.id, func(t task.Task) error {
			mu.Lock()
			defer mu.Unlock()
			now = t
			return tell()
		})
	})
	group.Go(func() error {
		return s.store.FollowEvents(ctx, s.id, after.seq(), func(n task.Numbered) error {
			one, err := s.item(n)
			if err != nil {
				return err
			}
			to.item(one)
			mu.Lock()
			defer mu.Unlock()
			if sum.add(n) {
				return tell()
			}
			return nil
		})
	})
	return group.Wait()
}
