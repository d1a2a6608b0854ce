package agent

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// errTooDeep: folders are nested deeper than maxDepth. Each level costs an open file while it is walked.
var errTooDeep = errors.New("folders are nested too deep to be measured")

const maxDepth = 400

// usage is what folders take on the disk, in bytes: what is allocated, not what files say of their length. A file with
// several names counts once.
type usage struct {
	bytes int64
	files int64
	seen  map[inode]bool // of files with several names, or none
}

type inode struct{ device, number uint64 }

// measure adds what is below a folder in root, which others may be changing: nothing is opened by a path, and no link is
// followed. What is gone or cannot be read is passed over.
func (u *usage) measure(ctx context.Context, root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err != nil || !info.IsDir() {
		return nil //nolint:nilerr // it is gone, or is nothing to walk
	}
	return u.folder(ctx, root, name, info, 0)
}

func (u *usage) folder(ctx context.Context, parent *os.Root, name string, was os.FileInfo, depth int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if depth > maxDepth {
		return errTooDeep
	}
	folder, err := parent.OpenRoot(name)
	if err != nil {
		return nil // it is gone, or is the workspace's secret
	}
	defer folder.Close()
	if is, err := folder.Lstat("."); err != nil || !os.SameFile(was, is) {
		return nil // it was exchanged, for a link perhaps
	}
	list, err := folder.Open(".")
	if err != nil {
		return nil // as above
	}
	defer list.Close()
	for {
		names, err := list.Readdirnames(1024)
		for _, each := range names {
			info, err := folder.Lstat(each)
			if err != nil {
				continue
			}
			u.add(info)
			if info.IsDir() {
				if err := u.folder(ctx, folder, each, info, depth+1); err != nil {
					return err
				}
			}
		}
		if err != nil || len(names) == 0 {
			return nil // the end
		}
	}
}

func (u *usage) add(info os.FileInfo) {
	u.files++
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	if stat.Nlink > 1 && !info.IsDir() {
		id := inode{stat.Dev, stat.Ino}
		if u.seen[id] {
			return
		}
		u.see(id)
	}
	u.bytes += stat.Blocks * 512
}

func (u *usage) see(id inode) {
	if u.seen == nil {
		u.seen = map[inode]bool{}
	}
	u.seen[id] = true
}

// space is what a file system has left: bytes, and the share of its files that may still be made (1 where it has no such
// limit).
func space(dir string) (free int64, files float64, err error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0, 0, err
	}
	files = 1
	if disk.Files > 0 {
		files = float64(disk.Ffree) / float64(disk.Files)
	}
	return int64(disk.Bavail) * disk.Bsize, files, nil //nolint:gosec // no disk is so large
}
