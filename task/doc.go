// Package task is the domain of SAM: projects, threads, tasks with their states and the table of legal moves, nodes, and
// the vocabulary of events that every coding agent is translated into. It is pure: it does no I/O, reads no clock, and
// imports the standard library only, so that every other room can depend on it.
//
// # States
//
//	queued -> placing -> preparing -> running -> publishing -> succeeded
//	             ^           |          |  ^          |
//	             +-----------+ (node    v  |          v
//	               lost: epoch+1)    waiting      failed, cancelled: from any state that is not final
//	waiting -> queued when the answer comes after the node was let go
//
// Final is final. Every state that is not final has a deadline; see Deadline.
package task
