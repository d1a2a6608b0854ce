package agent

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sam/agent/wire"
)

// vitals reads how the machine is; what cannot be read is 0. dir is where workspaces are.
func vitals(dir string) wire.Beat {
	b := wire.Beat{Clock: time.Now().UTC()}
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(data), " ")
		if load, err := strconv.ParseFloat(first, 64); err == nil {
			b.Load1 = load
		}
	}
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		b.MemFree = memAvailable(string(data))
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err == nil {
		b.DiskFree = disk.Bavail * uint64(max(0, disk.Bsize))
	}
	return b
}

func memAvailable(meminfo string) uint64 {
	for line := range strings.Lines(meminfo) {
		if value, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
