package devcontainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Compose options that would reach beyond the container, and why.
var composeRefusals = map[string]string{
	"privileged": refusals["privileged"], "cap_add": refusals["capAdd"], "security_opt": refusals["securityOpt"],
	"volumes": refusals["mounts"], "volumes_from": refusals["mounts"], "configs": refusals["mounts"], "secrets": refusals["mounts"], "env_file": refusals["mounts"],
	"network_mode": "a container of SAM's has no network but what SAM carries. Do without it",
	"networks":     "a container of SAM's has no network but what SAM carries. Do without it",
	"ports":        refusals["appPort"], "devices": refusals["runArgs"], "pid": refusals["runArgs"], "ipc": refusals["runArgs"], "uts": refusals["runArgs"],
	"userns_mode": refusals["runArgs"], "cgroup": refusals["runArgs"], "cgroup_parent": refusals["runArgs"], "sysctls": refusals["runArgs"],
	"extra_hosts": refusals["runArgs"], "runtime": refusals["runArgs"], "device_cgroup_rules": refusals["runArgs"], "gpus": refusals["runArgs"],
	"extends": "a service is read from the named files alone. Write it out",
}

// Of the named service these are either taken, or asked for by nobody who makes one container: passed over in silence.
var ofTheNamed = []string{
	"image", "build", "environment", "user", "command", "entrypoint", "depends_on", "restart", "init", "tty", "stdin_open", "working_dir",
	"container_name", "hostname", "labels", "expose", "profiles",
}

// FromCompose returns config with the image or the build of its compose service, its environment and its user, and the
// services that run beside it, in the order in which they start. The error is an *UnusableError.
func FromCompose(tree *os.Root, config Config, vars Variables) (Config, []Finding, error) {
	all, here, err := servicesOf(tree, *config.Compose)
	if err != nil {
		return config, nil, err
	}
	service, err := all.said(config.Compose.Service)
	if err != nil {
		return config, nil, err
	}
	c := &checker{source: serviceSource(config.Compose.Service), vars: vars}
	c.composeRefused(service, ofTheNamed, "image, build, environment, user and depends_on")
	beside := &besides{all: all, named: config.Compose.Service, here: here, vars: vars}
	if config.Services, config.Needs, err = beside.of(config.Compose, service); err != nil {
		return config, c.findings, err
	}
	config, err = c.fromNamed(config, service, here)
	return config, append(c.findings, beside.findings...), err
}

func serviceSource(name string) string { return "the compose service " + keepShort(name) }

// composeRefused tells what of a service is left out: what reaches beyond its container, and what is not known.
func (c *checker) composeRefused(service properties, taken []string, words string) {
	for _, name := range slices.Sorted(maps.Keys(service)) {
		if slices.Contains(taken, name) {
			continue
		}
		switch why, refused := composeRefusals[name]; {
		case refused && empty(service[name]):
		case refused:
			c.refuse(name, why)
		default:
			c.find(Ignored, keepShort(name), "%s is ignored: of a compose service SAM takes %s.", keepShort(name), words)
		}
	}
}

// fromNamed takes of the service that is named what the workspace is made from.
func (c *checker) fromNamed(config Config, service properties, here string) (Config, error) {
	var lower Config
	lower.ContainerEnv = c.composeEnvironment(service["environment"])
	lower.ContainerUser = c.user("user", service["user"])
	config = config.Under(lower)
	var err error
	config.Image, config.Build, err = c.composeOrigin(service, here, config.Compose.Service)
	return config, err
}

// composeOrigin is what a service is made from: an image, or a build.
func (c *checker) composeOrigin(service properties, here, name string) (image string, build *Build, err error) {
	raw, ok := service["build"]
	if !ok {
		image, ok = c.text("image", service["image"])
		if !ok || image == "" {
			return "", nil, failedWhole("service", "The compose service %s has neither image nor build. Add one of them.", keepShort(name))
		}
		return image, nil, CheckImage(image)
	}
	var at string
	said := properties{"dockerfile": json.RawMessage(`"Dockerfile"`)}
	if json.Unmarshal(raw, &at) == nil {
		said["context"] = raw
	} else if err := json.Unmarshal(raw, &said); err != nil {
		return "", nil, failedWhole("build", "The compose service's build is not understood. Mend it.")
	}
	if list := c.composeEnvironment(said["args"]); list != nil {
		if said["args"], err = json.Marshal(list); err != nil {
			return "", nil, failedWhole("build", "The compose service's build arguments are not understood. Mend them.")
		}
	}
	build, err = c.composeBuild(said, here)
	return "", build, err
}

// maxListed is how many names a sentence holds.
const maxListed = 10

// Listed joins names, and counts those beyond the tenth.
func Listed(names []string) string {
	if more := len(names) - maxListed; more > 0 {
		return strings.Join(names[:maxListed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// composeBuild reads a build whose Dockerfile is named from its context, as compose does.
func (c *checker) composeBuild(said properties, here string) (*Build, error) {
	folder := "."
	if text, ok := c.text("build.context", said["context"]); ok {
		folder = text
	}
	at, err := within(here, folder, "build.context")
	if err != nil {
		return nil, err
	}
	said["context"] = json.RawMessage(`"."`)
	return c.buildOf(said, at, "build")
}

// composed are services as the files say them, by name.
type composed map[string]map[string]any

// servicesOf reads the services out of the files, of which a later one's word counts before an earlier one's. here is the folder
// that their paths begin in.
func servicesOf(tree *os.Root, compose Compose) (all composed, here string, err error) {
	all = composed{}
	for _, name := range compose.Files {
		data, err := readFile(tree, name, maxFile)
		if err != nil {
			if escapes(err) {
				return nil, "", outside("dockerComposeFile", name)
			}
			return nil, "", failedWhole("dockerComposeFile", "%s cannot be read: %s. Mend the path.", keepShort(name), plain(err))
		}
		var said struct {
			Services composed `yaml:"services"`
		}
		if strings.Contains(string(data), "*") && aliases.Match(data) { // a few lines of them can be gigabytes
			return nil, "", failedWhole("dockerComposeFile", "%s uses YAML aliases, which are not read. Write out what they stand for.", keepShort(name))
		}
		if err := yaml.Unmarshal(data, &said); err != nil {
			return nil, "", failedWhole("dockerComposeFile", "%s is broken: %s. Mend the file.", keepShort(name), yaml.FormatError(err, false, false))
		}
		for service, values := range said.Services {
			if all[service] == nil {
				all[service] = map[string]any{}
			}
			maps.Copy(all[service], values)
		}
	}
	return all, path.Dir(compose.Files[0]), nil
}

// said is what a service says, with the defaults of the variables that it asks for.
func (all composed) said(name string) (properties, error) {
	values := all[name]
	if len(values) == 0 {
		return nil, failedWhole("service", "No compose file has the service %s. Mend its name.", keepShort(name))
	}
	service := properties{}
	if err := interpolated(values, service); err != nil {
		return nil, failedWhole("dockerComposeFile", "The compose service %s: %s. Write the value out.", keepShort(name), err)
	}
	return service, nil
}

var (
	aliases       = regexp.MustCompile(`(?m)(^|[\s\[{,:-])\*[A-Za-z0-9_-]+|<<\s*:`)
	interpolation = regexp.MustCompile(`\$(\$|\{[A-Za-z_][A-Za-z0-9_]*:?-([^{}$]*)\}|\{[^}]*\}?|[A-Za-z_][A-Za-z0-9_]*)`)
)

// interpolated adds values to a service as JSON. A variable of the node's environment has its default, or is an error: SAM has
// none to give.
func interpolated(values map[string]any, service properties) error {
	for name, value := range values {
		data, err := json.Marshal(value)
		if err != nil {
			return errors.New(name + " is not understood")
		}
		var missing string
		service[name] = interpolation.ReplaceAllFunc(data, func(whole []byte) []byte {
			parts := interpolation.FindSubmatch(whole)
			switch {
			case string(whole) == "$$":
				return []byte("$")
			case strings.Contains(string(whole), "-") && whole[1] == '{':
				return parts[2]
			}
			missing = string(whole)
			return nil
		})
		if _, refused := composeRefusals[name]; missing != "" && !refused {
			return errors.New(name + " asks for " + keepShort(missing) + " of the node's environment")
		}
	}
	return nil
}

// composeEnvironment is an object, or a list of NAME=VALUE.
func (c *checker) composeEnvironment(raw json.RawMessage) map[string]string {
	if raw == nil || string(raw) == "null" {
		return nil
	}
	var list []string
	object := map[string]any{}
	if json.Unmarshal(raw, &list) == nil {
		for _, pair := range list {
			if name, value, ok := strings.Cut(pair, "="); ok {
				object[name] = value
			}
		}
	} else if err := json.Unmarshal(raw, &object); err != nil {
		c.mistyped("environment", "an object, or a list of NAME=VALUE")
		return nil
	}
	found := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		value, err := json.Marshal(object[name])
		if object[name] == nil || err != nil || !variableName.MatchString(name) {
			continue // a name alone asks for the node's own
		}
		if text, ok := object[name].(string); ok {
			found[name] = text
		} else {
			found[name] = string(value)
		}
	}
	return found
}
