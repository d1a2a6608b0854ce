// Package store keeps SAM's state in Redis: deliveries, tasks, threads, nodes, conversations, events, and what is owed
// to GitHub. It is the only room that imports go-redis, and other rooms meet it through small interfaces of their own.
//
// # How it keeps its promises
//
// Every change of a task is one Lua script that compares (state, epoch) before it writes, so a stale holder writes
// nothing. Times are Redis's own (TIME), in milliseconds; no key's expiry carries meaning. Scripts may be run twice, since
// a client repeats a write whose reply it lost: each is a no-op the second time, by the delivery's id, by the task's id,
// by an operation id, or by an event's number.
//
// Streams only wake a worker early. The sorted set "due" holds every deadline and is the truth: a worker that died
// leaves its tasks there.
//
// Keys carry a partition in a hash tag; see keys.go. This release runs one partition, "0".
package store
