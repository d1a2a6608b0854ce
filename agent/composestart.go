package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"sam/agent/devcontainer"
	"sam/task"
)

// besides gets the images of the services that run beside the workspace, under the rules of its own.
func (e *environs) besides(ctx context.Context, tree *os.Root, config devcontainer.Config) ([]service, error) {
	var found []service
	for _, one := range config.Services {
		began := time.Now()
		image, err := e.image(ctx, tree, devcontainer.Config{Image: one.Image, Build: one.Build}, nil)
		if err != nil {
			return found, inService(one.Name, err)
		}
		if took := time.Since(began); took >= time.Second { // else it was on the node
			if err := e.progress(fmt.Sprintf("the service %s has its image after %s", one.Name, took.Round(100*time.Millisecond))); err != nil {
				return found, err
			}
		}
		found = append(found, service{one, image})
	}
	return found, e.findings(exposed(found))
}

// inService says of which service an error is.
func inService(name string, err error) error {
	var unusable *devcontainer.UnusableError
	if errors.As(err, &unusable) {
		return &devcontainer.UnusableError{Code: unusable.Code, Property: unusable.Property + " (the compose service " + name + ")", Text: "Of the compose service " + name + ": " + unusable.Text}
	}
	return fmt.Errorf("the service %s: %w", name, err)
}

// exposed tells of services whose images say that they listen on one port, where the compose files do not say so themselves.
func exposed(all []service) []devcontainer.Finding {
	var found []devcontainer.Finding
	of := map[string]string{}
	for _, one := range all {
		if len(one.Ports) > 0 {
			continue // told already
		}
		for _, port := range one.image.ports {
			if other := of[port]; other != "" {
				found = append(found, devcontainer.Finding{Code: devcontainer.Ignored, Property: "ports (the compose service " + one.Name + ")", Text: devcontainer.Clash(one.Name, other, port)})
			}
			of[port] = one.Name
		}
	}
	return found
}

// serve starts the services beside a workspace that is up, each after what it needs, and waits for what the workspace needs.
// An error says which service cannot be had; the caller then removes all.
func (e *environs) serve(ctx context.Context, w *dockerWorkspace, b box) error {
	m := b.environment
	ids := map[string]string{}
	for _, one := range m.services {
		if err := e.await(ctx, ids, one.Needs); err != nil {
			return err
		}
		e.log.begin("starting the service " + one.Name)
		id, err := e.engine.createBeside(ctx, b, w.id, one, len(m.services))
		if err != nil {
			return orCause(ctx, err)
		}
		ids[one.Name] = id
		if err := e.progress("the service " + one.Name + " has started"); err != nil {
			return err
		}
	}
	return e.await(ctx, ids, m.config.Needs)
}

// await waits until services are as they are needed.
func (e *environs) await(ctx context.Context, ids map[string]string, needs map[string]devcontainer.Condition) error {
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		condition, began := needs[name], time.Now()
		if ids[name] == "" {
			continue // it has done its work
		}
		if err := e.awaitOne(ctx, ids[name], condition); err != nil {
			e.log.begin("the service " + name)
			_, _ = io.WriteString(e.log, e.engine.said(ctx, ids[name]))
			return orCause(ctx, fmt.Errorf("the service %s, which another one depends on (%s), %w", name, condition, err))
		}
		words := map[devcontainer.Condition]string{devcontainer.Healthy: "is healthy", devcontainer.Completed: "has done its work"}[condition]
		if words == "" {
			continue
		}
		if condition == devcontainer.Completed {
			if err := e.engine.remove(ctx, ids[name]); err != nil {
				return err
			}
			ids[name] = ""
		}
		if err := e.progress(fmt.Sprintf("the service %s %s after %s", name, words, time.Since(began).Round(10*time.Millisecond))); err != nil {
			return err
		}
	}
	return nil
}

// lookAtService is how often a service is looked at that is waited for.
const lookAtService = 100 * time.Millisecond

func (e *environs) awaitOne(ctx context.Context, id string, condition devcontainer.Condition) error {
	for {
		c, err := e.engine.client.ContainerInspect(ctx, id)
		if err != nil {
			return fmt.Errorf("cannot be looked at: %w", err)
		}
		over := !c.State.Running && c.State.Status != container.StateCreated
		switch {
		case condition == devcontainer.Completed && over && c.State.ExitCode == 0:
			return nil
		case over:
			return errors.New(ending(c.State))
		case condition == devcontainer.Started:
			return nil
		case condition == devcontainer.Healthy && (c.State.Health == nil || c.State.Health.Status == container.NoHealthcheck):
			return errors.New("has no healthcheck, so nobody knows when it is healthy. Add one, or depend on service_started")
		case condition == devcontainer.Healthy && c.State.Health.Status == container.Healthy:
			return nil
		case condition == devcontainer.Healthy && c.State.Health.Status == container.Unhealthy:
			return errors.New("is unhealthy, as its healthcheck says" + lastCheck(c.State.Health))
		}
		if err := after(ctx, lookAtService); err != nil {
			return fmt.Errorf("is not so yet: %w", context.Cause(ctx))
		}
	}
}

func lastCheck(h *container.Health) string {
	if len(h.Log) == 0 {
		return ""
	}
	if words := keepHead(strings.TrimSpace(printableLines(h.Log[len(h.Log)-1].Output)), 300); words != "" {
		return ": " + words
	}
	return ""
}

// ending says how a service's container ended.
func ending(state *container.State) string {
	if state.OOMKilled {
		return "has ended: it had no memory left"
	}
	if state.Error != "" {
		return "could not be started: " + keepHead(printableLines(state.Error), 300)
	}
	return fmt.Sprintf("has ended, with exit code %d", state.ExitCode)
}

// orCause is the error, or why ctx ended when that is the reason for it.
func orCause(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
		return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	return err
}

// progress is a part of the step that has been done.
func (e *environs) progress(note string) error {
	e.log.watch.flush()
	return e.tell(task.Event{Kind: task.Stepped, Step: &task.Step{
		Name: task.StepEnvironment, MS: time.Since(e.log.watch.began).Milliseconds(), Note: keepHead(note, maxDoing), UnderWay: true,
	}})
}

// maxServiceLog bounds what is read of the end of a service's log, in bytes.
const maxServiceLog = 16 << 10

// said is the end of what a service printed.
func (e *engine) said(ctx context.Context, id string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineAnswers)
	defer cancel()
	logs, err := e.client.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "30"})
	if err != nil {
		return ""
	}
	defer logs.Close()
	end := &tail{max: maxServiceLog}
	_, _ = stdcopy.StdCopy(end, end, logs) // what came before an error counts
	return end.lastLines(30)
}
