package hostile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// marked returns the processes of this machine, containers' too, that have a word among their arguments.
func marked(word string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look at the machine's processes: %w", err)
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		args, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err == nil && bytes.Contains(args, []byte(word)) {
			found = append(found, pid)
		}
	}
	return found, nil
}

// size is what the files below a folder take on the disk, in bytes. Files that vanish meanwhile take none.
func size(folder string) int64 {
	total := int64(0)
	_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // it is gone
		}
		if info, err := entry.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}

// sums are the checksums of the files below a folder, by their paths.
func sums(folder string) (map[string]string, error) {
	all := map[string]string{}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", folder, err)
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && (!entry.Type().IsRegular() || strings.Contains(path, "tmp_") || strings.HasSuffix(path, ".lock")) {
			return nil // another task's fetch is under way
		}
		if err != nil {
			return err
		}
		text, err := fs.ReadFile(root.FS(), path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		all[path] = fmt.Sprintf("%x", sha256.Sum256(text))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", folder, err)
	}
	return all, nil
}

// run runs a program of the host's and returns what it printed.
func run(ctx context.Context, dir string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args[:min(2, len(args))], " "), err, bytes.TrimSpace(words.Bytes()))
	}
	return strings.TrimSpace(out.String()), nil
}

// until asks again and again whether something is so, until it is or the time is over; then the error is the last reason why not.
func until(ctx context.Context, limit time.Duration, is func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		why := is()
		if why == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waited %s in vain", limit), why)
		case <-tick.C:
		}
	}
}
