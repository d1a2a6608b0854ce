package agent

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// The codes of the notices that a container came to its limits. Its programs are told by the system alone, in words that
// name no limit, or by their end.
const (
	codeProcesses = "processes_refused"
	codeMemory    = "memory_exhausted"
)

// lookAtLimits is how often is looked while an agent works. What is counted stays counted as long as the container is
// there, so it need not be often; at the agent's end is looked once more.
const lookAtLimits = time.Second

// limitCounter is where the kernel counts how often a limit was met: a file of a control group, and a word in it.
type limitCounter struct {
	path, word string
	code       string
	subject    string
	text       string
}

// count is how often; 0 where it is not told.
func (c limitCounter) count() int64 {
	file, err := os.Open(c.path)
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if word, number, ok := strings.Cut(lines.Text(), " "); ok && word == c.word {
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

// watchLimits tells the page, once each, that a container was refused processes, or lost programs to the limit of its
// memory, until done is called, which looks once more and waits. Where the kernel's counters cannot be read, nothing is told.
func (w *dockerWorkspace) watchLimits(ctx context.Context, tell *refusals) (done func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		counters := w.engine.limitsOf(context.WithoutCancel(ctx), w.id)
		look := func() {
			for _, c := range counters {
				if c.count() > 0 {
					tell.note(c.code, c.subject, c.text)
				}
			}
		}
		for after(ctx, lookAtLimits) == nil {
			look()
		}
		look()
	})
	return func() {
		cancel()
		watching.Wait()
	}
}

// limitsOf finds the counters of a container by its first process, which must be in a group of the container's name: an
// engine on another machine has other processes.
func (e *engine) limitsOf(ctx context.Context, id string) []limitCounter {
	ctx, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	c, err := e.client.ContainerInspect(ctx, id)
	if err != nil || c.State == nil || c.State.Pid == 0 {
		return nil // that it is gone is told by others
	}
	groups, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(c.State.Pid), "cgroup"))
	if err != nil {
		return nil
	}
	processes := limitCounter{
		word: "max", code: codeProcesses, subject: fmt.Sprintf("%d processes", e.processes),
		text: fmt.Sprintf("Programs in the workspace tried to start more processes than it may have at once, which is %d, threads too (`pids` in the node's configuration): "+
			"the system refused them. Ask for less at once, or have the limit raised.", e.processes),
	}
	most := e.memory
	if c.HostConfig != nil && c.HostConfig.Memory > 0 {
		most = c.HostConfig.Memory // half of it, beside services
	}
	memory := limitCounter{
		word: "oom_kill", code: codeMemory, subject: size(most),
		text: fmt.Sprintf("Programs in the workspace took all the memory that it may have, which is %s (`memory` in the node's configuration; half of it beside services): "+
			"the system ended the largest of them, and the rest goes on. Ask for less at once, or have the limit raised.", size(most)),
	}
	var found []limitCounter
	add := func(c limitCounter, parts ...string) {
		c.path = filepath.Join(parts...)
		found = append(found, c)
	}
	for line := range strings.SplitSeq(string(groups), "\n") {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) != 3 || !strings.Contains(fields[2], c.ID) {
			continue
		}
		switch fields[1] { // version 1 has a hierarchy for each controller, version 2 one for all
		case "pids":
			add(processes, cgroupRoot, "pids", fields[2], "pids.events")
		case "memory":
			add(memory, cgroupRoot, "memory", fields[2], "memory.oom_control")
		case "":
			add(processes, cgroupRoot, fields[2], "pids.events")
			add(memory, cgroupRoot, fields[2], "memory.events")
		}
	}
	return found
}

// limits watches those of an attempt's container, while its agent works and until done is called.
func (n *Node) limits(ctx context.Context, a *attempt, w Workspace) (done func()) {
	box, ok := w.(*dockerWorkspace)
	if !ok {
		return func() {}
	}
	told, err := a.spool.refusals()
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("limits that the workspace comes to may be told again")
		told = map[string][]string{}
	}
	return box.watchLimits(ctx, &refusals{emit: a.spool.append, told: told})
}
