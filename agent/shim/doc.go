// Package shim is `sam shim`: PID 1 of a workspace's container. It runs programs, keeps what they print, reaps what they
// leave, and carries the container's loopback to `sam node`. It holds no secret of its own and decides nothing.
//
// # Why it is there
//
// `sam node` may restart while an agent works. What the agent prints is the shim's to keep, so that the next `sam node`
// reads it from its first byte: nothing is lost, and nothing is run twice.
//
// # What it speaks
//
// HTTP/1.1 on a unix socket, in a folder that is mounted into the container. Whoever may open the folder may ask:
//
//	PUT    /v1/programs/{key}               a Program; starts it unless one of that key was started before: Started
//	GET    /v1/programs/{key}/output?from=N frames from byte N of what it printed, as they come; the last is its Exit
//	PUT    /v1/programs/{key}/input?at=N    bytes of its input that begin at byte N, what is there already is passed over: Taken.
//	                                        With &end=1 they are the last
//	POST   /v1/programs/{key}/signal?number=N   to its process group
//	DELETE /v1/programs/{key}               ends it and forgets what it printed
//	POST   /v1/stop?grace=DURATION          ends every process of the container but the shim: SIGTERM, and SIGKILL after grace
//	GET    /v1/health                       204
//
// A frame is one byte of Kind, four of length (big-endian) and so many bytes. Errors are text with a status of 400 or more.
//
// # Where there is no container
//
// `sam shim guard` (guard.go) runs one program of a process workspace, and leaves nothing of it behind.
//
// # Trust
//
// What it says is to be trusted as far as the agent is: they share a user, so the agent can ask it for the same.
package shim

import "time"

// Where things are in a container.
const (
	Folder     = "/run/sam/shim" // the shim's own, writable: its socket, and output while it is kept
	NodeFolder = "/run/sam/node" // of sam node, read-only: the socket it listens on
	Listen     = "127.0.0.1:8470"
)

// The sockets' names in their folders.
const (
	Socket     = "shim.sock"
	NodeSocket = "node.sock"
)

// MaxOutput is how much is kept of what a program prints, stdout and stderr together, in bytes; see flow.go for what becomes
// of more.
const MaxOutput = 256 << 20

// AfterExit bounds how long the output of a program that has ended is waited for when something outside its process
// group still holds the pipe.
const AfterExit = 2 * time.Second

// Kind says what a frame carries.
type Kind byte

// The kinds of frame.
const (
	Stdout Kind = 1
	Stderr Kind = 2
	Ended  Kind = 3 // an Exit as JSON, the last frame
	Cut    Kind = 4 // a Left as JSON: output that is not kept
)

// FrameHead is the length of a frame's head in bytes, MaxFrame that of the longest frame's content.
const (
	FrameHead = 5
	MaxFrame  = 32 << 10
)

// Program is what to run, in a process group of its own.
type Program struct {
	Args  []string `json:"args"`  // looked up in PATH
	Env   []string `json:"env"`   // added to the container's own; a later one of a name wins
	Dir   string   `json:"dir"`   // where it runs
	Input bool     `json:"input"` // input will come; without, it has none
	// Leaves: what is left of its process group when it ends by itself goes on.
	Leaves bool `json:"leaves,omitempty"`
}

// Started answers a Program.
type Started struct {
	PID   int  `json:"pid"`
	Again bool `json:"again"` // it had been started before; it may have ended
}

// Taken says how many bytes of its input a program was given, all in all. Closed: it takes no more.
type Taken struct {
	Bytes  int64 `json:"bytes"`
	Closed bool  `json:"closed"`
}

// Exit is how a program ended: with a code, or by a signal (0 when not). Words, when there are any, say why the shim ended
// it.
type Exit struct {
	Code   int    `json:"code"`
	Signal int    `json:"signal"`
	Words  string `json:"words,omitempty"`
}
