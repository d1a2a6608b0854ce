package gateway

import (
	"math"

	"sam/agent/wire"
	"sam/task"
)

// vitals are a beat's. A node may say anything: what is no sum of bytes is the largest that there is.
func vitals(b wire.Beat) task.Vitals {
	bytes := func(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
	return task.Vitals{
		Load1: b.Load1, MemoryFree: bytes(b.MemFree), Memory: bytes(b.Memory),
		DiskFree: bytes(b.DiskFree), Disk: bytes(b.Disk), DiskKept: bytes(b.DiskKept),
	}
}

// held is what a beat says that the node holds; nil when that is what it said before.
func held(b wire.Beat) *task.Held {
	if b.Held == nil {
		return nil
	}
	return &task.Held{Mirrors: b.Held.Mirrors, Built: b.Held.Built}
}
