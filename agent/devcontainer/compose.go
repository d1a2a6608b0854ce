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

// FromCompose returns config with the image or the build of its compose service, its environment and its user, and nothing
// else of it: SAM makes the one container itself. Other services are not started. The error is an *UnusableError.
func FromCompose(tree *os.Root, config Config, vars Variables) (Config, []Finding, error) {
	service, here, others, err := serviceOf(tree, *config.Compose)
	if err != nil {
		return config, nil, err
	}
	c := &checker{source: "the compose service " + keepShort(config.Compose.Service), vars: vars}
	for _, name := range slices.Sorted(maps.Keys(service)) {
		switch why, refused := composeRefusals[name]; {
		case refused:
			c.refuse(name, why)
		case !slices.Contains([]string{"image", "build", "environment", "user", "command", "entrypoint", "depends_on", "restart", "init", "tty", "stdin_open", "working_dir", "container_name", "hostname", "labels"}, name):
			c.find(Ignored, keepShort(name), "%s is ignored: of a compose service SAM takes image, build, environment and user.", keepShort(name))
		}
	}
	c.unstarted(others, service["depends_on"])
	var lower Config
	lower.ContainerEnv = c.composeEnvironment(service["environment"])
	lower.ContainerUser = c.user("user", service["user"])
	config = config.Under(lower)
	if raw, ok := service["build"]; ok {
		var at string
		said := properties{"dockerfile": json.RawMessage(`"Dockerfile"`)}
		if json.Unmarshal(raw, &at) == nil {
			said["context"] = raw
		} else if err := json.Unmarshal(raw, &said); err != nil {
			return config, c.findings, failedWhole("build", "The compose service's build is not understood. Mend it.")
		}
		if list := c.composeEnvironment(said["args"]); list != nil {
			if said["args"], err = json.Marshal(list); err != nil {
				return config, c.findings, failedWhole("build", "The compose service's build arguments are not understood. Mend them.")
			}
		}
		config.Build, err = c.composeBuild(said, here)
		return config, c.findings, err
	}
	image, ok := c.text("image", service["image"])
	if !ok || image == "" {
		return config, c.findings, failedWhole("service", "The compose service %s has neither image nor build. Add one of them.", keepShort(config.Compose.Service))
	}
	config.Image = image
	return config, c.findings, CheckImage(image)
}

// unstarted says which services do not run, and of which of them the service says that it needs them.
func (c *checker) unstarted(others map[string]string, raw json.RawMessage) {
	if len(others) == 0 {
		return
	}
	var all, needed []string
	for _, name := range slices.Sorted(maps.Keys(others)) {
		all = append(all, keepShort(name))
		if image := others[name]; image != "" {
			all[len(all)-1] += " (" + keepShort(image) + ")"
		}
	}
	wants := map[string]any{}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		for _, name := range list {
			wants[name] = nil
		}
	} else {
		_ = json.Unmarshal(raw, &wants) // what is neither names nothing
	}
	for _, name := range slices.Sorted(maps.Keys(wants)) {
		if _, ok := others[name]; ok {
			needed = append(needed, keepShort(name))
		}
	}
	text := "Not started: " + listed(all) + ". SAM makes one container for a task, which has no network to another one."
	if len(needed) > 0 {
		text += " The service says that it depends on " + listed(needed) + ", so what asks for that by its name will fail."
	}
	c.find(Refused, "dockerComposeFile", "%s Install what the tests need in the image, start it in postStartCommand, and reach it at localhost.", text)
}

// maxListed is how many names a sentence holds.
const maxListed = 10

func listed(names []string) string {
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

// serviceOf reads the service out of the files, of which a later one counts before an earlier one. others are those that
// compose would start beside it, each with its image as it is written, empty where it is built.
func serviceOf(tree *os.Root, compose Compose) (service properties, here string, others map[string]string, err error) {
	service, others = properties{}, map[string]string{}
	for _, name := range compose.Files {
		data, err := readFile(tree, name, maxFile)
		if err != nil {
			if escapes(err) {
				return nil, "", nil, outside("dockerComposeFile", name)
			}
			return nil, "", nil, failedWhole("dockerComposeFile", "%s cannot be read: %s. Mend the path.", keepShort(name), plain(err))
		}
		var said struct {
			Services map[string]map[string]any `yaml:"services"`
		}
		if strings.Contains(string(data), "*") && aliases.Match(data) { // a few lines of them can be gigabytes
			return nil, "", nil, failedWhole("dockerComposeFile", "%s uses YAML aliases, which are not read. Write out what they stand for.", keepShort(name))
		}
		if err := yaml.Unmarshal(data, &said); err != nil {
			return nil, "", nil, failedWhole("dockerComposeFile", "%s is broken: %s. Mend the file.", keepShort(name), yaml.FormatError(err, false, false))
		}
		for other, values := range said.Services {
			if other != compose.Service {
				if profiles, ok := values["profiles"].([]any); ok && len(profiles) > 0 {
					continue // started by those who ask for it
				}
				if image, ok := values["image"].(string); ok || others[other] == "" {
					others[other] = image
				}
				continue
			}
			if err := interpolated(values, service); err != nil {
				return nil, "", nil, failedWhole("dockerComposeFile", "%s of the service %s: %s. Write the value out.", keepShort(name), keepShort(other), err)
			}
		}
	}
	if len(service) == 0 {
		return nil, "", nil, failedWhole("service", "No compose file has the service %s. Mend its name.", keepShort(compose.Service))
	}
	return service, path.Dir(compose.Files[0]), others, nil
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
