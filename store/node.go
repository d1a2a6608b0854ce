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
	_, _, err := s.writeNode(ctx, n.Name, map[string]string{
		"name": n.Name, "account": id(n.Account), "provider": n.Provider,
		"state": string(task.NodeBooting), "slots": strconv.Itoa(n.Slots),
	}, nodeWrite{isNew: true})
	return err
}

// NodeLinked notes that a node's link is up with what it said of itself, and wakes the tasks that wait for a node. It returns
// the link's epoch: the link before it, whichever process holds that, writes nothing more. task.ErrNotFound when there is
// no record of the node.
func (s *Store) NodeLinked(ctx context.Context, n task.Node) (link int64, err error) {
	fields := map[string]string{
		"state": string(task.NodeReady), "slots": strconv.Itoa(n.Slots), "version": n.Version,
		"workspace": n.Workspace, "process": s.process,
	}
	if err := encodeInto(fields, map[string]any{"mirrors": n.Mirrors, "built": n.Built}); err != nil {
		return 0, fmt.Errorf("encode node %s: %w", n.Name, err)
	}
	return s.changeNode(ctx, n.Name, fields, nodeWrite{lives: true, link: "new"})
}

// NodeBeat notes that a node lives, heard over a link, and how it is; changed is what it holds when that is news, else nil.
// task.ErrStale when a newer link has dialled, task.ErrNotFound when there is no record of the node.
func (s *Store) NodeBeat(ctx context.Context, name string, link int64, v task.Vitals, changed *task.Held) error {
	fields, news := map[string]string{"state": string(task.NodeReady)}, map[string]any{"vitals": v}
	if changed != nil {
		news["mirrors"], news["built"] = changed.Mirrors, changed.Built
	}
	if err := encodeInto(fields, news); err != nil {
		return fmt.Errorf("encode node %s: %w", name, err)
	}
	_, err := s.changeNode(ctx, name, fields, nodeWrite{lives: true, link: id(link)})
	return err
}

func encodeInto(fields map[string]string, values map[string]any) error {
	for name, value := range values {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		fields[name] = string(text)
	}
	return nil
}

// NodeUnlinked notes that a node's link is gone: no new task goes there, and those it has keep their leases until these
// run out. task.ErrStale when a newer link has dialled, task.ErrNotFound when there is no record of the node.
func (s *Store) NodeUnlinked(ctx context.Context, name string, link int64) error {
	_, err := s.changeNode(ctx, name, map[string]string{"state": string(task.NodeLost)}, nodeWrite{link: id(link)})
	return err
}

// nodeWrite says how node.lua is to write a record.
type nodeWrite struct {
	isNew bool   // make it where there is none; else change one that is there
	lives bool   // the node was heard now
	link  string // see node.lua
}

func (s *Store) changeNode(ctx context.Context, name string, fields map[string]string, w nodeWrite) (link int64, err error) {
	what, link, err := s.writeNode(ctx, name, fields, w)
	switch {
	case err != nil:
		return 0, err
	case what == 0:
		return 0, fmt.Errorf("node %s: %w", name, task.ErrNotFound)
	case what == 3:
		return 0, fmt.Errorf("link %s of node %s, where %d is the newest: %w", w.link, name, link, task.ErrStale)
	}
	return link, nil
}

func (s *Store) writeNode(ctx context.Context, name string, fields map[string]string, w nodeWrite) (what, link int64, err error) {
	encoded, err := json.Marshal(fields)
	if err != nil {
		return 0, 0, fmt.Errorf("encode node %s: %w", name, err)
	}
	p := s.partitions.node(name)
	answer, err := s.run(ctx, "node", []string{p.node(name), p.nodes()}, name, encoded, flag(w.isNew), flag(w.lives), w.link).Slice()
	if err != nil {
		return 0, 0, err
	}
	if len(answer) != 2 {
		return 0, 0, fmt.Errorf("run node.lua: %d answers", len(answer))
	}
	what, _ = answer[0].(int64)
	text, _ := answer[1].(string)
	if link, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, 0, fmt.Errorf("run node.lua: the link's epoch %q: %w", text, err)
	}
	if what == 2 {
		err = s.rouse(ctx, 0)
	}
	return what, link, err
}

// Nodes lists every node with the tasks it has, by name.
func (s *Store) Nodes(ctx context.Context) ([]task.Node, error) {
	names, err := s.members(ctx, partition.nodes)
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
			p := s.partitions.node(name)
			reads[i] = read{pipe.HGetAll(ctx, p.node(name)), pipe.HKeys(ctx, p.slots(name))}
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
		Version: r["version"], Workspace: r["workspace"], Draining: r["draining"] != "", Why: r["draining"], Trouble: r["trouble"],
	}
	var err error
	if n.Account, err = strconv.ParseInt(r["account"], 10, 64); err != nil {
		return n, err
	}
	if n.Slots, err = strconv.Atoi(r["slots"]); err != nil {
		return n, err
	}
	for field, to := range map[string]*time.Time{"seen": &n.Seen, "made": &n.Made, "used": &n.Used} {
		if r[field] == "" {
			continue
		}
		ms, err := strconv.ParseInt(r[field], 10, 64)
		if err != nil {
			return n, err
		}
		*to = time.UnixMilli(ms)
	}
	for field, to := range map[string]any{"mirrors": &n.Mirrors, "built": &n.Built, "vitals": &n.Vitals} {
		if r[field] == "" {
			continue
		}
		if err := json.Unmarshal([]byte(r[field]), to); err != nil {
			return n, err
		}
	}
	if r["machine"] != "" {
		n.Machine = &task.Machine{}
		if err := json.Unmarshal([]byte(r["machine"]), n.Machine); err != nil {
			return n, err
		}
	}
	return n, nil
}
