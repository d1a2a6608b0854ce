package config

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// forbidden are the permissions that a file with a secret must not give, as for the keys of seal: any to others, and writing to its
// group. A group may read, as containers' secrets are often mounted.
const forbidden os.FileMode = 0o027

// SecretFile reads a file that holds secrets, which the key names. It refuses one that cannot be read, and one that others
// than its owner may read or change. What is no file, as a pipe, is read as it is: nobody else can open that.
func SecretFile(key, path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, Error{key, err.Error()}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, Error{key, err.Error()}
	}
	if mode := info.Mode(); mode.IsRegular() && mode.Perm()&forbidden != 0 {
		return nil, Error{key, fmt.Sprintf("%s may be read or changed by others (its mode is %#o), and it holds a secret. "+
			"If nobody has read it, chmod 600 it (its group may read, as with 640); else have the secret replaced first", path, mode.Perm())}
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, Error{key, err.Error()}
	}
	return data, nil
}

// Secret is SecretFile of one line, without its end. It refuses an empty one.
func Secret(key, path string) (string, error) {
	data, err := SecretFile(key, path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(data))
	if secret == "" {
		return "", Error{key, path + " is empty"}
	}
	return secret, nil
}
