package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	mostSwap  = 4 << 30 // bytes; no more than the machine's memory
	leastDisk = 8 << 30 // bytes of a disk that is worth having
	hostKeeps = 5 << 30 // bytes that the system keeps of the machine's disk
)

// swap keeps a build that needs more than there is from being killed at once.
func (m *Machine) swap(ctx context.Context, _ Order) (string, error) {
	size := min(mostSwap, m.Memory)
	if !m.exists(swapFile) {
		if err := m.file(swapFile, size, true, func(path string) error { return m.Run(ctx, "", "mkswap", path) }); err != nil {
			return "", err
		}
	}
	if used, err := m.inUse(swapFile); err != nil || used {
		return "it was there", err
	}
	if err := m.Run(ctx, "", "swapon", m.path(swapFile)); err != nil {
		return "", errors.Join(err, os.Remove(m.path(swapFile))) // else it takes its room for nothing
	}
	return fmt.Sprintf("%.1f GiB", float64(size)/(1<<30)), nil
}

// disk puts workspaces and Docker on an XFS with project quotas, so that each has a limit that the kernel keeps: a file on
// the machine's one disk, which grows as it is written to.
func (m *Machine) disk(ctx context.Context, _ Order) (string, error) {
	if err := os.MkdirAll(m.path(stateDir), 0o700); err != nil {
		return "", fmt.Errorf("make /%s: %w", stateDir, err)
	}
	if used, err := m.inUse(stateDir); err != nil || used {
		return "it was there", err
	}
	if !m.exists(diskFile) {
		free, err := m.Free(m.Root)
		if err != nil {
			return "", err
		}
		size := free - hostKeeps
		if size < leastDisk {
			return "", fmt.Errorf("only %.1f GiB are free: workspaces are watched instead of being held to a quota", float64(free)/(1<<30))
		}
		// Fewer, larger groups and no reverse map: a file of tens of GiB is made in well under a second.
		format := func(path string) error {
			return m.Run(ctx, "", "mkfs.xfs", "-q", "-m", "crc=1,reflink=1,rmapbt=0", path)
		}
		if err := m.file(diskFile, size, false, format); err != nil {
			return "", err
		}
	}
	mount := func(options string) error {
		return m.Run(ctx, "", "mount", "-o", "loop,noatime,nodev,nosuid"+options, m.path(diskFile), m.path(stateDir))
	}
	if err := mount(",prjquota"); err != nil {
		if mount("") != nil {
			return "", err
		}
		return "XFS without quotas, which this kernel does not have: workspaces are watched instead", nil
	}
	return "XFS with project quotas", nil
}

// file makes one of a size, for root alone; whole, or with holes. It has its name only once it is formatted: one that a machine
// was cut off from making would be taken for good at each boot from then on.
func (m *Machine) file(name string, size int64, whole bool, format func(path string) error) error {
	path := m.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a folder of the system
		return fmt.Errorf("make /%s: %w", name, err)
	}
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make /%s: %w", name, err)
	}
	if whole {
		err = allocate(file, size)
	} else {
		err = file.Truncate(size)
	}
	if err == nil {
		err = format(path + ".new")
	}
	if err == nil {
		err = file.Sync() // what was formatted, before its name
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("make /%s of %d bytes: %w", name, size, err), os.Remove(path+".new"))
	}
	return nil
}
