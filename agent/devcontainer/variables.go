package devcontainer

import (
	"regexp"
	"strings"
)

// Variables are what a configuration may ask for by ${…}.
type Variables struct {
	ID     string // of the environment: devcontainerId
	Name   string // of the repository's folder, which is the repository's: localWorkspaceFolderBasename
	Folder string // where the tree is in the container: containerWorkspaceFolder
}

var variable = regexp.MustCompile(`\$\{([A-Za-z]+)(:[^}]*)?\}`)

// expand replaces what may be asked for. It returns the names of variables that may not: those of the node's. containerEnv
// stays as it is, for the container's environment is not known yet.
func (v Variables) expand(text string) (expanded, forbidden string) {
	expanded = variable.ReplaceAllStringFunc(text, func(whole string) string {
		name := variable.FindStringSubmatch(whole)[1]
		switch name {
		case "devcontainerId":
			return v.ID
		case "localWorkspaceFolderBasename":
			return v.Name
		case "containerWorkspaceFolder":
			return v.Folder
		case "containerWorkspaceFolderBasename":
			return v.Folder[strings.LastIndexByte(v.Folder, '/')+1:]
		case "localEnv", "env", "localWorkspaceFolder":
			if forbidden == "" {
				forbidden = whole
			}
		}
		return whole // a shell's own, mostly
	})
	return expanded, forbidden
}

// Resolve replaces ${containerEnv:NAME} and ${containerEnv:NAME:default} in a value of remoteEnv.
func Resolve(value string, environment map[string]string) string {
	return variable.ReplaceAllStringFunc(value, func(whole string) string {
		parts := variable.FindStringSubmatch(whole)
		if parts[1] != "containerEnv" {
			return whole
		}
		name, fallback, _ := strings.Cut(strings.TrimPrefix(parts[2], ":"), ":")
		if found, ok := environment[name]; ok {
			return found
		}
		return fallback
	})
}
