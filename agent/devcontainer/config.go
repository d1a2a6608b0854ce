package devcontainer

import (
	"maps"
	"slices"
)

// Config is what of a configuration is honoured.
type Config struct {
	Path string // of its file in the tree; empty when nothing but an image's label spoke

	// Exactly one is set in a checked devcontainer.json, none in a label or a feature.
	Image   string
	Build   *Build
	Compose *Compose

	// RemoteUser and ContainerUser are names or numbers, as in the image's /etc/passwd; empty when they are not said.
	RemoteUser, ContainerUser string
	ContainerEnv              map[string]string
	RemoteEnv                 map[string]string // its values are for Resolve
	Folder                    string            // workspaceFolder, absolute; empty when it is not said
	Ports                     []string          // forwardPorts: information only
	Features                  []Feature         // in the order of installing
	Hooks                     Hooks

	Services []Service            // of compose files, that run beside; in the order in which they start
	Needs    map[string]Condition // of the workspace: what of them is waited for before anything runs in it
}

// Build is a Dockerfile of the tree's and the folder that it may copy from, both as paths in the tree.
type Build struct {
	Dockerfile, Context string
	Target              string
	Args                map[string]string
}

// Compose is a service of compose files.
type Compose struct {
	Files   []string // paths in the tree
	Service string
	Run     []string // runServices; nil: all of the files'
}

// Stage is when a lifecycle command runs.
type Stage string

// The stages, in order.
const (
	OnCreate      Stage = "onCreateCommand"
	UpdateContent Stage = "updateContentCommand"
	PostCreate    Stage = "postCreateCommand"
	PostStart     Stage = "postStartCommand"
	PostAttach    Stage = "postAttachCommand"
)

// Stages returns all, in the order in which they run.
func Stages() []Stage { return []Stage{OnCreate, UpdateContent, PostCreate, PostStart, PostAttach} }

// Hooks are the lifecycle commands. A stage's run one after the other: a feature's before the repository's.
type Hooks map[Stage][]Hook

// Hook is one lifecycle command: programs that run at the same time.
type Hook struct {
	Source   string // who says so: devcontainer.json, an image, a feature
	Programs []Program
}

// Program is one program of a hook.
type Program struct {
	Name string // within the hook; empty when it is the only one
	Args []string
}

// Feature is a feature that is to be installed, as a configuration asks for it.
type Feature struct {
	ID      string         // as it is written
	Options map[string]any // strings and booleans
}

// User is the user of the agent and of lifecycle commands: empty when nobody said.
func (c Config) User() string {
	if c.RemoteUser != "" {
		return c.RemoteUser
	}
	return c.ContainerUser
}

// Under returns c with what others say that stand below it, nearest first: the repository's word counts before an image's.
// Commands of those below run first.
func (c Config) Under(below ...Config) Config {
	merged := c
	merged.ContainerEnv, merged.RemoteEnv, merged.Hooks = maps.Clone(c.ContainerEnv), maps.Clone(c.RemoteEnv), Hooks{}
	for stage, hooks := range c.Hooks {
		merged.Hooks[stage] = slices.Clone(hooks)
	}
	for _, lower := range below {
		merged.RemoteUser = or(merged.RemoteUser, lower.RemoteUser)
		merged.ContainerUser = or(merged.ContainerUser, lower.ContainerUser)
		merged.ContainerEnv = over(merged.ContainerEnv, lower.ContainerEnv)
		merged.RemoteEnv = over(merged.RemoteEnv, lower.RemoteEnv)
		for stage, hooks := range lower.Hooks {
			merged.Hooks[stage] = append(slices.Clone(hooks), merged.Hooks[stage]...)
		}
		for _, port := range lower.Ports {
			if !slices.Contains(merged.Ports, port) {
				merged.Ports = append(merged.Ports, port)
			}
		}
	}
	return merged
}

func or(first, then string) string {
	if first != "" {
		return first
	}
	return then
}

func over(upper, lower map[string]string) map[string]string {
	both := maps.Clone(lower)
	if both == nil {
		both = map[string]string{}
	}
	maps.Copy(both, upper)
	return both
}
