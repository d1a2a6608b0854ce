package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// include gives a folder in root, which is made when there is none, to a project, with what is in it unless it has been the
// project's before.
func include(root *os.Root, name string, id uint32) error {
	if err := root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make a folder of the workspace: %w", err)
	}
	folder, err := root.OpenRoot(name)
	if err != nil {
		return fmt.Errorf("open a folder of the workspace: %w", err)
	}
	defer folder.Close()
	self, err := folder.Open(".")
	if err != nil {
		return fmt.Errorf("open a folder of the workspace: %w", err)
	}
	defer self.Close()
	if a, err := attributesOf(self); err != nil || a.project == id && a.flags&inheritProject != 0 {
		return err
	}
	return adopt(folder, self, id, 0)
}

// adopt gives a folder and what is below to a project. No link is followed; what cannot be opened stays where it is, and
// counts by the watched limit alone.
func adopt(folder *os.Root, self *os.File, id uint32, depth int) error {
	if err := setProject(self, id, true); err != nil {
		return err
	}
	if depth > maxDepth {
		return nil
	}
	entries, err := self.ReadDir(-1)
	for _, entry := range entries {
		if err := adoptOne(folder, entry, id, depth); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("look for what is the workspace's: %w", err)
	}
	return nil
}

func adoptOne(folder *os.Root, entry fs.DirEntry, id uint32, depth int) error {
	switch {
	case entry.IsDir():
		below, err := folder.OpenRoot(entry.Name())
		if err != nil {
			return nil // as above
		}
		defer below.Close()
		self, err := below.Open(".")
		if err != nil {
			return nil // as above
		}
		defer self.Close()
		return adopt(below, self, id, depth+1)
	case entry.Type().IsRegular():
		file, err := folder.OpenFile(entry.Name(), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return nil // as above
		}
		defer file.Close()
		return setProject(file, id, false)
	}
	return nil
}

// sameDisk reports whether two folders are on one file system.
func sameDisk(root *os.Root, folder *os.File) (bool, error) {
	there, err := root.Lstat(".")
	if err != nil {
		return false, fmt.Errorf("look where a folder is: %w", err)
	}
	here, err := folder.Stat()
	if err != nil {
		return false, fmt.Errorf("look where a folder is: %w", err)
	}
	a, known := there.Sys().(*syscall.Stat_t)
	b, also := here.Sys().(*syscall.Stat_t)
	return known && also && a.Dev == b.Dev, nil
}
