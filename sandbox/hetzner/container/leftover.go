package container

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// claim takes a prefix for this process. A socket in the abstract namespace is a
// lock that goes with its process, however that ends.
func claim(ctx context.Context, prefix string) (net.Listener, error) {
	var listen net.ListenConfig
	return listen.Listen(ctx, "unix", "@sam-hetzner-"+prefix)
}

// sweep removes what is left under a prefix that is claimed.
func (e *Engine) sweep(ctx context.Context, prefix string) error {
	left, err := e.left(ctx)
	if err != nil {
		return err
	}
	for _, one := range left {
		if one.prefix != prefix {
			continue
		}
		if _, err := e.docker(ctx, nil, "rm", "--force", "--volumes", one.id); err != nil && !strings.Contains(err.Error(), "No such container") &&
			!strings.Contains(err.Error(), "already in progress") {
			return fmt.Errorf("remove a machine that was left behind: %w", err)
		}
	}
	return nil
}

// RemoveAbandoned removes what transient Engines with that Prefix left which were
// killed. It needs the docker command and an engine that answers.
func RemoveAbandoned(ctx context.Context, opts Options) error {
	e := &Engine{opts: opts}
	e.opts.Prefix, e.opts.Engine = cmp.Or(opts.Prefix, defaultPrefix), cmp.Or(opts.Engine, defaultEngine)
	left, err := e.left(ctx)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, one := range left {
		own, ok := strings.CutPrefix(one.prefix, e.opts.Prefix+"-")
		if !ok || strings.Contains(own, "-") || seen[one.prefix] {
			continue
		}
		seen[one.prefix] = true
		claimed, err := claim(ctx, one.prefix)
		if err != nil {
			continue // its process lives
		}
		err = e.sweep(ctx, one.prefix)
		_ = claimed.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// leftover is a container that bears the label.
type leftover struct{ id, prefix string }

func (e *Engine) left(ctx context.Context) ([]leftover, error) {
	all, err := e.docker(ctx, nil, "ps", "--all", "--no-trunc", "--filter", "label="+label, "--format", `{{.ID}} {{.Label "`+label+`"}}`)
	if err != nil {
		return nil, fmt.Errorf("look for machines that were left behind: %w", err)
	}
	var found []leftover
	for line := range strings.Lines(all) {
		id, of, _ := strings.Cut(strings.TrimSpace(line), " ")
		last := strings.LastIndexByte(of, '-')
		if last < 0 {
			continue
		}
		if _, err := strconv.ParseInt(of[last+1:], 10, 64); err == nil {
			found = append(found, leftover{id, of[:last]})
		}
	}
	return found, nil
}
