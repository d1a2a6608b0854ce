package devcontainer

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Health is how a service is asked whether it is well, by a command inside of it.
type Health struct {
	Test                           []string // as the engine takes it; NONE: it is not asked
	Interval, Timeout, StartPeriod time.Duration
	Retries                        int
}

// Bounds of what a healthcheck may say: it starts a program each time.
const (
	shortestInterval = 500 * time.Millisecond
	longestInterval  = 5 * time.Minute
	maxRetries       = 1000
)

func (c *checker) health(raw json.RawMessage) *Health {
	if raw == nil || string(raw) == "null" {
		return nil
	}
	var said struct {
		Test        json.RawMessage `json:"test"`
		Disable     bool            `json:"disable"`
		Interval    string          `json:"interval"`
		Timeout     string          `json:"timeout"`
		StartPeriod string          `json:"start_period"`
		Retries     int             `json:"retries"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		c.mistyped("healthcheck", "an object with a test")
		return nil
	}
	if said.Disable {
		return &Health{Test: []string{"NONE"}}
	}
	found := &Health{Retries: min(max(said.Retries, 0), maxRetries)}
	var line string
	switch {
	case said.Test == nil:
	case json.Unmarshal(said.Test, &line) == nil:
		found.Test = []string{"CMD-SHELL", line}
	case json.Unmarshal(said.Test, &found.Test) != nil || len(found.Test) == 0 || !slices.Contains([]string{"NONE", "CMD", "CMD-SHELL"}, found.Test[0]):
		c.mistyped("healthcheck.test", "a text, or a list that begins with CMD, CMD-SHELL or NONE")
		return nil
	}
	for _, one := range []struct {
		name, text string
		to         *time.Duration
	}{{"interval", said.Interval, &found.Interval}, {"timeout", said.Timeout, &found.Timeout}, {"start_period", said.StartPeriod, &found.StartPeriod}} {
		if one.text == "" {
			continue
		}
		length, err := time.ParseDuration(one.text)
		if err != nil || length < 0 {
			c.mistyped("healthcheck."+one.name, "a time such as 5s")
			continue
		}
		*one.to = min(max(length, shortestInterval), longestInterval)
	}
	return found
}

// commandLine reads a command: a list of arguments, or a text, which is cut into words as a shell would and given to none.
func (c *checker) commandLine(property string, raw json.RawMessage) []string {
	if raw == nil || string(raw) == "null" {
		return nil
	}
	var args []string
	if json.Unmarshal(raw, &args) != nil {
		line, ok := c.text(property, raw)
		if !ok {
			return nil
		}
		var err error
		if args, err = words(line); err != nil {
			c.mistyped(property, "a command whose quotes are closed")
			return nil
		}
	}
	if strings.ContainsRune(strings.Join(args, ""), 0) {
		c.mistyped(property, "a command: a text, or a list of a program and its arguments")
		return nil
	}
	return args
}

// words cuts a text where there are blanks, but not within quotes nor after a backslash.
func words(text string) (found []string, err error) {
	var word strings.Builder
	quote, within, escaped := rune(0), false, false
	for _, r := range text {
		switch {
		case escaped:
			if quote == '"' && !strings.ContainsRune("\"\\$`", r) {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, within = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, within = r, true
		case strings.ContainsRune(" \t\r\n", r):
			if within {
				found = append(found, word.String())
				word.Reset()
				within = false
			}
		default:
			word.WriteRune(r)
			within = true
		}
	}
	if quote != 0 || escaped {
		return nil, fmt.Errorf("%s has an open quote", keepShort(text))
	}
	if within {
		found = append(found, word.String())
	}
	return found, nil
}

// mountable reports whether something of a service's own may be mounted at a path of its container.
func mountable(target string) bool {
	if !path.IsAbs(target) || path.Clean(target) == "/" || len(target) > 512 || strings.ContainsAny(target, ":,\x00\n") {
		return false
	}
	return !slices.ContainsFunc([]string{"/proc", "/sys", "/dev", "/etc"}, func(dir string) bool {
		return path.Clean(target) == dir || dir != "/etc" && strings.HasPrefix(path.Clean(target), dir+"/")
	})
}

func (c *checker) tmpfs(raw json.RawMessage) []string {
	if raw == nil || string(raw) == "null" {
		return nil
	}
	var list []string
	var one string
	if json.Unmarshal(raw, &one) == nil {
		list = []string{one}
	} else if err := json.Unmarshal(raw, &list); err != nil {
		c.mistyped("tmpfs", "a path, or a list of paths")
		return nil
	}
	var found []string
	for _, said := range list {
		target, _, _ := strings.Cut(said, ":") // its options are SAM's to give
		if !mountable(target) {
			c.mistyped("tmpfs", "a path, or a list of paths")
			continue
		}
		found = append(found, path.Clean(target))
	}
	return found
}

var volumeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// storage reads volumes. One with a name, or with none, becomes storage of the service's own; a folder of the node's is refused,
// and so is one of the workspace: the engine would look for it by a path that the workspace's programs can change.
func (b *besides) storage(c *checker, one *Service, raw json.RawMessage) {
	if raw == nil || string(raw) == "null" {
		return
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		c.mistyped("volumes", "a list")
		return
	}
	refused := false
	for _, entry := range list {
		said := struct{ Type, Source, Target string }{Type: "volume"}
		var line string
		if json.Unmarshal(entry, &line) == nil {
			parts := strings.Split(line, ":")
			if said.Target = parts[0]; len(parts) > 1 {
				said.Source, said.Target = parts[0], parts[1]
			}
		} else if err := json.Unmarshal(entry, &said); err != nil {
			c.mistyped("volumes", "a list of texts or objects")
			continue
		}
		switch {
		case said.Type != "volume" && said.Type != "tmpfs" || said.Source != "" && !volumeName.MatchString(said.Source):
			refused = true
		case !mountable(said.Target):
			c.mistyped("volumes", "a list of volumes with absolute paths in the container")
		case said.Type == "tmpfs":
			one.Tmpfs = append(one.Tmpfs, path.Clean(said.Target))
		default:
			one.Volumes = append(one.Volumes, path.Clean(said.Target))
			if other := b.volumes[said.Source]; said.Source != "" && other != "" {
				c.find(Ignored, "volumes", "The volume %s is not shared with %s: each service has storage of its own. Have one of them serve the files.", keepShort(said.Source), keepShort(other))
			}
			b.volumes[said.Source] = one.Name
		}
	}
	if refused {
		c.refuse("volumes", "a folder of the node's or of the workspace is not mounted in a service. Copy what it needs into its image with build; a volume by a name is had")
	}
}

// listening are the ports that a service says it listens on: expose, and what ports lead to.
func listening(said properties) []string {
	found := map[string]bool{}
	for _, property := range []string{"expose", "ports"} {
		var list []any
		_ = json.Unmarshal(said[property], &list) // what is not understood names none
		for _, entry := range list {
			if object, ok := entry.(map[string]any); ok {
				entry = object["target"]
			}
			text := fmt.Sprint(entry)
			text, _, _ = strings.Cut(text[strings.LastIndexByte(text, ':')+1:], "/")
			if portName.MatchString(text) {
				found[text] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// clashes tells of two services that say that they listen on one port: they share one loopback.
func (b *besides) clashes() {
	of := map[string]string{}
	for _, one := range b.found {
		for _, port := range one.Ports {
			if other := of[port]; other != "" {
				c := &checker{source: serviceSource(one.Name)}
				c.find(Ignored, "ports", "%s", Clash(one.Name, other, port))
				b.findings = append(b.findings, c.findings...)
			}
			of[port] = one.Name
		}
	}
}

// Clash says that two services listen on one port.
func Clash(one, other, port string) string {
	return fmt.Sprintf("%s and %s both listen on the port %s, and the services of a task share one loopback, so the second of them cannot start. Have one listen on another port.", keepShort(one), keepShort(other), port)
}
