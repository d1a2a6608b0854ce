package demo

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

// paths finds what looks like a route's path in a request.
var paths = regexp.MustCompile(`/[\w\-./{}]*`)

// limiting is how a handler that is limited already gives itself away.
var limiting = regexp.MustCompile(`(?i)rate_?limit|limit_?rate|limiter|throttl`)

// limitRate wraps every handler of a path with a token bucket for each client.
func limitRate(code *source, words string) (change, error) {
	routes, err := routesAsked(code, words)
	if err != nil {
		return change{}, err
	}
	first := routes[0]
	for _, r := range routes {
		if limiting.MatchString(code.text(r.file, r.call.Args[1])) {
			return change{}, refusal(fmt.Sprintf("It is already there: `%s` is limited at %s:%d.", r.pattern, r.file.path, code.at(r.file, r.call.Pos()).line))
		}
		if r.file != first.file || !imports(r.file.tree, "net/http") {
			return change{}, refusal(fmt.Sprintf("`%s` is registered in a way I do not know how to change, in %s.", r.pattern, r.file.path))
		}
	}
	var edits []edit
	for _, r := range routes {
		edits = append(edits, wrap(code, r, "limitRate")...)
	}
	wired, err := apply(first.file.text, edits...)
	if err != nil {
		return change{}, err
	}
	at := code.at(first.file, first.call.Pos())
	files := []file{{path: at.path, line: at.line, content: wired}}
	dir, pkg := path.Dir(first.file.path), first.file.tree.Name.Name
	limiter := path.Join(dir, "ratelimit.go")
	reused := code.declares(dir, "limitRate") == limiter
	if !reused {
		for template, name := range map[string]string{"ratelimit.go.txt": "ratelimit.go", "ratelimit_test.go.txt": "ratelimit_test.go"} {
			made, err := code.fromTemplate(template, dir, pkg, name)
			if err != nil {
				return change{}, err
			}
			files = append(files, made)
		}
		slices.SortStableFunc(files[1:], func(a, b file) int { return strings.Compare(a.path, b.path) })
	}
	return limitChange(first.pattern, at, files, limiter, reused), nil
}

func limitChange(pattern string, at place, files []file, limiter string, reused bool) change {
	c := change{
		headline: "Limit the rate of " + pattern + " for each client",
		why: "A client that floods " + pattern + " is answered 429 with a Retry-After and no longer\n" +
			"crowds out the others. Each client, by its IP address, has a token bucket of its own:\n" +
			"20 requests at once, then 5 a second. Other routes are as they were.",
		thought: fmt.Sprintf("`%s` is registered at %s:%d. I wrap its handler there, so that the other routes stay as they are.", pattern, at.path, at.line),
		places:  []place{at},
		steps:   steps("Find where "+pattern+" is registered", "Write the limiter with its tests, and put it before the handler"),
		files:   files,
	}
	rows := fmt.Sprintf("| `%s` | the handler of `%s` is wrapped with `limitRate` |\n", at.path, pattern)
	if reused {
		c.thought += fmt.Sprintf(" The limiter is there already, in %s.", limiter)
		c.steps[1] = "Put the limiter before the handler"
	} else {
		rows += fmt.Sprintf("| `%s` | the limiter: a token bucket for each client |\n| `%s` | its tests, on a clock of their own |\n",
			limiter, strings.TrimSuffix(limiter, ".go")+"_test.go")
	}
	c.summary = "`" + pattern + "` now answers a client that sends too much with `429 Too Many Requests` and a `Retry-After`.\n\n" +
		"**How.** Each client, by its IP address, has a token bucket: 20 requests at once, then 5 a second. One that floods does not " +
		"lock out the others, other routes are as they were, and clients that were idle long enough to have a full bucket are forgotten, " +
		"so that memory stays bounded.\n\n" +
		"| File | What |\n|---|---|\n" + rows + "\n" +
		"**Worth knowing.** The address is the connection's. Behind a reverse proxy that is the proxy's, and all clients would share " +
		"one bucket: then take it from a header that the proxy sets."
	return c
}

// routesAsked finds the routes of the first path in words that has any.
func routesAsked(code *source, words string) ([]route, error) {
	var asked []string
	for _, one := range paths.FindAllString(words, -1) {
		one = strings.TrimRight(one, ".")
		var found []route
		for _, r := range code.routes {
			if r.path == one {
				found = append(found, r)
			}
		}
		if len(found) > 0 {
			return found, nil
		}
		asked = append(asked, one)
	}
	if len(asked) == 0 {
		return nil, refusal("Which path is to be limited? Name it, as in “add rate limiting to /api/upload”. " + code.listed())
	}
	return nil, refusal(fmt.Sprintf("There is no route `%s` here. %s", asked[0], code.listed()))
}

// wrap are the edits that put a function from http.Handler to http.Handler before a route's handler.
func wrap(code *source, r route, with string) []edit {
	handler := r.call.Args[1]
	before, after := with+"(", ")"
	var edits []edit
	if r.name.Name == "HandleFunc" {
		before, after = with+"(http.HandlerFunc(", "))"
		edits = append(edits, replace(code, r.name, "Handle"))
	}
	return append(edits, replace(code, handler, before+code.text(r.file, handler)+after))
}

func replace(code *source, n ast.Node, text string) edit {
	return edit{code.offset(n.Pos()), code.offset(n.End()), text}
}
