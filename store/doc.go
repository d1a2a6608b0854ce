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
// Where Redis has replicas, what is acknowledged to GitHub or to a node is on as many of them as Options say, and so is
// every step of a task, since an epoch that was given out must never be given out again; see kept.go.
//
// # Partitions
//
// The keys of one script are in one partition, which their hash tag names: one on a single Redis or under Sentinels, 16 in
// a Cluster. Which it is follows from a name and is never looked up: a task's ID carries its repository's bucket, and a
// project, its conversation, its threads, its tasks, the commands about them and what is owed for them are all there. A
// delivery is where its GUID's hash says, since its project is not known yet, and a node where its name's hash says. What
// concerns two partitions is two steps, and the sweep finishes what a process that died between them left; see place.go.
//
// # What is kept
//
// A task is kept for half a year after its end (Options.Keep), with its events and its objects in the blob store; then of its
// request only the ID stays, some 60 bytes, so that it is never taken for a new one. A conversation stays for ever. See
// retain.go.
//
// # When Redis loses data
//
// The record meta, and in a Cluster a mark in every partition, hold a counter that only grows. Watch notices that one is
// gone or went back, and has the caller make up for what others remember.
package store
