package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"sam/agent/devcontainer"
)

// hooks runs the lifecycle commands, each stage after the one before it. One that fails is told, and those after it do
// not run, as the specification has it; the work goes on in the container as it is. What they leave running, a database
// for the tests, goes on beside the agent. note says what ran.
func (e *environs) hooks(ctx context.Context, w *dockerWorkspace, all devcontainer.Hooks) (note string, err error) {
	var ran []string
	for _, stage := range devcontainer.Stages() {
		for _, hook := range all[stage] {
			began := time.Now()
			e.log.begin(string(stage) + " of " + hook.Source)
			if err := e.hook(ctx, w, hook); err != nil {
				return strings.Join(ran, ", "), e.hookFailed(ctx, stage, hook, err)
			}
			ran = append(ran, fmt.Sprintf("%s in %s", stage, time.Since(began).Round(10*time.Millisecond)))
		}
	}
	return strings.Join(ran, ", "), nil
}

// hook runs one command's programs at the same time, and waits for all of them.
func (e *environs) hook(ctx context.Context, w *dockerWorkspace, hook devcontainer.Hook) error {
	to := &shared{to: e.log}
	failed := make([]error, len(hook.Programs))
	var running sync.WaitGroup
	for i, program := range hook.Programs {
		running.Go(func() {
			exit, err := w.Exec(ctx, Command{Args: w.inDir(program.Args), Stdout: to, Stderr: to, Leaves: true})
			if err == nil && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if err == nil && exit != (Exit{}) {
				err = errors.New(exit.String())
			}
			if err != nil && program.Name != "" {
				err = fmt.Errorf("%s: %w", program.Name, err)
			}
			failed[i] = err
		})
	}
	running.Wait()
	return errors.Join(failed...)
}

func (e *environs) hookFailed(ctx context.Context, stage devcontainer.Stage, hook devcontainer.Hook, why error) error {
	words := strings.ReplaceAll(why.Error(), "\n", "; ")
	if cause := context.Cause(ctx); cause != nil {
		words = "was ended, for " + cause.Error()
	}
	text := fmt.Sprintf("The %s of %s failed: it %s. Lifecycle commands after it were not run, and the work goes on in the container as it is. Mend the command, or do without it.", stage, hook.Source, words)
	if tail := e.log.lastLines(30); tail != "" {
		text += "\n\nIts last words; the whole log is on the node as " + e.log.name() + ":\n\n```\n" + tail + "\n```\n"
	}
	return e.notice(devcontainer.Failed, string(stage), text)
}

// inDir makes a program begin where the agent does.
func (w *dockerWorkspace) inDir(args []string) []string {
	if w.dir == "" || w.dir == w.begins("") {
		return args
	}
	return append([]string{"/bin/sh", "-c", `cd "$0" && exec "$@"`, w.dir}, args...)
}

// shared is a writer for several programs.
type shared struct {
	mu sync.Mutex
	to io.Writer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to.Write(p)
}

// printableLines is what programs printed without what would move a terminal's cursor or break a fence.
func printableLines(text string) string {
	lines := strings.Split(strings.ToValidUTF8(text, "\ufffd"), "\n")
	for i, line := range lines {
		line = line[strings.LastIndexByte(strings.TrimRight(line, "\r"), '\r')+1:]
		lines[i] = strings.ReplaceAll(strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' || r == 0x7f {
				return -1
			}
			return r
		}, line), "```", "'''")
	}
	return strings.Join(lines, "\n")
}
