package store

import (
	"strconv"

	"sam/task"
)

// partition is the hash tag that keeps the keys of one script in one slot. Which partition a record is in is known from
// its name; see partition.go. Each key below says whose partition it is in.
type partition string

// keyMeta is a hash in a slot of its own; see meta.go.
const keyMeta = "meta"

func (p partition) key(name string) string { return "{" + string(p) + "}:" + name }

// mark is a hash in every partition that stands for its data: where it is gone or has gone back, so have they. See watch.go.
func (p partition) mark() string { return p.key("mark") }

// Of a delivery's GUID:

// intake is the stream of accepted deliveries: id, event, body.
func (p partition) intake() string { return p.key("intake") }

// seen is a string that says that a delivery's GUID was accepted.
func (p partition) seen(delivery string) string { return p.key("seen:" + delivery) }

// Of a project, with its tasks and threads:

// work is the stream that wakes workers: kind (task, owed) and id.
func (p partition) work() string { return p.key("work") }

// due is a sorted set of task ids by deadline, milliseconds.
func (p partition) due() string { return p.key("due") }

// task is the hash of one task; see task.go.
func (p partition) task(id task.ID) string { return p.key("task:" + string(id)) }

// answered is a string that says that what would have asked for the task with this ID answered another's question instead.
// It stays for as long as the task that it answered.
func (p partition) answered(id task.ID) string { return p.answeredPrefix() + string(id) }
func (p partition) answeredPrefix() string     { return p.key("answered:") }

// ended is a sorted set of the tasks that are over, by when they ended, milliseconds; spent the set of the IDs whose task, or
// answer, is kept no longer: what asks for one again asks in vain. See retain.go.
func (p partition) ended() string { return p.key("ended") }
func (p partition) spent() string { return p.key("spent") }

// changed is a stream of one entry, newer whenever the task's hash has changed in what a person can see. It expires: it
// only wakes who follows the task.
func (p partition) changed(id task.ID) string { return p.key("changed:" + string(id)) }

// thread is a sorted set of the thread's open tasks in their order; the one under way has score -1.
func (p partition) thread(id task.ThreadID) string { return p.key("thread:" + string(id)) }

// events is the stream of a task's events, whose entry ids are "<seq>-0".
func (p partition) events(id task.ID) string { return p.key("out:" + string(id)) }

// shelf is a sorted set of tasks with events to be shelved, by when; see shelf.go.
func (p partition) shelf() string { return p.key("shelf") }

// conversation is a project's stream of entries.
func (p partition) conversation(project int64) string { return p.key("conv:" + id(project)) }

// starved is a sorted set of tasks that wait in placing for a node, by since when.
func (p partition) starved() string { return p.key("starved") }

// commands is the stream of commands about this partition's tasks to one node.
func (p partition) commands(node string) string { return p.key("cmd:" + node) }

// owed is a sorted set of targets by due time; owedBody the hash of what is owed to each.
func (p partition) owed(installation int64) string     { return p.owedPrefix() + id(installation) }
func (p partition) owedBody(installation int64) string { return p.key("owedbody:" + id(installation)) }
func (p partition) owedPrefix() string                 { return p.key("owed:") }

// owing is the set of installations that anything is owed to.
func (p partition) owing() string { return p.key("owing") }

// project is a project's JSON, projects the set of their ids, installation the set of project ids of one installation.
func (p partition) project(project int64) string { return p.key("project:" + id(project)) }
func (p partition) projects() string             { return p.key("projects") }
func (p partition) installation(installation int64) string {
	return p.installationPrefix() + id(installation)
}
func (p partition) installationPrefix() string { return p.key("installation:") }

// comment is the hash of what is known of a comment that may ask for something; see comment.go.
func (p partition) comment(project, comment int64) string {
	return p.key("comment:" + id(project) + ":" + id(comment))
}

// branches is a hash of a project's branches, each with the task that works on it.
func (p partition) branches(project int64) string { return p.key("branches:" + id(project)) }

// secrets is a hash of a project's sealed secrets by name, and of those that were replaced lately; see secret.go. sealed is the
// set of projects that have any.
func (p partition) secrets(project int64) string { return p.key("secrets:" + id(project)) }
func (p partition) sealed() string               { return p.key("sealed") }

// Of a node's name:

// node is the hash of one node, slots the hash of its slots that are taken: task and epoch.
func (p partition) node(name string) string  { return p.key("node:" + name) }
func (p partition) slots(name string) string { return p.key("slots:" + name) }

// nodes is the set of nodes' names.
func (p partition) nodes() string { return p.key("nodes") }

// Of an account's id:

// fleet is a hash of an account's machines: by the node's name, the hours that are paid and from which day's money, JSON; see
// fleet.go. spend is a hash of what was spent or is reserved, by day and by month. fleets is the set of accounts with machines.
func (p partition) fleet(account int64) string { return p.key("fleet:" + id(account)) }
func (p partition) spend(account int64) string { return p.key("spend:" + id(account)) }
func (p partition) fleets() string             { return p.key("fleets") }

// gone is a sorted set of an account's machines that were let go, by when; obstacle is why no machine can be made for it, JSON;
// doubts is a hash of what its provider has and nobody knows, or the other way round, by since when; arrivals is a sorted set of
// its tasks by when they came. See fleetnotes.go.
func (p partition) gone(account int64) string     { return p.key("gone:" + id(account)) }
func (p partition) obstacle(account int64) string { return p.key("obstacle:" + id(account)) }
func (p partition) doubts(account int64) string   { return p.key("doubts:" + id(account)) }
func (p partition) arrivals(account int64) string { return p.key("arrivals:" + id(account)) }

// account is what was set for an account, JSON; accounts the set of those for which something was. See account.go.
func (p partition) account(account int64) string { return p.key("account:" + id(account)) }
func (p partition) accounts() string             { return p.key("accounts") }

// Of an installation's id:

// pace is a sorted set of an installation's content-creating calls of the last hour by time; hold a hash that says until
// when it must not be called at all.
func (p partition) pace(installation int64) string { return p.key("pace:" + id(installation)) }
func (p partition) hold(installation int64) string { return p.key("hold:" + id(installation)) }

// Of the first partition, for all:

// turn is the hash of whose turn a job is that one process does for all; missed is the list of missed deliveries, JSON.
func (p partition) turn(job string) string { return p.key("turn:" + job) }
func (p partition) missed() string         { return p.key("missed") }

// Of every partition:

// kept is a string that is written with whatever replicas must confirm; see kept.go.
func (p partition) kept() string { return p.key("kept") }

// wake is the stream that wakes this process's tail when what it follows changes.
func (p partition) wake(process string) string { return p.key("wake:" + process) }

func id(n int64) string { return strconv.FormatInt(n, 10) }
