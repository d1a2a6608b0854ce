package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
)

// gone says what became of a container whose shim does not answer, in words for the person.
func (e *engine) gone(ctx context.Context, id string, silence error) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineAnswers)
	defer cancel()
	c, err := e.client.ContainerInspect(limited, id)
	switch {
	case errdefs.IsNotFound(err):
		return errors.New("the workspace's container was removed from outside of SAM while the agent worked")
	case err != nil:
		return fmt.Errorf("the container engine went away while the agent worked, and the workspace with it: %w", err)
	case c.State == nil || c.State.Running:
		return fmt.Errorf("the workspace's container does not answer: %w", silence)
	case c.State.OOMKilled:
		return errors.New("the workspace's container ended: it had no memory left")
	}
	words := ""
	if said := e.lastWords(limited, id); said != "" {
		words = ". Its last words: " + said
	}
	return fmt.Errorf("the workspace's container ended with exit code %d while the agent worked%s", c.State.ExitCode, words)
}

// lastWords is the end of what the shim wrote; nothing else writes there.
func (e *engine) lastWords(ctx context.Context, id string) string {
	logs, err := e.client.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "5"})
	if err != nil {
		return ""
	}
	defer logs.Close()
	raw, err := io.ReadAll(io.LimitReader(logs, 8<<10))
	if err != nil {
		return ""
	}
	printable := func(r rune) rune { // the engine's frames begin with eight bytes that are not text
		if r < ' ' && r != '\n' || r == '\ufffd' {
			return -1
		}
		return r
	}
	return strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(string(raw), "")))
}
