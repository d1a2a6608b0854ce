// Package wire is what a node and the gateway say to each other over the node's one outbound WebSocket. Both ends
// import it and nothing else of each other.
//
// Every message is one JSON text frame: a Frame whose Type says which of its bodies is set. The node opens with Hello,
// naming the protocol versions it speaks and the spools it holds; the gateway answers with Welcome, naming the version
// chosen, where each spool is to resume, and which spools may be dropped. From then on
//
//	node    -> gateway   events (task, epoch, numbered), beat, done (a command was taken in)
//	gateway -> node      start, answer, stop, ack (events up to a number are stored), drop (a spool is no longer wanted),
//	                     credential (a new one, for a machine that SAM made), notice (something for an attempt's page)
//
// Whatever concerns a task carries its epoch, and a receiver refuses what is older than what it has seen. Commands carry
// the id of their entry in the node's command stream: the gateway sends again what the node has not confirmed by Done,
// and the node takes each in once.
package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Version is the protocol this build prefers; it speaks Version and Oldest. A field that a peer may do without needs no version
// of its own: who does not know it passes over it, and who is not told it takes it for unknown.
//
//	1  the first
//	2  answer: a question of an agent's is answered while the agent waits. Over a link of version 1 an agent that asks ends
//	   with its question
//	3  credential: a machine's is renewed over the link. Over an older link it asks for one by itself.
//	   notice: what was refused elsewhere in an attempt's name is told on its page. Over an older link it is logged alone
const (
	Version = 3
	Oldest  = 1
)

// Answers is the first version in which a question is answered, Credentials that in which credentials are renewed, Notices
// that in which the gateway has something for a page.
const (
	Answers     = 2
	Credentials = 3
	Notices     = 3
)

// MaxFrame is the largest frame either end reads, in bytes: a batch of events of at most 64 KiB each, cut to fit.
const MaxFrame = 1 << 20

// LinkPath is where the gateway serves the node's WebSocket; FetchTokenPath where a node asks by POST (FetchTokenRequest)
// for a token to fetch its mirror with; GitPath is the git broker's root, ModelPath the model broker's and RegistryPath that of
// private registries, each followed by the task's id.
const (
	LinkPath       = "/node/v1/link"
	FetchTokenPath = "/node/v1/fetch-token"
	GitPath        = "/git/"
	ModelPath      = "/model/"
	RegistryPath   = "/registry/"
)

// TaskTokenHeader carries the token of a task on what sam node forwards for a workspace. The node's own credential is in
// Authorization beside it: the one is worth nothing without the other.
const TaskTokenHeader = "Sam-Task-Token"

// BrokerAddressHeader says to the git broker by which address its client reaches it, for the addresses that the broker
// answers with: http://host:port.
const BrokerAddressHeader = "Broker-Address"

// Type says what a frame is.
type Type string

// The types of frame. Each has a body of the same name in Frame, but for Beat's and Hello's, see there.
const (
	TypeHello   Type = "hello"
	TypeWelcome Type = "welcome"
	TypeEvents  Type = "events"
	TypeBeat    Type = "beat"
	TypeDone    Type = "done"
	TypeStart   Type = "start"
	TypeAnswer  Type = "answer"
	TypeStop    Type = "stop"
	TypeNotice  Type = "notice"
	TypeAck     Type = "ack"
	TypeDrop    Type = "drop"

	TypeCredential Type = "credential"
)

// Frame is one message. Exactly the body that Type names is set.
type Frame struct {
	Type    Type     `json:"type"`
	Hello   *Hello   `json:"hello,omitempty"`
	Welcome *Welcome `json:"welcome,omitempty"`
	Events  *Events  `json:"events,omitempty"`
	Beat    *Beat    `json:"beat,omitempty"`
	Done    *Done    `json:"done,omitempty"`
	Start   *Start   `json:"start,omitempty"`
	Answer  *Answer  `json:"answer,omitempty"`
	Stop    *Stop    `json:"stop,omitempty"`
	Notice  *Notice  `json:"notice,omitempty"`
	Ack     *Ack     `json:"ack,omitempty"`
	Drop    *Drop    `json:"drop,omitempty"`

	Credential *Credential `json:"credential,omitempty"`
}

// Ref names one attempt of a task.
type Ref struct {
	Task  string `json:"task"`
	Epoch int64  `json:"epoch"`
}

// Hello opens a link. Spools are the attempts the node still holds events of.
type Hello struct {
	Protocols []int    `json:"protocols"`
	Node      string   `json:"node"`
	Version   string   `json:"version"` // of sam
	Slots     int      `json:"slots"`
	Workspace string   `json:"workspace"` // the kind of workspace it makes: process, docker
	Agents    []string `json:"agents"`    // the drivers it can run
	Held
	Spools []Ref `json:"spools"`
	Boot   *Boot `json:"boot,omitempty"` // how the machine booted, until a gateway has welcomed the node after that boot
}

// Held is what a node has ready for tasks to come, by repositories. Either list replaces the one that was said before.
type Held struct {
	Mirrors []int64 `json:"mirrors"`         // it has a mirror of them
	Built   []int64 `json:"built,omitempty"` // it has an image of their environment that anybody's task may use
}

// Welcome answers a Hello. For each spool, Resume holds the attempts the gateway still wants with the number of the last
// event it has stored; a spool that is not named is to be dropped.
type Welcome struct {
	Protocol    int      `json:"protocol"`
	BeatSeconds int      `json:"beat_seconds"`
	Resume      []Resume `json:"resume"`
}

// Resume says up to which number a spool's events are stored.
type Resume struct {
	Ref
	After int64 `json:"after"`
	// Token is the task's again, and Secrets are: a node that has restarted goes on with the attempt, and has stored neither.
	Token   string  `json:"token,omitempty"`
	Secrets Secrets `json:"secrets,omitempty"`
}

// Events carries a run of an attempt's events in order, numbered by their seq.
type Events struct {
	Ref
	Items []json.RawMessage `json:"items"` // each a task.Event
}

// Beat says that the node lives, at least every BeatSeconds of the Welcome. Running are the attempts it works on.
type Beat struct {
	Running  []Ref     `json:"running"`
	Load1    float64   `json:"load1"`               // load average of one minute
	MemFree  uint64    `json:"mem_free"`            // bytes available
	Memory   uint64    `json:"memory,omitempty"`    // bytes in all; 0: an older node, or not known
	DiskFree uint64    `json:"disk_free"`           // bytes available where workspaces are, or images where those have less
	Disk     uint64    `json:"disk,omitempty"`      // bytes of that disk in all; 0: an older node, or not known
	DiskKept uint64    `json:"disk_kept,omitempty"` // bytes of it that the node keeps free: with less it takes no task
	Held     *Held     `json:"held,omitempty"`      // when it is not what was said before
	Clock    time.Time `json:"clock,omitzero"`      // the node's, for the operator to hear that it is off; nothing depends on it
}

// Done confirms that the command with this id was taken in and need not be sent again.
type Done struct {
	Command string `json:"command"`
}

// Start asks the node to prepare a workspace and run an agent in it.
type Start struct {
	Command string `json:"command"`
	Ref
	After      int64  `json:"after"`      // number of the last event stored: the attempt's first is After+1
	Repository int64  `json:"repository"` // GitHub's id: names the mirror
	FullName   string `json:"full_name"`  // owner/name
	CloneURL   string `json:"clone_url"`  // where the mirror fetches from
	Thread     string `json:"thread"`     // names the workspace
	Base       string `json:"base"`       // the branch to start from when Branch is not there yet
	Branch     string `json:"branch"`     // the one branch that may be pushed, without refs/heads/
	// Rewrite says that SAM made Branch. Of any other branch the files that agents and git obey by themselves are those of
	// Base; so they are, too, when a gateway of an older release does not say.
	Rewrite bool `json:"rewrite,omitempty"`
	// Listed are further repositories, owner/name, that the workspace may fetch through the git broker.
	Listed []string `json:"listed,omitempty"`
	// Untrusted says that nobody with the right to write vouches for the head: what is built from it is kept apart and goes
	// with the attempt.
	Untrusted bool `json:"untrusted,omitempty"`
	// Environment chooses one of several devcontainer.json: the name of its folder in .devcontainer. Empty: the first one.
	Environment string `json:"environment,omitempty"`
	Agent       string `json:"agent"`
	Prompt      string `json:"prompt"`      // what the agent is told
	Request     string `json:"request"`     // the person's own words within it
	AuthorName  string `json:"author_name"` // of commits
	AuthorEmail string `json:"author_email"`
	// Network is what the workspace may reach beside its brokers; nil, as from an older gateway: nothing.
	Network *Network `json:"network,omitempty"`
	// Token is the task's, for its workspace's remotes and brokers. It is worth something only over this node's link,
	// for this epoch, while the task runs; so it is made when the frame is sent and stored nowhere.
	Token string `json:"token"`
	// Secrets are for the environment of the agent's program. Like the token they are on neither end's disk. Withheld are
	// those that the project's file names and that are not given, each with why, for the person.
	Secrets  Secrets  `json:"secrets,omitempty"`
	Withheld []string `json:"withheld,omitempty"`
}

// Secrets are values by their names.
type Secrets map[string]string

// String says how many there are: no log is to show them.
func (s Secrets) String() string { return fmt.Sprintf("%d secrets", len(s)) }

// GoString as String: %#v would show them.
func (s Secrets) GoString() string { return s.String() }

// Network says what a workspace may reach through the node's proxy. docs/network.md tells what the policies are and how a
// host is written.
type Network struct {
	Policy   string   `json:"policy"`             // brokers, registries or open
	Hosts    []string `json:"hosts,omitempty"`    // host, *.host, either with :port
	Internal []string `json:"internal,omitempty"` // hosts and addresses that may be private ones
	Images   []string `json:"images,omitempty"`   // registries that the node may fetch images from which a repository names
}

// Answer carries a person's words to the agent that asked. The node confirms it when it is on its disk: the agent gets it
// though sam node restarts.
type Answer struct {
	Command string `json:"command"`
	Ref
	Ask  string `json:"ask"` // the question's ID, as its event had it
	Text string `json:"text"`
}

// Stop asks the node to end an attempt.
type Stop struct {
	Command string `json:"command"`
	Ref
	Reason string `json:"reason"`
}

// Notice has the node tell an attempt's page of something that was refused elsewhere in the attempt's name. It is not
// confirmed: what is lost with a link is told the next time that it is refused.
type Notice struct {
	Ref
	Refused
}

// Ack says that an attempt's events up to and including Seq are stored.
type Ack struct {
	Ref
	Seq int64 `json:"seq"`
}

// Drop says that an attempt is over for the gateway: the node stops what still runs of it and forgets its spool.
type Drop struct {
	Ref
	Reason string `json:"reason"`
}

// FetchTokenRequest asks for a token that can read the task's one repository; FetchTokenReply carries it.
type FetchTokenRequest struct{ Ref }

// FetchTokenReply is the answer. The token is held in memory only.
type FetchTokenReply struct {
	Token string `json:"token"`
}

// ErrFrame is what Decode's errors wrap.
var ErrFrame = errors.New("not a frame")

// Decode reads a frame and checks that the body its type names is there and no other.
func Decode(data []byte) (Frame, error) {
	var f Frame
	if err := json.Unmarshal(data, &f); err != nil {
		return Frame{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	bodies := map[Type]bool{
		TypeHello: f.Hello != nil, TypeWelcome: f.Welcome != nil, TypeEvents: f.Events != nil,
		TypeBeat: f.Beat != nil, TypeDone: f.Done != nil, TypeStart: f.Start != nil,
		TypeAnswer: f.Answer != nil, TypeStop: f.Stop != nil, TypeNotice: f.Notice != nil, TypeAck: f.Ack != nil, TypeDrop: f.Drop != nil,
		TypeCredential: f.Credential != nil,
	}
	set, known := bodies[f.Type]
	if !known {
		return Frame{}, fmt.Errorf("%w: type %q", ErrFrame, f.Type)
	}
	delete(bodies, f.Type)
	for other, present := range bodies {
		if present {
			return Frame{}, fmt.Errorf("%w: %s with a body of %s", ErrFrame, f.Type, other)
		}
	}
	if !set {
		return Frame{}, fmt.Errorf("%w: %s without its body", ErrFrame, f.Type)
	}
	return f, nil
}

// Choose returns the newest protocol version that both ends speak, or an error naming both sides' versions.
func Choose(theirs []int) (int, error) {
	for v := Version; v >= Oldest; v-- {
		if slices.Contains(theirs, v) {
			return v, nil
		}
	}
	return 0, fmt.Errorf("no common protocol: the node speaks %v, this gateway %d to %d; install the same release on both", theirs, Oldest, Version)
}
