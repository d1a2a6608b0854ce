package devcontainer

import (
	"encoding/json"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxServices bounds how many services run beside a workspace, which they share the memory of.
const maxServices = 8

// Service is a service of compose files that runs beside the workspace, in a container of its own and in the workspace's network,
// which is its loopback.
type Service struct {
	Name  string
	Names []string // host names under which it is reached: its own, container_name and hostname

	// Exactly one is set.
	Image string
	Build *Build

	User                string // a name or a number, with a group or without; empty: as the image says
	Env                 map[string]string
	Entrypoint, Command []string // nil: the image's
	Folder              string   // working_dir, absolute; empty: the image's
	Health              *Health  // nil: the image's
	Tmpfs               []string // paths
	Volumes             []string // paths: storage of its own, that goes with it
	Ports               []string // that it says it listens on, as numbers
	Needs               map[string]Condition
}

// Condition is what of a service is waited for before another one starts.
type Condition string

// The conditions of depends_on.
const (
	Started   Condition = "service_started"
	Healthy   Condition = "service_healthy"
	Completed Condition = "service_completed_successfully"
)

// Of another service these are taken, or passed over in silence: restart, for one that ends is told and stays so.
var ofAnother = []string{
	"image", "build", "environment", "user", "command", "entrypoint", "depends_on", "working_dir", "healthcheck", "tmpfs", "volumes", "expose",
	"container_name", "hostname", "restart", "init", "tty", "stdin_open", "labels", "profiles", "logging", "stop_signal", "stop_grace_period", "pull_policy",
}

// besides finds the services that run beside the named one.
type besides struct {
	all      composed
	named    string
	here     string
	vars     Variables
	findings []Finding

	found   []Service
	state   map[string]int // of those that are looked at: under way, done
	volumes map[string]string
}

// of returns the services that run, those that others need first, and what the named one needs of them. As the specification has
// it these are runServices, without it all, and with either what those and the named one need.
func (b *besides) of(compose *Compose, service properties) ([]Service, map[string]Condition, error) {
	b.state, b.volumes = map[string]int{b.named: looked}, map[string]string{}
	c := &checker{source: serviceSource(b.named), vars: b.vars}
	needs := b.needs(c, service["depends_on"])
	b.findings = append(b.findings, c.findings...)
	wanted := slices.Sorted(maps.Keys(needs))
	if compose.Run != nil {
		wanted = append(wanted, compose.Run...)
	} else {
		for _, name := range slices.Sorted(maps.Keys(b.all)) {
			if profiles, ok := b.all[name]["profiles"].([]any); !ok || len(profiles) == 0 { // else it is for those who ask for it
				wanted = append(wanted, name)
			}
		}
	}
	for _, name := range wanted {
		if err := b.add(name); err != nil {
			return nil, nil, err
		}
	}
	b.clashes()
	return b.found, needs, nil
}

const (
	looking = 1
	looked  = 2
)

// add finds a service, after those that it needs.
func (b *besides) add(name string) error {
	switch b.state[name] {
	case looking:
		return failedWhole("depends_on", "The compose service %s depends on itself, by way of what it depends on. Take one of these out.", keepShort(name))
	case looked:
		return nil
	}
	b.state[name] = looking
	said, err := b.all.said(name)
	if err != nil {
		return err
	}
	c := &checker{source: serviceSource(name), vars: b.vars}
	one, err := b.service(c, name, said)
	b.findings = append(b.findings, c.findings...)
	if err != nil {
		return err
	}
	for _, need := range slices.Sorted(maps.Keys(one.Needs)) {
		if err := b.add(need); err != nil {
			return err
		}
	}
	b.state[name] = looked
	if b.found = append(b.found, one); len(b.found) > maxServices {
		return failedWhole("dockerComposeFile", "The compose files have more than %d services beside %s, and no more are started. Name those that are needed in runServices.", maxServices, keepShort(b.named))
	}
	return nil
}

func (b *besides) service(c *checker, name string, said properties) (Service, error) {
	one := Service{Name: name, Names: hostNames(c, name, said)}
	if !hostName.MatchString(name) {
		return one, failedWhole("dockerComposeFile", "A compose service is named %q: its name is to be letters, digits, dots, dashes and underscores. Mend it.", keepShort(name))
	}
	c.composeRefused(said, ofAnother, "image, build, environment, user, command, entrypoint, depends_on, healthcheck, working_dir, tmpfs and named volumes")
	one.Env = c.composeEnvironment(said["environment"])
	one.User = c.serviceUser(said["user"])
	one.Command, one.Entrypoint = c.commandLine("command", said["command"]), c.commandLine("entrypoint", said["entrypoint"])
	if folder, ok := c.text("working_dir", said["working_dir"]); ok && path.IsAbs(folder) {
		one.Folder = path.Clean(folder)
	}
	one.Health = c.health(said["healthcheck"])
	one.Tmpfs = c.tmpfs(said["tmpfs"])
	b.storage(c, &one, said["volumes"])
	one.Ports = listening(said)
	one.Needs = b.needs(c, said["depends_on"])
	var err error
	one.Image, one.Build, err = c.composeOrigin(said, b.here, name)
	return one, err
}

// needs reads depends_on: a list of names, or an object of them with conditions. The named service runs already when another one
// starts, so what is needed of it is left out.
func (b *besides) needs(c *checker, raw json.RawMessage) map[string]Condition {
	if raw == nil || string(raw) == "null" {
		return nil
	}
	needs := map[string]Condition{}
	var list []string
	var object map[string]struct {
		Condition Condition `json:"condition"`
	}
	if json.Unmarshal(raw, &list) == nil {
		for _, name := range list {
			needs[name] = Started
		}
	} else if err := json.Unmarshal(raw, &object); err != nil {
		c.mistyped("depends_on", "a list of services, or an object of them")
		return nil
	}
	for name, one := range object {
		needs[name] = one.Condition
		if one.Condition != Healthy && one.Condition != Completed {
			needs[name] = Started
		}
	}
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		if name != b.named && b.all[name] != nil {
			continue
		}
		delete(needs, name)
		if name != b.named {
			c.find(Ignored, "depends_on", "%s, which it depends on, is in no compose file. Mend the name.", keepShort(name))
		}
	}
	return needs
}

var (
	hostName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)
	serviceUser = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63})?$`)
)

// hostNames are the names under which others reach a service.
func hostNames(c *checker, name string, said properties) []string {
	names := []string{name}
	for _, property := range []string{"container_name", "hostname"} {
		if other, ok := c.text(property, said[property]); ok && hostName.MatchString(other) && other != "localhost" && !slices.Contains(names, other) {
			names = append(names, other)
		}
	}
	return names
}

func (c *checker) serviceUser(raw json.RawMessage) string {
	var number json.Number
	name := ""
	if json.Unmarshal(raw, &number) == nil {
		name = strings.Trim(number.String(), `"`)
	} else if text, ok := c.text("user", raw); ok {
		name = text
	}
	if name != "" && !serviceUser.MatchString(name) {
		c.mistyped("user", "the name or number of a user, and of a group after a colon")
		return ""
	}
	return name
}
