package store

import (
	"strconv"

	"sam/task"
)

// partition is the hash tag that keeps the keys of one script in one slot.
type partition string

// onlyPartition is the partition of a single Redis or Sentinel.
const onlyPartition partition = "0"

// keyMeta is a hash: installation (of SAM, random), schema (version of this layout), counter (only grows).
const keyMeta = "meta"

func (p partition) key(name string) string { return "{" + string(p) + "}:" + name }

// intake is the stream of accepted deliveries: id, event, body.
func (p partition) intake() string { return p.key("intake") }

// seen is a string that says that a delivery's GUID was accepted.
func (p partition) seen(delivery string) string { return p.key("seen:" + delivery) }

// work is the stream that wakes workers: kind (task, owed) and id.
func (p partition) work() string { return p.key("work") }

// wake is the stream that wakes this process's tail when what it follows changes.
func (p partition) wake(process string) string { return p.key("wake:" + process) }

// due is a sorted set of task ids by deadline, milliseconds.
func (p partition) due() string { return p.key("due") }

// task is the hash of one task; see task.go.
func (p partition) task(id task.ID) string { return p.key("task:" + string(id)) }

// thread is a sorted set of the thread's open tasks in their order; the one under way has score -1.
func (p partition) thread(id task.ThreadID) string { return p.key("thread:" + string(id)) }

// events is the stream of a task's events, whose entry ids are "<seq>-0".
func (p partition) events(id task.ID) string { return p.key("out:" + string(id)) }

// conversation is a project's stream of entries.
func (p partition) conversation(project int64) string { return p.key("conv:" + id(project)) }

// starved is a sorted set of tasks that wait in placing for a node, by since when.
func (p partition) starved() string { return p.key("starved") }

// node is the hash of one node, nodeTasks the set of tasks it has, commands the stream of commands to it.
func (p partition) node(name string) string      { return p.key("node:" + name) }
func (p partition) nodeTasks(name string) string { return p.key("nodetasks:" + name) }
func (p partition) commands(name string) string  { return p.key("cmd:" + name) }

// nodes is the set of all nodes' names.
func (p partition) nodes() string { return p.key("nodes") }

// owed is a sorted set of targets by due time; owedBody the hash of what is owed to each.
func (p partition) owed(installation int64) string     { return p.key("owed:" + id(installation)) }
func (p partition) owedBody(installation int64) string { return p.key("owedbody:" + id(installation)) }

// owing is the set of installations that anything is owed to.
func (p partition) owing() string { return p.key("owing") }

// project is a project's JSON, projects the set of their ids, installation the set of project ids of one installation.
func (p partition) project(project int64) string { return p.key("project:" + id(project)) }
func (p partition) projects() string             { return p.key("projects") }
func (p partition) installation(installation int64) string {
	return p.key("installation:" + id(installation))
}

func id(n int64) string { return strconv.FormatInt(n, 10) }
