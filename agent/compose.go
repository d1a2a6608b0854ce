// The services of a compose file that run beside a workspace: devcontainer reads them, composecontainer.go has what their
// containers are given, composestart.go starts them, and this file knows which there are until they go with their attempt.

package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/docker/docker/api/types/container"
	"github.com/rs/zerolog"

	"sam/agent/devcontainer"
	"sam/task"
)

// beside are the containers of services, by their threads.
type beside struct {
	mu  sync.Mutex
	ids map[string][]string
}

func (s *beside) add(thread string, ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = map[string][]string{}
	}
	s.ids[thread] = append(s.ids[thread], ids...)
}

func (s *beside) of(thread string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ids[thread])
}

func (s *beside) forget(thread string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ids, thread)
}

// removeBeside ends the services of a thread's attempt, with their storage.
func (e *engine) removeBeside(ctx context.Context, thread string) error {
	ids := e.beside.of(thread)
	failed := make([]error, len(ids))
	var removing sync.WaitGroup
	for i, id := range ids {
		removing.Go(func() { failed[i] = e.remove(ctx, id) })
	}
	removing.Wait()
	err := errors.Join(failed...)
	if err == nil {
		e.beside.forget(thread)
	}
	return err
}

// codeService is of the notice that a service has ended.
const codeService = "service_ended"

// watchServices tells the page of each service that ends while the agent works, once, with its last words, until done is called,
// which waits. A service that is told is removed: another process of the node then does not tell it again.
func (n *Node) watchServices(ctx context.Context, a *attempt, made Workspace) (done func()) {
	w, ok := made.(*dockerWorkspace)
	if !ok {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	for _, id := range w.engine.beside.of(a.start.Thread) {
		watching.Go(func() {
			text, name := w.engine.awaitEnd(ctx, id)
			if text == "" {
				return
			}
			if err := a.spool.append(task.Event{Kind: task.Noticed, Text: text, Notice: &task.Notice{Code: codeService, Subject: printable(name)}}); err != nil {
				zerolog.Ctx(ctx).Warn().Err(err).Str("service", name).Msg("that a service has ended is not told")
				return
			}
			if err := w.engine.remove(context.WithoutCancel(ctx), id); err != nil {
				zerolog.Ctx(ctx).Warn().Err(err).Msg("a service that has ended goes with its attempt")
			}
		})
	}
	return func() {
		cancel()
		watching.Wait()
	}
}

// awaitEnd waits for a service to end and says in words how it did; empty when ctx ended first or it is gone.
func (e *engine) awaitEnd(ctx context.Context, id string) (text, name string) {
	ended, failed := e.client.ContainerWait(ctx, id, container.WaitConditionNotRunning)
	select {
	case <-ctx.Done():
		return "", ""
	case err := <-failed: // the engine went away, as who works in the workspace tells; or the service is gone
		zerolog.Ctx(ctx).Debug().Err(err).Msg("the end of a service cannot be waited for")
		return "", ""
	case <-ended:
	}
	limited, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	c, err := e.client.ContainerInspect(limited, id)
	if err != nil || c.State == nil || c.Config == nil {
		return "", ""
	}
	name = c.Config.Labels[labelService]
	text = "The service " + name + " " + ending(c.State) + ". It is not started again, so what asks for it fails. Mend its command or its image in the compose file."
	if c.State.ExitCode == 0 && !c.State.OOMKilled && c.State.Error == "" {
		text = "The service " + name + " has ended by itself, with exit code 0. It is not started again; if it is to go on, mend its command in the compose file."
	}
	if said := keepEnd(printableLines(e.said(limited, id)), 8<<10); said != "" {
		text += "\n\nIts last words:\n\n```\n" + said + "\n```\n"
	}
	return text, name
}

// measureBeside is how much of the disk the services of a thread take: what their containers have written to their own file
// systems, and their storage, where the engine is on this machine.
func (w *workspaces) measureBeside(ctx context.Context, thread string, u *usage) error {
	for _, id := range w.engine.beside.of(thread) {
		limited, cancel := context.WithTimeout(ctx, engineAnswers)
		c, _, err := w.engine.client.ContainerInspectWithRaw(limited, id, true)
		cancel()
		if err != nil {
			continue // it takes nothing, or others tell
		}
		if c.SizeRw != nil {
			u.bytes += *c.SizeRw
		}
		for _, volume := range c.Mounts {
			if volume.Type != "volume" || volume.Source == "" {
				continue
			}
			root, err := os.OpenRoot(filepath.Dir(volume.Source))
			if err != nil {
				continue // the engine is on another machine
			}
			err = u.measure(ctx, root, filepath.Base(volume.Source))
			_ = root.Close()
			if err != nil {
				return err
			}
		}
		if c.State != nil && c.State.Running {
			if err := u.unlinked(ctx, c.ID, c.State.Pid); err != nil {
				return err
			}
		}
	}
	return nil
}

// servicesNote is for the step's note.
func (m *environment) servicesNote() string {
	var names []string
	for _, one := range m.services {
		names = append(names, one.Name)
	}
	if len(names) == 0 {
		return ""
	}
	return "beside it " + devcontainer.Listed(names) + ", reached by name on its own loopback"
}
