package agent

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// What statfs(2) says of file systems that are memory: what is in those counts as a container's memory.
const (
	tmpfsMagic     = 0x01021994
	ramfsMagic     = 0x858458f6
	hugetlbfsMagic = 0x958458f6
)

// unlinked adds what a container's processes have of files that have no name any more, so that no folder shows them: those
// that they have open, and those that they only map. first is the container's first process: what the shim keeps has bounds of its own. What is
// nobody's for the moment, as a descriptor that waits in a socket to be received, is not found.
//
// Everything here is /proc's. An entry of fd or map_files is looked at, and never opened; it leads to the file itself,
// whatever its path has come to mean. Which group a process is in is the engine's to say, and no process's own.
func (u *usage) unlinked(ctx context.Context, container string, first int) error {
	processes, err := os.ReadDir("/proc")
	if err != nil || container == "" {
		return err
	}
	for _, process := range processes {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		pid, err := strconv.Atoi(process.Name())
		if err != nil || pid == first {
			continue
		}
		folder := "/proc/" + process.Name()
		// A process that is gone, or that is not this node's to look at, is passed over.
		groups, err := os.ReadFile(folder + "/cgroup")
		if err != nil || !bytes.Contains(groups, []byte(container)) {
			continue
		}
		descriptors, _ := os.ReadDir(folder + "/fd")
		for _, descriptor := range descriptors {
			u.nameless(filepath.Join(folder, "fd", descriptor.Name()))
		}
		for _, area := range deletedAreas(folder) {
			u.nameless(filepath.Join(folder, "map_files", area))
		}
	}
	return nil
}

// deletedAreas are the areas of a process's memory that map a file without a name, as map_files names them.
func deletedAreas(folder string) []string {
	maps, err := os.ReadFile(folder + "/maps")
	if err != nil {
		return nil
	}
	var areas []string
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		line := lines.Text()
		if !strings.HasSuffix(line, " (deleted)") {
			continue
		}
		area, _, _ := strings.Cut(line, " ")
		from, to, _ := strings.Cut(area, "-")
		areas = append(areas, strings.TrimLeft(from, "0")+"-"+strings.TrimLeft(to, "0"))
	}
	return areas
}

// nameless adds the file that a link of /proc stands for, when it takes disk and has no name.
func (u *usage) nameless(link string) {
	var stat syscall.Stat_t
	if syscall.Stat(link, &stat) != nil || stat.Nlink > 0 || stat.Mode&syscall.S_IFMT != syscall.S_IFREG || stat.Blocks == 0 {
		return
	}
	id := inode{stat.Dev, stat.Ino}
	if u.seen[id] {
		return
	}
	var fs syscall.Statfs_t
	if syscall.Statfs(link, &fs) != nil {
		return
	}
	switch fs.Type {
	case tmpfsMagic, ramfsMagic, hugetlbfsMagic:
		return
	}
	u.see(id)
	u.files++
	u.bytes += stat.Blocks * 512
}
