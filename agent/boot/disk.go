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
		if err := m.file(swapFile, size, true); err != nil {
			return "", err
		}
		if err := m.Run(ctx, "", "mkswap", m.path(swapFile)); err != nil {
			return "", errors.Join(err, os.Remove(m.path(swapFile)))
		}
	}
	if used, err := m.inUse(swapFile); err != nil || used {
		return "it was there", err
	}
	if err := m.Run(ctx, "", "swapon", m.path(swapFile)); err != nil {
		return "", err
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
		if err := m.file(diskFile, size, false); err != nil {
			return "", err
		}
		// Fewer, larger groups and no reverse map: a file of tens of GiB is made in well under a second.
		if err := m.Run(ctx, "", "mkfs.xfs", "-q", "-m", "crc=1,reflink=1,rmapbt=0", m.path(diskFile)); err != nil {
			return "", errors.Join(err, os.Remove(m.path(diskFile)))
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

// file makes one of a size, for root alone; whole, or with holes.
func (m *Machine) file(name string, size int64, whole bool) error {
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o755); err != nil { //nolint:gosec // a folder of the system
		return fmt.Errorf("make /%s: %w", name, err)
	}
	file, err := os.OpenFile(m.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make /%s: %w", name, err)
	}
	if whole {
		err = allocate(file, size)
	} else {
		err = file.Truncate(size)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(fmt.Errorf("make /%s of %d bytes: %w", name, size, err), os.Remove(m.path(name)))
	}
	return nil
}
