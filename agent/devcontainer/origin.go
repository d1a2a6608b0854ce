package devcontainer

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// origin reads what the container is made from: an image, a Dockerfile, or a service of compose files.
func (c *checker) origin(said properties, name string, config *Config) error {
	here := path.Dir(name)
	switch {
	case said["dockerComposeFile"] != nil:
		return c.compose(said, here, config)
	case said["build"] != nil || said["dockerFile"] != nil:
		build, err := c.build(said, here)
		config.Build = build
		return err
	}
	image, ok := c.text("image", said["image"])
	if !ok || image == "" {
		return failedWhole("image", "%s says neither image nor build nor dockerComposeFile: there is nothing to make a container from. Add one of them.", name)
	}
	config.Image = image
	return CheckImage(image)
}

// build reads build, and its older form, in which what belongs to it stands beside it.
func (c *checker) build(said properties, here string) (*Build, error) {
	inner := properties{"dockerfile": said["dockerFile"], "context": said["context"]}
	if said["build"] != nil {
		var object properties
		if err := json.Unmarshal(said["build"], &object); err != nil {
			return nil, failedWhole("build", "build is to be an object with a dockerfile. Mend it.")
		}
		maps.Copy(inner, object)
	}
	return c.buildOf(inner, here, "build")
}

// buildOf reads the properties of a build, relative to a folder of the tree.
func (c *checker) buildOf(said properties, here, property string) (*Build, error) {
	for _, name := range slices.Sorted(maps.Keys(said)) {
		switch name {
		case "dockerfile", "dockerFile", "context", "args", "target":
		default:
			if why, known := refusals[property+"."+name]; !known {
				c.find(Ignored, property+"."+keepShort(name), "%s.%s is not known and ignored. Remove it.", property, keepShort(name))
			} else if !empty(said[name]) {
				c.refuse(property+"."+name, why)
			}
		}
	}
	if said["dockerfile"] == nil {
		said["dockerfile"] = said["dockerFile"]
	}
	dockerfile, ok := c.text(property+".dockerfile", said["dockerfile"])
	if !ok || dockerfile == "" {
		return nil, failedWhole(property+".dockerfile", "%s names no dockerfile. Add it.", property)
	}
	folder, ok := c.text(property+".context", said["context"])
	if !ok {
		folder = "."
	}
	build := &Build{Args: c.environment(property+".args", said["args"])}
	build.Target, _ = c.text(property+".target", said["target"])
	var err error
	if build.Dockerfile, err = within(here, dockerfile, property+".dockerfile"); err != nil {
		return nil, err
	}
	build.Context, err = within(here, folder, property+".context")
	return build, err
}

// within joins a path of the configuration's to the folder that it stands in. One that leads out of the tree is refused;
// links are found when they are opened.
func within(here, said, property string) (string, error) {
	joined := path.Join(here, said)
	if path.IsAbs(said) || joined == ".." || strings.HasPrefix(joined, "../") {
		return "", outside(property, said)
	}
	return joined, nil
}

func outside(property, said string) error {
	return refusedWhole(property, "%s is refused: %q leads out of the repository, where the node's own files are. Name a path within the repository, links followed.", property, keepShort(said))
}

// ExistsWithin says whether the build's files are in the tree, with links followed. The error is an *UnusableError.
func (b Build) ExistsWithin(tree *os.Root) error {
	for _, one := range []struct {
		property, name string
		dir            bool
	}{{"build.context", b.Context, true}, {"build.dockerfile", b.Dockerfile, false}} {
		info, err := tree.Stat(one.name)
		switch {
		case err != nil && escapes(err):
			return outside(one.property, one.name)
		case err != nil:
			return failedWhole(one.property, "%s is %s, which cannot be opened: %s. Mend the path.", one.property, keepShort(one.name), plain(err))
		case info.IsDir() != one.dir || !one.dir && !info.Mode().IsRegular():
			return failedWhole(one.property, "%s is %s, which is not what it must be: a context is a folder, a Dockerfile a file. Mend the path.", one.property, keepShort(one.name))
		}
	}
	return nil
}

// escapes reports whether an os.Root refused a path because it leads out. The standard library has no name for it.
func escapes(err error) bool { return strings.Contains(err.Error(), "path escapes from parent") }

func (c *checker) compose(said properties, here string, config *Config) error {
	var files []string
	var one string
	if json.Unmarshal(said["dockerComposeFile"], &one) == nil {
		files = []string{one}
	} else if err := json.Unmarshal(said["dockerComposeFile"], &files); err != nil {
		return failedWhole("dockerComposeFile", "dockerComposeFile is to be a path or a list of paths. Mend it.")
	}
	service, ok := c.text("service", said["service"])
	if !ok || service == "" || len(files) == 0 || len(files) > 10 {
		return failedWhole("service", "dockerComposeFile needs one to ten files and the service that the agent is to work in. Add them.")
	}
	compose := &Compose{Service: service}
	if raw := said["runServices"]; raw != nil && string(raw) != "null" {
		compose.Run = []string{}
		if err := json.Unmarshal(raw, &compose.Run); err != nil {
			c.mistyped("runServices", "a list of services of the compose files")
			compose.Run = nil
		}
	}
	for _, file := range files {
		expanded, ok := c.expanded("dockerComposeFile", file)
		if !ok {
			return failedWhole("dockerComposeFile", "dockerComposeFile cannot be used without what was refused of it. Write the path out.")
		}
		name, err := within(here, expanded, "dockerComposeFile")
		if err != nil {
			return err
		}
		compose.Files = append(compose.Files, name)
	}
	config.Compose = compose
	return nil
}

// hook reads a lifecycle command: a text for a shell, a list of arguments, or an object of these, which run at once.
func (c *checker) hook(property string, raw json.RawMessage) (Hook, bool) {
	if raw == nil || empty(raw) {
		return Hook{}, false
	}
	source := or(c.source, "devcontainer.json")
	if raw[0] != '{' {
		program, ok := c.program(property, raw)
		return Hook{source, []Program{program}}, ok
	}
	var named map[string]json.RawMessage
	if err := json.Unmarshal(raw, &named); err != nil || len(named) > maxPrograms {
		c.mistyped(property, fmt.Sprintf("an object of at most %d commands", maxPrograms))
		return Hook{}, false
	}
	hook := Hook{Source: source}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if program, ok := c.program(property+"."+keepShort(name), named[name]); ok {
			program.Name = keepShort(name)
			hook.Programs = append(hook.Programs, program)
		}
	}
	return hook, len(hook.Programs) > 0
}

func (c *checker) program(property string, raw json.RawMessage) (Program, bool) {
	var args []string
	if json.Unmarshal(raw, &args) != nil {
		line, ok := c.text(property, raw)
		return Program{Args: []string{"/bin/sh", "-c", line}}, ok
	}
	length := 0
	for i, one := range args {
		expanded, ok := c.expanded(property, one)
		if !ok {
			return Program{}, false
		}
		args[i] = expanded
		length += len(expanded)
	}
	if len(args) == 0 || args[0] == "" || length > maxValue || strings.ContainsRune(strings.Join(args, ""), 0) {
		c.mistyped(property, "a command: a text, or a list of a program and its arguments")
		return Program{}, false
	}
	return Program{Args: args}, true
}
