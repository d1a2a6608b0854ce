package agent

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// projects are the workspaces' quotas, where the file system has them (diskquota.go). A thread has two projects, with
// neighbouring numbers: one for its tree and its home, and one for what its container's shim keeps, so that what a program
// prints at the end is kept when the workspace is full. Which number a thread has is noted in a file of the node's beside
// its tree: a workspace could change what its own files say. A tree that is kept aside takes its number along, and its
// thread gets another.
//
// A nil *projects is a node without quotas; its methods do nothing.
type projects struct {
	dir   string // of the workspaces
	bytes int64  // that one workspace may take
	mu    sync.Mutex
}

// projectSuffix names the file beside a tree that has its project's number.
const projectSuffix = ".project"

// A workspace's files may be as many as if each had one block. Their own size in the file system's tables counts for
// nobody.
const quotaFile = 4 << 10 // bytes

// outputRoom is what a thread's shim may keep, in bytes: the output of an agent, and of the programs about it.
const outputRoom = 1 << 30

// pushRoom is what a workspace that is full gets beyond its limit when its agent is stopped: git needs some to push.
const pushRoom = 64 << 20

// Numbers of projects that nodes take. Engines take theirs from 1 on. Each folder of workspaces has a range of its own.
const (
	firstProject  = 1 << 30
	projectRanges = 1 << 16
	projectRange  = 1 << 14
)

// openProjects finds out whether workspaces can have quotas in this folder. The error says why not.
func openProjects(dir string, bytes int64) (*projects, error) {
	p := &projects{dir: dir, bytes: bytes}
	return p, p.in(func(_ *os.Root, folder *os.File) error { return quotaEnforced(folder) })
}

// in opens the folder of the workspaces.
func (p *projects) in(do func(root *os.Root, folder *os.File) error) error {
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return fmt.Errorf("open the folder of the workspaces: %w", err)
	}
	defer root.Close()
	folder, err := root.Open(".")
	if err != nil {
		return fmt.Errorf("open the folder of the workspaces: %w", err)
	}
	defer folder.Close()
	return do(root, folder)
}

// limit sees to it that a thread has its projects with their limits, and that its home, which is made when there is none,
// is of the project. No program of the thread runs.
func (p *projects) limit(thread string) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.in(func(root *os.Root, folder *os.File) error {
		id, ok := noted(root, thread)
		if !ok {
			var err error
			if id, err = p.free(root, folder); err != nil {
				return err
			}
			if err := note(root, thread, id); err != nil {
				return err
			}
		}
		bytes := p.bytes
		use, err := quotaOf(folder, id)
		use.maxBytes, use.maxFiles = bytes, bytes/quotaFile
		if err == nil && full(use) != "" {
			bytes += max(0, use.bytes-bytes) + pushRoom // until an earlier tree is away, as tree says
		}
		return errors.Join(p.set(folder, id, bytes),
			limitProject(folder, id+1, outputRoom, outputRoom/quotaFile),
			include(root, thread+homeSuffix, id))
	})
}

func (*projects) set(folder *os.File, id uint32, bytes int64) error {
	return limitProject(folder, id, bytes, bytes/quotaFile)
}

// tree makes a thread's tree when there is none, and gives it to the thread's project, with the limit that it has from now on:
// an earlier one is gone. No program of the thread runs.
func (p *projects) tree(thread string) error {
	if p == nil {
		return nil
	}
	return p.in(func(root *os.Root, folder *os.File) error {
		id, ok := noted(root, thread)
		if !ok {
			return nil // it could not have a quota, which is told
		}
		return errors.Join(p.set(folder, id, p.bytes), include(root, thread, id))
	})
}

// output gives the folder in which a thread's shim keeps what it keeps to the thread's second project, where that is on the
// same file system.
func (p *projects) output(thread string, folder runFolder) error {
	if p == nil {
		return nil
	}
	return p.in(func(workspaces *os.Root, here *os.File) error {
		id, ok := noted(workspaces, thread)
		if !ok {
			return nil
		}
		root, err := os.OpenRoot(string(folder))
		if err != nil {
			return fmt.Errorf("open the workspace's folder of sockets: %w", err)
		}
		defer root.Close()
		if one, err := sameDisk(root, here); err != nil || !one {
			return err
		}
		return include(root, filepath.Base(folder.shim()), id+1)
	})
}

// use is what a thread's tree and home take of their limit; zero where that is not known.
func (p *projects) use(thread string) (use quotaUse) {
	if p == nil {
		return use
	}
	_ = p.in(func(root *os.Root, folder *os.File) error { // who does not know it measures
		id, ok := noted(root, thread)
		if !ok {
			return nil
		}
		var err error
		use, err = quotaOf(folder, id)
		return err
	})
	return use
}

// extend lets a thread take a little more, for its last commit to be pushed.
func (p *projects) extend(thread string) error {
	if p == nil {
		return nil
	}
	return p.in(func(root *os.Root, folder *os.File) error {
		id, ok := noted(root, thread)
		if !ok {
			return nil
		}
		return p.set(folder, id, p.bytes+pushRoom)
	})
}

// keep leaves a thread's project to the tree that is kept aside, and gives the thread another one. It is called before the
// tree is moved.
func (p *projects) keep(thread, aside string) error {
	if p == nil {
		return nil
	}
	err := p.in(func(root *os.Root, _ *os.File) error {
		if err := root.Rename(thread+projectSuffix, aside+projectSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("leave a kept workspace its project: %w", err)
		}
		return nil
	})
	return errors.Join(err, p.limit(thread))
}

// release gives back the projects of what is removed.
func (p *projects) release(name string) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.in(func(root *os.Root, folder *os.File) error {
		id, ok := noted(root, name)
		if !ok {
			return nil
		}
		return errors.Join(limitProject(folder, id, 0, 0), limitProject(folder, id+1, 0, 0), root.Remove(name+projectSuffix))
	})
}

// free is a number that no workspace of this node has, nor anybody else on the file system. The caller holds p.mu.
func (p *projects) free(root *os.Root, folder *os.File) (uint32, error) {
	taken := map[uint32]bool{}
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return 0, fmt.Errorf("look for projects: %w", err)
	}
	for _, name := range names {
		if of, is := strings.CutSuffix(name, projectSuffix); is {
			id, _ := noted(root, of)
			taken[id] = true
		}
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(p.dir))
	first := firstProject + sum.Sum32()%projectRanges*projectRange
	for id := first; id < first+projectRange; id += 2 {
		if taken[id] {
			continue
		}
		files, err := quotaOf(folder, id)
		if err != nil {
			return 0, err
		}
		output, err := quotaOf(folder, id+1)
		if err != nil {
			return 0, err
		}
		if files.empty() && output.empty() {
			return id, nil
		}
	}
	return 0, fmt.Errorf("every project from %d to %d of the file system is taken", first, first+projectRange-1)
}

// noted is the number that is noted beside a tree.
func noted(root *os.Root, name string) (id uint32, ok bool) {
	content, err := root.ReadFile(name + projectSuffix)
	if err != nil {
		return 0, false
	}
	number, err := strconv.ParseUint(strings.TrimSpace(string(content)), 10, 32)
	return uint32(number), err == nil && number >= firstProject
}

// note notes a number, whole or not at all.
func note(root *os.Root, name string, id uint32) error {
	err := root.WriteFile(name+projectSuffix+".new", strconv.AppendUint(nil, uint64(id), 10), 0o600)
	if err == nil {
		err = root.Rename(name+projectSuffix+".new", name+projectSuffix)
	}
	if err != nil {
		return fmt.Errorf("note the workspace's project: %w", err)
	}
	return nil
}
