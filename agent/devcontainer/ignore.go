package devcontainer

import (
	"os"
	"path"
	"regexp"
	"strings"
)

// ignore are a .dockerignore's patterns: the last that matches a path, or a folder that it is in, decides.
type ignore struct {
	rules []rule
	again bool // some rule takes paths in again, so folders that are left out must be looked into
}

type rule struct {
	match *regexp.Regexp
	again bool
}

// ignored is of a path in a context, with slashes.
func (i ignore) ignored(name string) bool {
	out := false
	for _, one := range i.rules {
		if out != one.again { // it could only say what is so already
			continue
		}
		for at := name; at != "."; at = path.Dir(at) {
			if one.match.MatchString(at) {
				out = !one.again
				break
			}
		}
	}
	return out
}

// readIgnore reads a context's .dockerignore; one that is not there ignores nothing.
func readIgnore(folder *os.Root) (ignore, error) {
	var found ignore
	data, err := readFile(folder, ".dockerignore", maxFile)
	if os.IsNotExist(err) {
		return found, nil
	}
	if err != nil {
		return found, failedWhole("build.context", ".dockerignore cannot be read: %s. Mend the file.", plain(err))
	}
	for line := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		line, again := strings.CutPrefix(line, "!")
		line = strings.TrimPrefix(path.Clean(strings.TrimSpace(line)), "/")
		if line == "." || line == "" {
			continue
		}
		match, err := regexp.Compile(patternOf(line))
		if err != nil {
			return found, failedWhole("build.context", ".dockerignore has a pattern that is not understood: %q. Mend it.", keepShort(line))
		}
		found.rules = append(found.rules, rule{match, again})
		found.again = found.again || again
	}
	return found, nil
}

// patternOf is a pattern as an expression: * and ? stay within a name, ** does not.
func patternOf(pattern string) string {
	var to strings.Builder
	to.WriteString("^")
	for i := 0; i < len(pattern); i++ {
		rest := pattern[i:]
		switch {
		case strings.HasPrefix(rest, "**/"):
			to.WriteString("(.*/)?")
			i += 2
		case strings.HasPrefix(rest, "**"):
			to.WriteString(".*")
			i++
		case rest[0] == '*':
			to.WriteString("[^/]*")
		case rest[0] == '?':
			to.WriteString("[^/]")
		case rest[0] == '[' || rest[0] == ']':
			to.WriteByte(rest[0])
		case rest[0] == '\\' && len(rest) > 1:
			i++
			to.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		case rest[0] < 0x80:
			to.WriteString(regexp.QuoteMeta(rest[:1]))
		default:
			to.WriteByte(rest[0])
		}
	}
	return to.String() + "$"
}
