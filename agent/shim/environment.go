package shim

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// merged is an environment in which a later value of a name replaces an earlier one.
func merged(first, then []string) []string {
	at := map[string]int{}
	var env []string
	for _, pair := range append(append([]string{}, first...), then...) {
		name, _, _ := strings.Cut(pair, "=")
		if i, known := at[name]; known {
			env[i] = pair
			continue
		}
		at[name] = len(env)
		env = append(env, pair)
	}
	return env
}

// find looks a program up in the PATH that it will run with. A relative entry would find programs in the repository.
func find(name string, env []string) (string, error) {
	if strings.ContainsRune(name, '/') {
		info, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("%s is not in the workspace", name)
		case err == nil && (info.IsDir() || info.Mode()&0o111 == 0):
			return "", fmt.Errorf("%s is not a program", name)
		}
		return name, nil
	}
	path := ""
	for _, pair := range env {
		if value, ok := strings.CutPrefix(pair, "PATH="); ok {
			path = value
		}
	}
	for dir := range strings.SplitSeq(path, ":") {
		if !strings.HasPrefix(dir, "/") {
			continue
		}
		candidate := strings.TrimSuffix(dir, "/") + "/" + name
		if info, err := os.Stat(candidate); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("%s is not in the PATH %q of the workspace's image", name, path)
}
