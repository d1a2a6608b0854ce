package agent

import (
	"path"
	"strings"
)

// What a coding agent or git obeys without being told to: instructions, settings with hooks, servers that are started,
// filters, environments. A pull request could carry any of it, so on a branch that SAM did not make it is the base branch's.
//
// Upper and lower case are one, whatever the file system says: a name too many that is restored does no harm.

// restoredNames are names at any depth, with all below them. A star at the end stands for any rest.
var restoredNames = []string{ //nolint:gochecknoglobals // a table
	".claude", "claude.md", "claude.local.md", ".mcp.json",
	"agents.md", "agents.override.md", "agent.md", ".agents",
	".codex", ".gemini", "gemini.md", ".qwen", "qwen.md", ".opencode*", "opencode.json*", ".copilot", ".cursor", ".cursorrules",
	".devcontainer", ".devcontainer.json",
	".gitattributes",
	".githooks", ".git-hooks", ".husky", ".huskyrc*", ".lefthook*", "lefthook.*", "lefthook-local.*", ".pre-commit-config.yaml", ".overcommit.yml",
	".envrc",
}

// restoredPaths are paths from the repository's root, with all below them: what is read there only.
var restoredPaths = []string{ //nolint:gochecknoglobals // a table
	".gitmodules", ".lfsconfig",
	".github/copilot-instructions.md", ".github/instructions", ".github/agents", ".github/chatmodes", ".github/prompts", ".github/hooks",
	".vscode/mcp.json", ".vscode/settings.json", ".vscode/tasks.json",
}

// restoredAt is how many of the path's components name something that is restored; 0 when nothing does. more are further
// paths from the root, as they are written.
func restoredAt(name string, more map[string]bool) int {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		so := strings.Join(parts[:i+1], "/")
		if _, also := more[so]; also || restoredName(part) {
			return i + 1
		}
		for _, one := range restoredPaths {
			if strings.EqualFold(so, one) {
				return i + 1
			}
		}
	}
	return 0
}

func restoredName(part string) bool {
	part = strings.ToLower(part)
	for _, one := range restoredNames {
		if stem, open := strings.CutSuffix(one, "*"); open && strings.HasPrefix(part, stem) || part == one {
			return true
		}
	}
	return false
}

// linked is where a symbolic link in a repository leads, as a path from the root; ok is false when that is outside.
func linked(link, target string) (to string, ok bool) {
	if target == "" || path.IsAbs(target) || strings.ContainsRune(target, 0) {
		return "", false
	}
	to = path.Join(path.Dir(link), target)
	return to, to != "." && to != ".." && !strings.HasPrefix(to, "../")
}
