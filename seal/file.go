package seal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Suffix is how the names of key files in a folder end; what is called otherwise is passed over there.
const Suffix = ".key"

// maxKeyFile bounds what is read of a key's file, bytes: its line takes 84.
const maxKeyFile = 4096

// forbidden are the permissions that a key's file must not give: any to others, and writing to its group. A group may read,
// as containers' secrets are often mounted.
const forbidden os.FileMode = 0o027

// Load reads a ring from key files and, unless dir is "", from every *.key file of a folder. It refuses, naming the file, one that
// cannot be read, that others may read, or that holds no key; and a folder without a key.
func Load(files []string, dir string) (Ring, error) {
	paths := append([]string{}, files...)
	if dir != "" {
		found, err := inFolder(dir)
		if err != nil {
			return Ring{}, err
		}
		if len(found) == 0 {
			return Ring{}, fmt.Errorf("%s holds no %s file: make one with `sam keys new %s`", dir, Suffix, dir)
		}
		paths = append(paths, found...)
	}
	return load(paths)
}

func inFolder(dir string) ([]string, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is a file and not a folder of keys: name it in keys.files, or make a folder and run `sam keys new` with it", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look for keys: %w", err)
	}
	var paths []string
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), Suffix) {
			paths = append(paths, filepath.Join(dir, entry.Name()))
		}
	}
	return paths, nil
}

func load(paths []string) (Ring, error) {
	keys := make([]Key, 0, len(paths))
	for _, path := range paths {
		k, err := readKey(path)
		if err != nil {
			return Ring{}, err
		}
		keys = append(keys, k)
	}
	return NewRing(keys...)
}

func readKey(path string) (Key, error) {
	file, err := os.Open(path)
	if err != nil {
		return Key{}, fmt.Errorf("read a key: %w", err)
	}
	defer func() { _ = file.Close() }() // nothing was written
	info, err := file.Stat()
	if err != nil {
		return Key{}, fmt.Errorf("read a key: %w", err)
	}
	switch {
	case !info.Mode().IsRegular():
		return Key{}, fmt.Errorf("read a key: %s is not a file", path)
	case info.Mode().Perm()&forbidden != 0:
		return Key{}, fmt.Errorf("%s may be read or changed by others (its mode is %#o): a key is its owner's alone. "+
			"If nobody has read it, chmod 600 it; else make a new one with `sam keys new` and run `sam keys rotate`", path, info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return Key{}, fmt.Errorf("read a key: %w", err)
	}
	k, err := ParseKey(string(data))
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// Create makes a key and writes its file, readable by its owner only. Where path is a folder the file is named by the key's ID,
// and the key is newer than all that are there, even where the clock has gone back since. It never writes over a file.
func Create(path string, now time.Time) (Key, string, error) {
	info, err := os.Stat(path)
	folder := err == nil && info.IsDir()
	if folder {
		paths, err := inFolder(path)
		if err != nil {
			return Key{}, "", err
		}
		ring, err := load(paths)
		if err != nil {
			return Key{}, "", err
		}
		now = ring.after(now)
	}
	k, err := NewKey(now)
	if err != nil {
		return Key{}, "", err
	}
	if folder {
		path = filepath.Join(path, k.ID+Suffix)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Key{}, "", fmt.Errorf("write a key: %w", err)
	}
	_, err = file.WriteString(k.Line() + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return Key{}, "", errors.Join(fmt.Errorf("write a key: %w", err), os.Remove(path))
	}
	return k, path, nil
}
