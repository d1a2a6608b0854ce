package agent

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sam/agent/wire"
)

// vitals reads how the machine is; what cannot be read is 0. Of the disks that dirs are on the one with the least left is
// told.
func vitals(dirs ...string) wire.Beat {
	b := wire.Beat{Clock: time.Now().UTC()}
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(data), " ")
		if load, err := strconv.ParseFloat(first, 64); err == nil {
			b.Load1 = load
		}
	}
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		b.MemFree, b.Memory = memory(string(data), "MemAvailable"), memory(string(data), "MemTotal")
	}
	for _, dir := range dirs {
		var disk syscall.Statfs_t
		if err := syscall.Statfs(dir, &disk); err != nil {
			continue
		}
		block := uint64(max(0, disk.Bsize))
		if free := disk.Bavail * block; b.Disk == 0 || free < b.DiskFree {
			b.DiskFree, b.Disk = free, disk.Blocks*block
		}
	}
	return b
}

// memory reads a line of /proc/meminfo, in bytes; 0 when there is none.
func memory(meminfo, name string) uint64 {
	for line := range strings.Lines(meminfo) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
