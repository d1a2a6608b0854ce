// Package agent is what runs on a node: `sam node`. It holds one outbound link to the gateway, prepares a workspace for
// each attempt of a task, runs a coding agent in it, and pushes the branch. It listens on loopback and on
// sockets in its own folder only.
//
// # One attempt
//
//	start -> mirror -> workspace -> agent -> push -> Finished
//
// Every step and everything the agent does is an event. Events are appended to the attempt's spool, a file, before they
// are sent; the network is never waited for. The link sends from the spool, the gateway acknowledges what it has stored
// and says after a new connection where to resume, and the spool stays until the gateway drops it. So a link that breaks,
// a gateway that restarts or a node agent that is killed neither loses an event nor sends one that is kept twice. An
// attempt that was under way in a container when the node agent itself ended is gone on with after its next start; any other
// one is closed as lost.
//
// # Workspaces
//
// A docker workspace is an unprivileged container, made from an allow-list (engine.go), whose first process is `sam shim`
// (package shim). A process workspace has no isolation: an agent that may do anything is refused there. Its programs have
// a guard (guard.go), so that nothing of them is left when they are stopped. docs/workspaces.md tells what each gives.
//
// A transient node, a demo's, does not come back: its containers bear the process that they go with (owner.go), and the next
// node removes those of a process that was killed (transient.go).
//
// The node runs no git in a tree that an agent could write, and opens nothing in it by name: both happen inside the
// workspace. What a container may write and the node needs, its socket, is opened without following links.
//
// # What is on the disk
//
//	<dir>/lock                          held while a node runs: two never share a folder
//	<dir>/spools/<task>.<epoch>.jsonl   events of an attempt
//	<dir>/mirrors/<repository>.git      bare, only the branches that tasks needed, under refs/fetched
//	<dir>/workspaces/<thread>           the working tree; .home is its HOME, .kept-<n> are ones with unpushed work
//	<dir>/workspaces/<thread>.pushed    says that all work in the tree is pushed
//	<dir>/workspaces/<thread>.used      when it was used last, and whose mirror it borrows from
//	<dir>/attempts/<task>.<epoch>.json  what is needed to go on with an attempt in a container
//	<dir>/run/<thread>                  sockets of a container: shim is its own, node the node's
//	<dir>/run/<thread>.build            what a build of the thread's environment needs, while it runs
//	<dir>/environments/<thread>.log     what the last build and the commands of its environment printed
//	<dir>/features                      features of devcontainers that the operator put there
//	<dir>/agents                        installed agents, read-only in containers
//	<dir>/home                          empty: HOME of the git that runs outside of workspaces
//
// No credential is ever written there: tokens live in memory and in the environment of the commands that need them.
package agent
