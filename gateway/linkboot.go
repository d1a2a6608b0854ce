package gateway

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"sam/agent/wire"
)

// Bounds of what is logged of a boot: a node may say anything.
const (
	maxBootSteps = 32
	maxBootName  = 40 // bytes
)

// logBoot logs how a machine that SAM made became a node, each step with its milliseconds. The node says it once after each
// boot. ready_ms is by this server's clock alone, from when the machine was ordered.
func logBoot(ctx context.Context, b *wire.Boot, now time.Time) {
	if b == nil {
		return
	}
	steps, left, total := zerolog.Dict(), []string{}, int64(0)
	for _, s := range b.Steps[:min(len(b.Steps), maxBootSteps)] {
		name := s.Name[:min(len(s.Name), maxBootName)]
		steps = steps.Int64(name, s.MS)
		total += s.MS
		if s.Error != "" {
			left = append(left, name)
		}
	}
	event := zerolog.Ctx(ctx).Info().Bool("again", b.Again).Dict("steps_ms", steps).Int64("total_ms", total)
	if len(left) > 0 {
		event = event.Strs("left_out", left)
	}
	if !b.Again && !b.Made.IsZero() {
		event = event.Int64("ready_ms", now.Sub(b.Made).Milliseconds())
	}
	event.Msg("the node's machine has booted")
}
