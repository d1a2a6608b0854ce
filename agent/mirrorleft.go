package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// breakLocks removes the locks that a git which was killed left in a mirror: as long as one is there, every git after it refuses to
// write. The caller holds the mirror's own lock, so no git that takes any runs.
func (m *mirrors) breakLocks(repository int64) error {
	return m.removeFiles(repository, []string{".", "refs/fetched", "objects/pack", "objects/info", "objects/info/commit-graphs"}, func(name string) bool {
		return strings.HasSuffix(name, ".lock") || name == "gc.pid"
	})
}

// halfWritten removes what a git that was killed had not finished: as much as was to be fetched, perhaps. The caller holds
// the mirror's lock, and it is lent to nobody.
func (m *mirrors) halfWritten(repository int64) error {
	folders, err := os.ReadDir(filepath.Join(m.path(repository), "objects"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("look for what is half written in a mirror: %w", err)
	}
	var all []string
	for _, folder := range folders {
		if folder.IsDir() {
			all = append(all, "objects/"+folder.Name())
		}
	}
	return m.removeFiles(repository, all, func(name string) bool { return strings.HasPrefix(name, "tmp_") })
}

// removeFiles removes those files in folders of a mirror that are wanted.
func (m *mirrors) removeFiles(repository int64, folders []string, wanted func(name string) bool) error {
	var failed error
	for _, folder := range folders {
		path := filepath.Join(m.path(repository), folder)
		entries, err := os.ReadDir(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
		for _, entry := range entries { // an index comes before its pack, which is none without it
			if wanted(entry.Name()) && !entry.IsDir() {
				failed = errors.Join(failed, os.Remove(filepath.Join(path, entry.Name())))
			}
		}
	}
	if failed != nil {
		return fmt.Errorf("tidy a mirror: %w", failed)
	}
	return nil
}
