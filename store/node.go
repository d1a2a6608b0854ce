package store

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// EnsureNode writes the record of a node that its provider was asked for; a record that exists is left as it is.
func (s *Store) EnsureNode(ctx context.Context, n task.Node) error {
	_, err := s.writeNode(ctx, n.Name, map[string]string{
		"name": n.Name, "account": id(n.Account), "provider": n.Provider,
		"state": string(task.NodeBooting), "slots": strconv.Itoa(n.Slots),
	}, true, false)
	return err
}

// NodeLinked notes that a node's link is up with what it said of itself, and wakes the tasks that wait for a node.
// task.ErrNotFound when there is no record of it.
func (s *Store) NodeLinked(ctx context.Context, n task.Node) error {
	mirrors, err := json.Marshal(n.Mirrors)
	if err != nil {
		return fmt.Errorf("encode node %s: %w", n.Name, err)
	}
	return s.changeNode(ctx, n.Name, map[string]string{
		"state": string(task.NodeReady), "slots": strconv.Itoa(n.Slots), "version": n.Version, "mirrors": string(mirrors),
		"workspace": n.Workspace,
	}, true)
}

// NodeBeat notes that a node lives and that its link is up: another replica, over whose link it came before, may have
// noted the end of that one later than the beginning of this one. task.ErrNotFound when there is no record of it.
func (s *Store) NodeBeat(ctx context.Context, name string) error {
	return s.changeNode(ctx, name, map[string]string{"state": string(task.NodeReady)}, true)
}

// NodeUnlinked notes that a node's link is gone: no new task goes there, and those it has keep their leases until these
// run out. task.ErrNotFound when there is no record of it.
func (s *Store) NodeUnlinked(ctx context.Context, name string) error {
	return s.changeNode(ctx, name, map[string]string{"state": string(task.NodeLost)}, false)
}

func (s *Store) changeNode(ctx context.Context, name string, fields map[string]string, lives bool) error {
	written, err := s.writeNode(ctx, name, fields, false, lives)
	if err == nil && !written {
		err = fmt.Errorf("node %s: %w", name, task.ErrNotFound)
	}
	return err
}

func (s *Store) writeNode(ctx context.Context, name string, fields map[string]string, isNew, lives bool) (bool, error) {
	encoded, err := json.Marshal(fields)
	if err != nil {
		return false, fmt.Errorf("encode node %s: %w", name, err)
	}
	written, err := s.run(ctx, "node", []string{s.p.node(name), s.p.nodes(), s.p.work(), s.p.starved()},
		name, encoded, flag(isNew), flag(lives)).Int()
	return written == 1, err
}

// Nodes lists every node with the tasks it has, by name.
func (s *Store) Nodes(ctx context.Context) ([]task.Node, error) {
	names, err := s.rdb.SMembers(ctx, s.p.nodes()).Result()
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	sort.Strings(names)
	type read struct {
		record *redis.MapStringStringCmd
		tasks  *redis.StringSliceCmd
	}
	reads := make([]read, len(names))
	if len(names) == 0 {
		return nil, nil
	}
	if _, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, name := range names {
			reads[i] = read{pipe.HGetAll(ctx, s.p.node(name)), pipe.SMembers(ctx, s.p.nodeTasks(name))}
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read nodes: %w", err)
	}
	nodes := make([]task.Node, len(names))
	for i, r := range reads {
		if nodes[i], err = decodeNode(r.record.Val()); err != nil {
			return nil, fmt.Errorf("decode node %s: %w", names[i], err)
		}
		for _, t := range r.tasks.Val() {
			nodes[i].Tasks = append(nodes[i].Tasks, task.ID(t))
		}
	}
	return nodes, nil
}

func decodeNode(r map[string]string) (task.Node, error) {
	n := task.Node{
		Name: r["name"], Provider: r["provider"], State: task.NodeState(r["state"]),
		Version: r["version"], Workspace: r["workspace"],
	}
	var err error
	if n.Account, err = strconv.ParseInt(r["account"], 10, 64); err != nil {
		return n, err
	}
	if n.Slots, err = strconv.Atoi(r["slots"]); err != nil {
		return n, err
	}
	if r["seen"] != "" {
		ms, err := strconv.ParseInt(r["seen"], 10, 64)
		if err != nil {
			return n, err
		}
		n.Seen = time.UnixMilli(ms)
	}
	if r["mirrors"] != "" {
		if err := json.Unmarshal([]byte(r["mirrors"]), &n.Mirrors); err != nil {
			return n, err
		}
	}
	return n, nil
}

func encodeCommand(c task.Command) (string, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode command %s: %w", c, err)
	}
	return string(b), nil
}

// Command appends a command to a node's stream.
func (s *Store) Command(ctx context.Context, node string, c task.Command) error {
	frame, err := encodeCommand(c)
	if err != nil {
		return err
	}
	if err := s.rdb.XAdd(ctx, &redis.XAddArgs{Stream: s.p.commands(node), Values: []any{"frame", frame}}).Err(); err != nil {
		return fmt.Errorf("send %s to node %s: %w", c, node, err)
	}
	return nil
}

// FollowCommands hands over every command to a node that it has not confirmed, then each new one as it comes, until ctx
// ends or handle fails.
func (s *Store) FollowCommands(ctx context.Context, node string, handle func(task.Command) error) error {
	return s.tail.follow(ctx, s.p.commands(node), "0", func(entryID string, values map[string]any) error {
		text, _ := values["frame"].(string)
		var c task.Command
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return fmt.Errorf("decode command %s to node %s: %w", entryID, node, err)
		}
		c.ID = entryID
		return handle(c)
	})
}

// ConfirmCommand forgets a command that the node has taken in.
func (s *Store) ConfirmCommand(ctx context.Context, node, command string) error {
	if err := s.rdb.XDel(ctx, s.p.commands(node), command).Err(); err != nil {
		return fmt.Errorf("confirm command %s of node %s: %w", command, node, err)
	}
	return nil
}
