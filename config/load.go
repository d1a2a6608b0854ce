package config

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// setting is one key, with the sections that it stands in: the value is a pointer to a string, a list of them, bool, int,
// int64, float64, Bytes or Budget, or to what only a file can hold: Prices, Repositories, Windows. A file is a path, relative to
// the configuration's folder.
type setting struct {
	key   string
	value any
	file  bool
}

// settings is a configuration that can be loaded.
type settings interface {
	settings() []setting
	check() []Error
}

// load reads a file over the defaults that s holds, then SAM_… variables of the environment over that, and checks the
// result. An empty path reads no file. What is wrong is named by file, line and key, or by the variable it came from.
func load(path string, environ []string, s settings) error {
	lines := map[string]int{}
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the configuration: %w", err)
		}
		if lines, err = decode(path, data, s); err != nil {
			return err
		}
	}
	overridden, err := override(s, environ)
	if err != nil {
		return err
	}
	var wrong []error
	for _, e := range s.check() {
		switch {
		case overridden[e.Key]:
			wrong = append(wrong, fmt.Errorf("environment: %s: %w", Variable(e.Key), e))
		case lines[e.Key] > 0:
			wrong = append(wrong, fmt.Errorf("%s:%d: %w", path, lines[e.Key], e))
		case path != "":
			wrong = append(wrong, fmt.Errorf("%s: %w", path, e))
		default:
			wrong = append(wrong, e)
		}
	}
	return errors.Join(wrong...)
}

// Variable is the environment's name for a key: github.app_id is SAM_GITHUB_APP_ID.
func Variable(key string) string {
	return "SAM_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// known reports whether a variable is read by any of SAM's commands: they may share one environment.
func known(name string) bool {
	switch name {
	case "SAM_CONFIG", "SAM_NODE_CONFIG", "SAM_GITHUB_OPENAPI":
		return true
	}
	for _, s := range []settings{&Server{}, &Agent{}} {
		for _, one := range s.settings() {
			if Variable(one.key) == name {
				return true
			}
		}
	}
	return false
}

// override applies SAM_… variables and returns the keys they set. One that is no key's is an error: a typing mistake
// would be silent otherwise.
func override(s settings, environ []string) (map[string]bool, error) {
	variables := map[string]setting{}
	for _, one := range s.settings() {
		variables[Variable(one.key)] = one
	}
	overridden := map[string]bool{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "SAM_") {
			continue
		}
		one, ok := variables[name]
		if !ok && known(name) {
			continue
		}
		if !ok {
			return nil, fmt.Errorf("environment: %s is no setting of SAM: see docs/configuration.md", name)
		}
		if !set(one.value, value) {
			return nil, fmt.Errorf("environment: %s: %w", name, Error{one.key, notKind(value, one.value)})
		}
		overridden[one.key] = true
	}
	return overridden, nil
}

// set writes a variable's text into a setting's value and reports whether it is of that type.
func set(target any, value string) bool {
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
	case *float64:
		*t, err = strconv.ParseFloat(value, 64)
	case *Bytes:
		*t, err = parseBytes(value)
	case *time.Duration:
		*t, err = time.ParseDuration(value)
	case *[]string:
		*t = splitList(value)
	case *Budget:
		*t, err = ParseBudget(value)
	case *Prices, *Repositories, *Windows:
		return false
	}
	return err == nil
}

// notKind says of what type a setting is.
func notKind(text string, target any) string {
	switch target.(type) {
	case *bool:
		return text + " is neither true nor false"
	case *int, *int64:
		return text + " is not a whole number"
	case *float64:
		return text + " is not a number"
	case *Bytes:
		return text + " is no amount of memory: write a whole number and KiB, MiB, GiB or TiB, as in 4GiB"
	case *time.Duration:
		return text + " is no time: write a number and a unit, as in 90s, 20m or 24h"
	case *[]string:
		return text + " is not a list of texts"
	case *Budget:
		return text + " is no budget: write an amount in EUR such as 5 or 2.50, 0 for none at all, or " + unlimited
	case *Prices, *Repositories:
		return "is a table, which only the configuration's file can hold"
	case *Windows:
		return "is a list of windows, which only the configuration's file can hold: write [{days: [mon, tue], from: 08:00, to: 18:00, machines: 1}]"
	default:
		return text + " is not a text"
	}
}

// Error says what is wrong with a key's value.
type Error struct{ Key, Why string }

func (e Error) Error() string { return e.Key + ": " + e.Why }
