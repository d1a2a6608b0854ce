package agent

import (
	"context"
	"strings"
	"time"

	"sam/agent/devcontainer"
)

// buildOne has the engine build a plan. A build is begun anew when the engine met an image that was being removed.
func (e *environs) buildOne(ctx context.Context, plan devcontainer.Plan, tag, network string, args map[string]string) error {
	err := retry(ctx, []time.Duration{100 * time.Millisecond, time.Second}, metRemoval, func() error {
		return e.buildOnce(ctx, plan, tag, network, args)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// metRemoval reports whether a build failed for an image that has nothing to do with it: while the engine looks for a step that it
// can use again, it looks at every image that was made from the one that the step is made from, and errs when one of those goes at
// that moment.
func metRemoval(err error) bool {
	return strings.HasPrefix(err.Error(), "unable to find image \"sha256:")
}
