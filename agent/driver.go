package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sam/agent/wire"
	"sam/task"
)

// Driver hides one kind of coding agent: it starts it in a workspace, tells it what is wanted, and translates what it
// says into events.
type Driver interface {
	// Name is how a task asks for this agent.
	Name() string
	// Real reports whether what it runs is driven by a model, which may do anything: it needs an isolated workspace. The
	// demo's agent knows what it does.
	Real() bool
	// Run runs the agent until it has ended and returns how, by the agent's own word. It emits Stepped with StepAgent as
	// soon as the agent's process runs, and events as they happen; an error of emit means that nothing more can be
	// recorded, and ends the agent. The end of ctx stops it. The error says that the agent could not be run.
	//
	// Where the workspace outlives sam node (Command.Key), Run is called again after a restart and is given the agent's
	// output from its first byte. Its events must then be the same ones, in the same order: the attempt passes over those it
	// has. So no event may come of a clock, but one that ends the attempt. Its input must be the same again, too: see replies.
	//
	// An agent that asks is kept waiting, without limit, when given is possible: Asked is emitted with an Ask, and what comes
	// of it in given is the agent's. Else it ends with its question.
	Run(ctx context.Context, w Workspace, s wire.Start, emit func(task.Event) error, given *answers) (task.End, error)
}

// drivers are the agents that this node can run, by name.
type drivers map[string]Driver

func newDrivers(all ...Driver) drivers {
	set := drivers{}
	for _, one := range all {
		set[one.Name()] = one
	}
	return set
}

func (d drivers) names() []string {
	var names []string
	for name := range d {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// find returns the driver of that name, or a gaveUpError that tells which there are.
func (d drivers) find(name string) (Driver, error) {
	if found, ok := d[name]; ok {
		return found, nil
	}
	return nil, gaveUpError(fmt.Sprintf("This node has no agent called %q. It has: %s. Choose one of these, then ask again.",
		name, strings.Join(d.names(), ", ")))
}
