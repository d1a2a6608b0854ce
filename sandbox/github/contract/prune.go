package contract

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// areas are the parts of the API that an App of SAM's kind has any business
// with. The rest of the description (codespaces, packages, security alerts, …)
// is left out before it is loaded, which is most of the time that loading
// takes; a request outside these areas is therefore reported as unknown.
func areas() []string {
	return []string{
		"/app", "/installation", "/user", "/users/{username}", "/users/{username}/installation", "/orgs/{org}",
		"/orgs/{org}/installation", "/rate_limit", "/meta",
		"/repos/{owner}/{repo}",
	}
}

// below are the areas of a repository, the word after /repos/{owner}/{repo}/.
func below() []string {
	return []string{
		"branches", "check-runs", "check-suites", "collaborators", "comments", "commits", "compare", "contents",
		"git", "installation", "issues", "labels", "merges", "pulls", "readme", "statuses", "transfer",
	}
}

func wanted(path string) bool {
	if rest, ok := strings.CutPrefix(path, "/repos/{owner}/{repo}/"); ok {
		area, _, _ := strings.Cut(rest, "/")
		return slices.Contains(below(), area)
	}
	return slices.Contains(areas(), path) ||
		strings.HasPrefix(path, "/app/") || strings.HasPrefix(path, "/installation/")
}

// prune keeps of a description the paths that are wanted and the components
// that they lead to, without examples.
func prune(data []byte) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	all, _ := doc["components"].(map[string]any)
	paths, _ := doc["paths"].(map[string]any)
	if len(all) == 0 || len(paths) == 0 {
		return nil, fmt.Errorf("no paths or no components: not GitHub's description")
	}
	for path := range paths {
		if !wanted(path) {
			delete(paths, path)
		}
	}
	kept := map[string]any{}
	follow(paths, all, kept)
	doc["components"] = kept
	return json.Marshal(doc)
}

// follow copies every component that a value refers to from all into kept, and
// what those refer to in turn, dropping examples on the way.
func follow(value any, all, kept map[string]any) {
	switch value := value.(type) {
	case []any:
		for _, one := range value {
			follow(one, all, kept)
		}
	case map[string]any:
		// A schema may have a property named examples: that one is a schema.
		if examples, ok := value["examples"].(map[string]any); ok && examples["type"] == nil {
			delete(value, "examples")
		}
		if ref, ok := value["$ref"].(string); ok {
			keep(ref, all, kept)
		}
		for _, one := range value {
			follow(one, all, kept)
		}
	}
}

// keep copies the component of a reference like #/components/schemas/issue.
func keep(ref string, all, kept map[string]any) {
	name, ok := strings.CutPrefix(ref, "#/components/")
	if !ok {
		return
	}
	kind, name, _ := strings.Cut(name, "/")
	from, _ := all[kind].(map[string]any)
	to, _ := kept[kind].(map[string]any)
	if to == nil {
		to = map[string]any{}
		kept[kind] = to
	}
	if _, done := to[name]; done || from[name] == nil {
		return
	}
	to[name] = from[name]
	follow(from[name], all, kept)
}
