package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// setting is one key: the value is a pointer to a string, bool, int or int64. A file is a path, relative to the
// configuration's folder.
type setting struct {
	key   string
	value any
	file  bool
}

// settings is a configuration that can be loaded.
type settings interface {
	settings() []setting
	check() error
}

// load reads a file over the defaults that s holds, then SAM_… variables of the environment over that, and checks the
// result. An empty path reads no file.
func load(path string, environ []string, s settings) error {
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the configuration: %w", err)
		}
		err = yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(s)
		if err != nil && !errors.Is(err, io.EOF) { // an empty file says nothing
			return fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, true))
		}
		for _, one := range s.settings() {
			if file, ok := one.value.(*string); ok && one.file && *file != "" && !filepath.IsAbs(*file) {
				*file = filepath.Join(filepath.Dir(path), *file)
			}
		}
	}
	if err := override(s, environ); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		if path != "" {
			return fmt.Errorf("%s: %w", path, locate(path, err))
		}
		return err
	}
	return nil
}

// Variable is the environment's name for a key: github.app_id is SAM_GITHUB_APP_ID.
func Variable(key string) string {
	return "SAM_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// known reports whether a variable is a setting of any of SAM's commands: they may share one environment.
func known(name string) bool {
	for _, s := range []settings{&Server{}, &Agent{}} {
		for _, one := range s.settings() {
			if Variable(one.key) == name {
				return true
			}
		}
	}
	return false
}

// override applies SAM_… variables. One that is no key's is an error: a typing mistake would be silent otherwise.
func override(s settings, environ []string) error {
	keys := map[string]any{}
	for _, one := range s.settings() {
		keys[Variable(one.key)] = one.value
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "SAM_") || others[name] {
			continue
		}
		target, ok := keys[name]
		if !ok && known(name) {
			continue
		}
		if !ok {
			return fmt.Errorf("environment: %s is no setting of SAM: see docs/configuration.md", name)
		}
		var err error
		switch t := target.(type) {
		case *string:
			*t = value
		case *bool:
			*t, err = strconv.ParseBool(value)
		case *int:
			*t, err = strconv.Atoi(value)
		case *int64:
			*t, err = strconv.ParseInt(value, 10, 64)
		}
		if err != nil {
			return fmt.Errorf("environment: %s: %w", name, err)
		}
	}
	return nil
}

// others are SAM_… variables that are read elsewhere.
var others = map[string]bool{
	"SAM_CONFIG": true, "SAM_TOKEN": true, "SAM_GITHUB_OPENAPI": true,
}

// Error says what is wrong with a key's value.
type Error struct{ Key, Why string }

func (e Error) Error() string { return e.Key + ": " + e.Why }

// locate adds to each Error the line of its key in the file, where the file has it.
func locate(path string, err error) error {
	data, readErr := os.ReadFile(path)
	if readErr != nil {
		return err
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var located []error
	for _, one := range joined.Unwrap() {
		var e Error
		if errors.As(one, &e) {
			if line := lineOf(data, e.Key); line > 0 {
				one = fmt.Errorf("line %d: %w", line, e)
			}
		}
		located = append(located, one)
	}
	return errors.Join(located...)
}

// lineOf finds a key's line by asking the YAML library for its node, 0 when the file does not have it.
func lineOf(data []byte, key string) int {
	path, err := yaml.PathString("$." + key)
	if err != nil {
		return 0
	}
	node, err := path.ReadNode(bytes.NewReader(data))
	if err != nil || node == nil || node.GetToken() == nil {
		return 0
	}
	return node.GetToken().Position.Line
}

// Secret reads a file of one line, without its end. It refuses an empty one.
func Secret(key, path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", Error{key, err.Error()}
	}
	secret := strings.TrimSpace(string(data))
	if secret == "" {
		return "", Error{key, path + " is empty"}
	}
	return secret, nil
}
