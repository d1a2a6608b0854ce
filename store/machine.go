package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sam/task"
)

// NoteMachine notes what a provider has made for a node. task.ErrNotFound when there is no record of the node.
func (s *Store) NoteMachine(ctx context.Context, node string, m task.Machine) error {
	encoded, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode the machine of node %s: %w", node, err)
	}
	_, err = s.changeNode(ctx, node, map[string]string{"machine": string(encoded)}, nodeWrite{})
	return err
}

// Node reads one node, without its tasks. task.ErrNotFound.
func (s *Store) Node(ctx context.Context, name string) (task.Node, error) {
	record, err := s.rdb.HGetAll(ctx, s.partitions.node(name).node(name)).Result()
	if err != nil {
		return task.Node{}, fmt.Errorf("read node %s: %w", name, err)
	}
	if len(record) == 0 {
		return task.Node{}, fmt.Errorf("node %s: %w", name, task.ErrNotFound)
	}
	n, err := decodeNode(record)
	if err != nil {
		return task.Node{}, fmt.Errorf("decode node %s: %w", name, err)
	}
	return n, nil
}

// NoteMachineTrouble notes what a node's machine did wrong when it called home, in the words for the person. task.ErrNotFound
// when there is no record of the node.
func (s *Store) NoteMachineTrouble(ctx context.Context, node, why string) error {
	_, err := s.changeNode(ctx, node, map[string]string{"trouble": why}, nodeWrite{})
	return err
}

// bootstrapAgain is for how long a machine may show its bootstrap token again with its key: an answer may be lost.
const bootstrapAgain = 10 * time.Minute

// Errors of BindNode beside task.ErrNotFound; compare with errors.Is.
var (
	errKeyUnbound = errors.New("the node has no key yet, and no bootstrap token came with this one")
	errTokenUsed  = errors.New("the node's bootstrap token was used more than 10 minutes ago")
)

// BindNode ties a node to a key, by its fingerprint, when it comes with a bootstrap token and the node has none; else it
// says whether the key is the node's. What was noted of the machine's trouble is forgotten when it is tied. Of the errors
// those that wrap task.ErrRefused are the caller's to tell.
func (s *Store) BindNode(ctx context.Context, node, fingerprint string, bootstrap bool) error {
	answer, err := s.run(ctx, "bind", []string{s.partitions.node(node).node(node)}, fingerprint, flag(bootstrap), bootstrapAgain.Milliseconds()).Text()
	if err != nil {
		return err
	}
	switch answer {
	case "ok":
		return nil
	case "none":
		return fmt.Errorf("node %s: %w", node, task.ErrNotFound)
	case "unbound":
		err = errKeyUnbound
	case "other":
		err = task.ErrOtherKey
	case "used":
		err = errTokenUsed
	default:
		return fmt.Errorf("run bind.lua: %q", answer)
	}
	return fmt.Errorf("node %s: %w: %w", node, task.ErrRefused, err)
}
