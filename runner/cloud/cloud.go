// Package cloud is the seam between the runner and whoever gives it machines.
package cloud

import (
	"context"

	"sam/task"
)

// Provider gives machines that run `sam node`.
type Provider interface {
	// Name is the provider's word in configuration and records: local.
	Name() string
	// Standing lists the nodes that exist without being created. They are recorded when SAM starts.
	Standing(ctx context.Context) ([]task.Node, error)
}
