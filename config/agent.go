package config

import (
	"fmt"
	"slices"
)

// Agent is the configuration of `sam node`.
type Agent struct {
	Gateway   string // the server's public address, http or https
	TokenFile string // the node's credential, as the server wrote it
	// A machine that SAM made has a name and, at first, a bootstrap token in place of the credential: it gets its own.
	Name          string
	BootstrapFile string
	BootReport    string // there, what `sam boot` wrote of how it became a node
	Dir           string // where mirrors, workspaces and spools are
	Slots         int    // workspaces at once
	// Workspace is what agents run in: docker, process, or auto for docker where an engine answers. In a process a real agent
	// is refused, unless UnsafeNoIsolation lets it run all the same, as the node's user.
	Workspace         string
	UnsafeNoIsolation bool
	Image             string // of containers; empty: the default image
	Sudo              bool   // the agent may become its container's root, where the image has sudo
	// What one container may use. Memory of 0 is for 4 GiB and CPUs of 0 for 2, or for what the machine has when that is less;
	// CPUs may have a fraction. A node refuses to start with more than its machine has.
	Memory Bytes
	CPUs   float64
	PIDs   int // processes, threads too
	// What one workspace may take of the disk, and what is to stay free on the disk of Dir.
	Disk     Bytes
	KeepFree Bytes
	Log      Log
}

// AgentDefaults are the values of what a node's configuration leaves out.
func AgentDefaults() Agent {
	return Agent{Gateway: "http://127.0.0.1:8080", Dir: "/var/lib/sam", Slots: 2, Workspace: "auto", PIDs: 512, Disk: 10 << 30, KeepFree: 2 << 30, Log: Log{Level: "info", Format: "json"}}
}

// LoadAgent reads a node's configuration as Load does a server's.
func LoadAgent(path string, environ []string) (Agent, error) {
	a := AgentDefaults()
	if err := load(path, environ, &a); err != nil {
		return Agent{}, err
	}
	return a, nil
}

func (a *Agent) settings() []setting {
	return []setting{
		{key: "gateway", value: &a.Gateway},
		{key: "token_file", value: &a.TokenFile, file: true},
		{key: "name", value: &a.Name},
		{key: "bootstrap_file", value: &a.BootstrapFile, file: true},
		{key: "boot_report", value: &a.BootReport, file: true},
		{key: "dir", value: &a.Dir, file: true},
		{key: "slots", value: &a.Slots},
		{key: "workspace", value: &a.Workspace},
		{key: "unsafe_no_isolation", value: &a.UnsafeNoIsolation},
		{key: "image", value: &a.Image},
		{key: "sudo", value: &a.Sudo},
		{key: "memory", value: &a.Memory},
		{key: "cpus", value: &a.CPUs},
		{key: "pids", value: &a.PIDs},
		{key: "disk", value: &a.Disk},
		{key: "keep_free", value: &a.KeepFree},
		{key: "log.level", value: &a.Log.Level},
		{key: "log.format", value: &a.Log.Format},
	}
}

func (a *Agent) check() []Error {
	var wrong []Error
	if why := notAddress(a.Gateway); why != "" {
		wrong = append(wrong, Error{"gateway", why})
	}
	switch {
	case a.TokenFile != "" && (a.Name != "" || a.BootstrapFile != ""):
		wrong = append(wrong, Error{"token_file", "is given beside name or bootstrap_file: a node has a credential that the server wrote, or gets its own, not both"})
	case a.Name != "" && a.BootstrapFile == "":
		wrong = append(wrong, Error{"bootstrap_file", "is missing: with the token in it a machine that SAM made proves once that it is that machine"})
	case a.BootstrapFile != "" && a.Name == "":
		wrong = append(wrong, Error{"name", "is missing: the bootstrap token is good for the one node that it was made for"})
	case a.TokenFile == "" && a.Name == "":
		wrong = append(wrong, Error{"token_file", "is missing: the server writes it where its node.token_file says"})
	}
	if a.Dir == "" {
		wrong = append(wrong, Error{"dir", "is missing"})
	}
	if why := notSlots(a.Slots, 1); why != "" {
		wrong = append(wrong, Error{"slots", why})
	}
	if !slices.Contains([]string{"auto", "docker", "process"}, a.Workspace) {
		wrong = append(wrong, Error{"workspace", fmt.Sprintf("%q is none of auto, docker, process", a.Workspace)})
	}
	if a.Memory != 0 && a.Memory < leastMemory {
		wrong = append(wrong, Error{"memory", fmt.Sprintf("%s is too little for an agent and what it builds: give it %s or more, or 0 for the default", a.Memory, leastMemory)})
	}
	if !(a.CPUs == 0 || a.CPUs >= leastCPUs && a.CPUs <= mostCPUs) { // nor is it what is not a number
		wrong = append(wrong, Error{"cpus", fmt.Sprintf("%g is not from %g to %d, and not 0 for the default", a.CPUs, leastCPUs, mostCPUs)})
	}
	if a.PIDs < leastPIDs || a.PIDs > mostPIDs {
		wrong = append(wrong, Error{"pids", fmt.Sprintf("%d is not from %d to %d", a.PIDs, leastPIDs, mostPIDs)})
	}
	if a.Disk < leastDisk {
		wrong = append(wrong, Error{"disk", fmt.Sprintf("%s is too little for a repository and what is built of it: give it %s or more", a.Disk, leastDisk)})
	}
	if a.KeepFree < leastFree {
		wrong = append(wrong, Error{"keep_free", fmt.Sprintf("%s is too little for the node to go on with: give it %s or more", a.KeepFree, leastFree)})
	}
	return append(wrong, a.Log.check()...)
}

// Bounds of what a container may use. Claude Code alone takes 240 MiB; Linux has no higher process numbers.
const (
	leastMemory Bytes = 256 << 20
	leastCPUs         = 0.1
	mostCPUs          = 1024
	leastPIDs         = 64
	mostPIDs          = 4 << 20
	leastDisk   Bytes = 256 << 20
	leastFree   Bytes = 64 << 20
)
