package devcontainer

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Bounds of what a configuration may say.
const (
	maxVariables = 200
	maxValue     = 32 << 10 // bytes of a variable's value, or of a command
	maxFeatures  = 30
	maxPrograms  = 50
)

// Refusals: what a property would do, by its name. Each is refused wherever it stands.
var refusals = map[string]string{
	"initializeCommand": "it would run on the node itself, outside of every container. Move what it does to onCreateCommand",
	"mounts":            "a mount could show the node's own files to the container. Put what is needed into the image or the repository",
	"workspaceMount":    "SAM mounts the working tree itself, and nothing else. workspaceFolder says where",
	"runArgs":           "its options can take the container's isolation away. Use image, build, containerEnv and the lifecycle commands",
	"privileged":        "a privileged container is none: it could do to the node what it likes. Do without it",
	"capAdd":            "a container of SAM's gets no capabilities by a repository's word. Do without them, or ask the operator about sudo on the node",
	"securityOpt":       "its options take away what keeps the container in. Do without them",
	"appPort":           "no port of the node is opened for a container. forwardPorts may say which ports a program listens on",
	"build.options":     "its options reach the engine unchecked, the host's network among them. Use build.args and build.target",
	"build.cacheFrom":   "an image that another place names is not a cache to be trusted. SAM keeps a cache for each repository itself",
	"entrypoint":        "the container's first process is SAM's own. Start what is needed in postStartCommand",
}

// Properties that need no word: what they ask for is so already, or is an editor's affair.
var silent = []string{
	"$schema", "name", "customizations", "extensions", "settings", "portsAttributes", "otherPortsAttributes", "shutdownAction", "waitFor",
	"userEnvProbe", "updateRemoteUserUID", "overrideCommand", "init", "hostRequirements", "secrets", "runServices",
	"overrideFeatureInstallOrder", "id", "version", "description", "documentationURL", "licenseURL", "keywords", "options",
	"installsAfter", "dependsOn", "deprecated", "legacyIds", "service", "context", "devPort",
}

// checker reads one source's properties, and gathers what it finds.
type checker struct {
	source   string // empty for devcontainer.json
	vars     Variables
	findings []Finding
}

func (c *checker) find(code Code, property, format string, args ...any) {
	if c.source != "" {
		property += " (" + c.source + ")"
	}
	c.findings = append(c.findings, Finding{code, property, fmt.Sprintf(format, args...)})
}

func (c *checker) refuse(property, why string) {
	c.find(Refused, property, "%s is refused and left out: %s.", property, why)
}

// mistyped says that a property's value is not of the kind that it must be.
func (c *checker) mistyped(property, kind string) {
	c.find(Ignored, property, "%s is left out: it is to be %s. Mend it.", property, kind)
}

// Check reads the configuration at a path of the tree and says what of it is honoured. The error is an *UnusableError.
func Check(tree *os.Root, name string, vars Variables) (Config, []Finding, error) {
	said, err := load(tree, name)
	if err != nil {
		return Config{}, nil, err
	}
	c := &checker{vars: vars}
	config := Config{Path: name, Folder: c.folder(said["workspaceFolder"])}
	if config.Folder != "" {
		c.vars.Folder = config.Folder
	}
	c.common(said, &config)
	config.Features = c.features(said["features"], said["overrideFeatureInstallOrder"])
	err = c.origin(said, name, &config)
	return config, c.findings, err
}

// common reads what may stand in every source.
func (c *checker) common(said properties, config *Config) {
	config.RemoteUser = c.user("remoteUser", said["remoteUser"])
	config.ContainerUser = c.user("containerUser", said["containerUser"])
	config.ContainerEnv = c.environment("containerEnv", said["containerEnv"])
	config.RemoteEnv = c.environment("remoteEnv", said["remoteEnv"])
	config.Ports = c.ports(said["forwardPorts"])
	config.Hooks = Hooks{}
	for _, stage := range Stages() {
		if hook, ok := c.hook(string(stage), said[string(stage)]); ok {
			config.Hooks[stage] = []Hook{hook}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		c.other(name, said[name])
	}
}

var honoured = []string{
	"image", "build", "dockerFile", "dockerComposeFile", "remoteUser", "containerUser", "containerEnv", "remoteEnv", "workspaceFolder",
	"forwardPorts", "features", string(OnCreate), string(UpdateContent), string(PostCreate), string(PostStart), string(PostAttach),
}

// other refuses or ignores what is not honoured.
func (c *checker) other(name string, value json.RawMessage) {
	if slices.Contains(honoured, name) || slices.Contains(silent, name) {
		return
	}
	why, known := refusals[name]
	switch {
	case known && empty(value):
	case known:
		c.refuse(name, why)
	default:
		c.find(Ignored, keepShort(name), "%s is not known and ignored. Remove it, or look for how it is spelled.", keepShort(name))
	}
}

// empty reports whether a refused property asks for nothing.
func empty(value json.RawMessage) bool {
	return slices.Contains([]string{"null", "false", "[]", "{}", `""`}, string(value))
}

func keepShort(name string) string {
	if len(name) > 80 {
		return strings.ToValidUTF8(name[:80], "") + "…"
	}
	return name
}

var userName = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}\$?$`)

func (c *checker) user(property string, raw json.RawMessage) string {
	name, ok := c.text(property, raw)
	if !ok || name == "" {
		return ""
	}
	if !userName.MatchString(name) {
		c.mistyped(property, "the name or number of a user")
		return ""
	}
	return name
}

// text reads a string and expands it. One that asks for the node's own variables is refused.
func (c *checker) text(property string, raw json.RawMessage) (text string, ok bool) {
	if raw == nil || string(raw) == "null" {
		return "", false
	}
	if err := json.Unmarshal(raw, &text); err != nil || len(text) > maxValue || strings.ContainsRune(text, 0) {
		c.mistyped(property, "a text")
		return "", false
	}
	return c.expanded(property, text)
}

func (c *checker) expanded(property, text string) (string, bool) {
	expanded, forbidden := c.vars.expand(text)
	if forbidden != "" {
		c.refuse(property, fmt.Sprintf("%s asks for what is the node's own. Write the value, or use ${containerEnv:…} in remoteEnv", forbidden))
		return "", false
	}
	return expanded, true
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)

func (c *checker) environment(property string, raw json.RawMessage) map[string]string {
	if raw == nil || string(raw) == "null" {
		return nil
	}
	var said map[string]json.RawMessage
	if err := json.Unmarshal(raw, &said); err != nil || len(said) > maxVariables {
		c.mistyped(property, fmt.Sprintf("an object of at most %d texts", maxVariables))
		return nil
	}
	found := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		if !variableName.MatchString(name) {
			c.mistyped(property+"."+keepShort(name), "named with letters, digits and underscores")
			continue
		}
		if strings.HasPrefix(name, "GIT_") {
			c.refuse(property+"."+name, "git's own variables are SAM's to set: with another, what the agent did could not be found. Configure git in a lifecycle command")
			continue
		}
		if value, ok := c.text(property+"."+name, said[name]); ok {
			found[name] = value
		}
	}
	return found
}

// ports are numbers, or a host and a number; they are shown to people and opened nowhere.
func (c *checker) ports(raw json.RawMessage) []string {
	if raw == nil || string(raw) == "null" {
		return nil
	}
	var said []json.RawMessage
	if err := json.Unmarshal(raw, &said); err != nil || len(said) > maxVariables {
		c.mistyped("forwardPorts", "a list of ports")
		return nil
	}
	var found []string
	for _, one := range said {
		if port := strings.Trim(string(one), `"`); portName.MatchString(port) {
			found = append(found, port)
		} else {
			c.mistyped("forwardPorts", "a list of ports")
		}
	}
	return found
}

var portName = regexp.MustCompile(`^([A-Za-z0-9_.-]{1,253}:)?[0-9]{1,5}$`)

// Where a tree may not be mounted, for it would hide what a container needs.
var taken = []string{"/bin", "/boot", "/dev", "/etc", "/home/sam", "/lib", "/lib32", "/lib64", "/opt/sam", "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var/run"}

func (c *checker) folder(raw json.RawMessage) string {
	said, ok := c.text("workspaceFolder", raw)
	if !ok || said == "" {
		return ""
	}
	within := func(dir string) bool { return said == dir || strings.HasPrefix(said, dir+"/") }
	switch {
	case !path.IsAbs(said) || path.Clean(said) != strings.TrimSuffix(said, "/") || strings.ContainsAny(said, ":,${}\n") || len(said) > 512:
		c.mistyped("workspaceFolder", "an absolute path without variables of the node's")
		return ""
	case slices.ContainsFunc(taken, within) || strings.Count(path.Clean(said), "/") == 1 && slices.Contains([]string{"/home", "/root", "/opt", "/var", "/srv", "/mnt"}, said):
		c.refuse("workspaceFolder", "the working tree there would hide what the container needs. Choose a folder below /workspaces")
		return ""
	}
	return path.Clean(said)
}
