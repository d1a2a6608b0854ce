package devcontainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/tailscale/hujson"
)

// Bounds of what is read.
const (
	maxFile           = 256 << 10 // bytes of one file of configuration
	maxConfigurations = 100       // folders in .devcontainer that are looked into
)

// The two places of a repository's first configuration, in the order of the specification.
const (
	folder    = ".devcontainer"
	fileName  = "devcontainer.json"
	first     = folder + "/" + fileName
	second    = ".devcontainer.json"
	firstName = "default"
)

// Find returns the path of the configuration to use, empty when the tree has none. choice names one of several: the folder
// in .devcontainer that it is in, or "default" for the one that stands first. An empty choice is the first in the
// specification's order: .devcontainer/devcontainer.json, .devcontainer.json, then the folders by name. A choice that is
// not there is an *UnusableError that lists what is.
func Find(tree *os.Root, choice string) (string, error) {
	all, err := list(tree)
	if err != nil {
		return "", err
	}
	if choice == "" {
		if len(all) == 0 {
			return "", nil
		}
		return all[0].path, nil
	}
	var names []string
	for _, one := range all {
		if one.name == choice {
			return one.path, nil
		}
		if !slices.Contains(names, one.name) {
			names = append(names, one.name)
		}
	}
	if len(names) == 0 {
		return "", failedWhole("", "The environment %q was asked for, and the repository has no devcontainer.json. Add .devcontainer/%s/devcontainer.json, or ask for none.", choice, choice)
	}
	return "", failedWhole("", "The environment %q was asked for, and the repository has: %s. Name one of these.", choice, strings.Join(names, ", "))
}

type named struct{ name, path string }

// list returns the tree's configurations in the specification's order.
func list(tree *os.Root) ([]named, error) {
	var found []named
	for _, candidate := range []string{first, second} {
		if isFile(tree, candidate) {
			found = append(found, named{firstName, candidate})
		}
	}
	dir, err := tree.Open(folder)
	if err != nil {
		return found, nil // no such folder, or none that may be looked into
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if errors.Is(err, syscall.ENOTDIR) {
		return found, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for devcontainer.json: %w", err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for i, entry := range entries {
		if i == maxConfigurations {
			break
		}
		if candidate := path.Join(folder, entry.Name(), fileName); isFile(tree, candidate) {
			found = append(found, named{entry.Name(), candidate})
		}
	}
	return found, nil
}

func isFile(tree *os.Root, name string) bool {
	info, err := tree.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// readFile reads a regular file of the tree, of at most limit bytes. A link that leads out of the tree is an error.
func readFile(tree *os.Root, name string, limit int64) ([]byte, error) {
	file, err := tree.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", name)
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d KiB", name, limit>>10)
	}
	return data, err
}

// properties are what a file of configuration says, by their names.
type properties map[string]json.RawMessage

// parse reads JSON with comments and trailing commas.
func parse(data []byte) (properties, error) {
	standard, err := hujson.Standardize(data)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "hujson: "))
	}
	var found properties
	if err := json.Unmarshal(standard, &found); err != nil || found == nil {
		return nil, errors.New("it is not a JSON object")
	}
	return found, nil
}

// load reads and parses a file of configuration.
func load(tree *os.Root, name string) (properties, error) {
	data, err := readFile(tree, name, maxFile)
	if err != nil {
		return nil, failedWhole("", "%s cannot be read: %s. Mend the file.", name, plain(err))
	}
	found, err := parse(data)
	if err != nil {
		return nil, failedWhole("", "%s is broken: %s. Mend the file.", name, err)
	}
	return found, nil
}

// plain is an error of a file's without the operation and path that the caller names better.
func plain(err error) string {
	var wrapped *fs.PathError
	if errors.As(err, &wrapped) {
		return wrapped.Err.Error()
	}
	return err.Error()
}
