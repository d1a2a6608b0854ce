package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"sam/task"
)

func encodeCommand(c task.Command) (string, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode command %s: %w", c, err)
	}
	return string(b), nil
}

// Command appends a command to a node's stream. A node does the same command twice to the effect of once.
func (s *Store) Command(ctx context.Context, node string, c task.Command) error {
	frame, err := encodeCommand(c)
	if err != nil {
		return err
	}
	stream := s.partitions.task(c.Task).commands(node)
	if err := s.rdb.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []any{"frame", frame}}).Err(); err != nil {
		return fmt.Errorf("send %s to node %s: %w", c, node, err)
	}
	return nil
}

// FollowCommands hands over every command to a node that it has not confirmed, then each new one as it comes, until ctx
// ends or handle fails. Commands about one task come in their order, one at a time.
func (s *Store) FollowCommands(ctx context.Context, node string, handle func(task.Command) error) error {
	var turn sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range s.partitions.all() {
		group.Go(func() error {
			return s.tails[p].follow(ctx, p.commands(node), "0", func(entry string, values map[string]any) error {
				text, _ := values["frame"].(string)
				var c task.Command
				if err := json.Unmarshal([]byte(text), &c); err != nil {
					return fmt.Errorf("decode command %s to node %s: %w", entry, node, err)
				}
				c.ID = string(p) + ":" + entry
				turn.Lock()
				defer turn.Unlock()
				if ctx.Err() != nil { // another partition's handle failed while this one waited
					return nil
				}
				return handle(c)
			})
		})
	}
	return group.Wait()
}

// ConfirmCommand forgets a command that the node has taken in. task.ErrNotFound for what is no command's ID.
func (s *Store) ConfirmCommand(ctx context.Context, node, command string) error {
	in, entry, ok := strings.Cut(command, ":")
	p := partition(in)
	if !ok || !s.partitions.has(p) {
		return fmt.Errorf("confirm command %q of node %s: %w", command, node, task.ErrNotFound)
	}
	if err := s.rdb.XDel(ctx, p.commands(node), entry).Err(); err != nil {
		return fmt.Errorf("confirm command %s of node %s: %w", command, node, err)
	}
	return nil
}
