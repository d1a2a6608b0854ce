package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// Drain keeps new tasks from a node and, once it has none but the given ones, has it go: from then on its state is
// task.NodeGoing, for good. The given ones wait for an answer; each is placed anew when that comes. It returns whether the node
// goes. task.ErrNotFound when there is no record of it.
func (s *Store) Drain(ctx context.Context, node, why string, waiting []task.ID) (going bool, err error) {
	list, err := json.Marshal(append([]task.ID{}, waiting...))
	if err != nil {
		return false, fmt.Errorf("encode the tasks that wait on node %s: %w", node, err)
	}
	return s.drain(ctx, node, why, string(list))
}

// Abandon has a node go whatever it has: its machine is gone, or must be. The tasks that it has are lost with it.
func (s *Store) Abandon(ctx context.Context, node, why string) error {
	_, err := s.drain(ctx, node, why, "")
	return err
}

func (s *Store) drain(ctx context.Context, node, why, waiting string) (bool, error) {
	p := s.partitions.node(node)
	answer, err := s.run(ctx, "drain", []string{p.node(node), p.slots(node)}, why, waiting).Text()
	if err != nil {
		return false, err
	}
	if answer == "gone" {
		return false, fmt.Errorf("node %s: %w", node, task.ErrNotFound)
	}
	return answer == "going", nil
}

// Tend makes this process the one that sees to a node's machine, for at most the lease; false when another does, or there is no
// record of the node. A lease of 0 lets go.
func (s *Store) Tend(ctx context.Context, node string, lease time.Duration) (bool, error) {
	text := ""
	if lease > 0 {
		text = id(lease.Milliseconds())
	}
	return s.run(ctx, "tend", []string{s.partitions.node(node).node(node)}, s.process, text).Bool()
}

// RemoveNode removes the record of a node that goes and has no machine any more, with what was still to be said to it. It is an
// error for one that does not go.
func (s *Store) RemoveNode(ctx context.Context, node string) error {
	p := s.partitions.node(node)
	removed, err := s.run(ctx, "expunge", []string{p.node(node), p.slots(node), p.nodes()}, node).Bool()
	switch {
	case err != nil:
		return err
	case !removed:
		return fmt.Errorf("remove the record of node %s: it does not go", node)
	}
	if _, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, p := range s.partitions.all() {
			pipe.Del(ctx, p.commands(node))
		}
		return nil
	}); err != nil {
		return fmt.Errorf("remove the commands to node %s: %w", node, err)
	}
	return nil
}
