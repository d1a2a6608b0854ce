package demo

import (
	"fmt"
	"go/ast"
	"path"
	"strings"
)

// addHealth registers GET /healthz after the last route of the function that registers most.
func addHealth(code *source, _ string) (change, error) {
	for _, r := range code.routes {
		if strings.Contains(r.path, "health") {
			return change{}, refusal(fmt.Sprintf("It is already there: `%s` at %s:%d.", r.pattern, r.file.path, code.at(r.file, r.call.Pos()).line))
		}
	}
	last, err := busiest(code)
	if err != nil {
		return change{}, err
	}
	selector, ok := last.call.Fun.(*ast.SelectorExpr)
	if !ok {
		return change{}, refusal("`" + last.pattern + "` is registered in a way I do not know.")
	}
	end := code.offset(last.call.End())
	registration := fmt.Sprintf("\n%s.HandleFunc(\"GET /healthz\", healthz)", code.text(last.file, selector.X))
	wired, err := apply(last.file.text, edit{end, end, registration})
	if err != nil {
		return change{}, err
	}
	at := code.at(last.file, last.call.Pos())
	c := change{
		headline: "Answer GET /healthz",
		why:      "A load balancer or a supervisor can ask whether the process serves, without touching\nwhat it serves.",
		thought:  fmt.Sprintf("The routes are registered in `%s`, at %s:%d. The new one goes after the last.", last.in.Name.Name, at.path, at.line),
		places:   []place{at},
		steps:    steps("Find where the routes are registered", "Write the endpoint with its test, and register it"),
		files:    []file{{path: at.path, line: at.line + 1, content: wired}},
		summary: "`GET /healthz` answers `200` and `ok` as long as the process serves: something for a load balancer or a supervisor to ask.\n\n" +
			"It asks nothing of what the service depends on. A dependency that is down is for an alarm, not for a restart of this process.\n\n" +
			"| File | What |\n|---|---|\n| `" + at.path + "` | the route |\n",
	}
	return c.with(code, last.file, "health", "the endpoint")
}

// with adds a recipe's file and its test, and their rows in the summary.
func (c change) with(code *source, beside *goFile, name, what string) (change, error) {
	dir := path.Dir(beside.path)
	for _, one := range []struct{ suffix, what string }{{".go", what}, {"_test.go", "its test"}} {
		made, err := code.fromTemplate(name+one.suffix+".txt", dir, beside.tree.Name.Name, name+one.suffix)
		if err != nil {
			return change{}, err
		}
		c.files = append(c.files, made)
		c.summary += fmt.Sprintf("| `%s` | %s |\n", made.path, one.what)
	}
	c.summary = strings.TrimRight(c.summary, "\n")
	return c, nil
}

// busiest is the last route of the function that registers most of them.
func busiest(code *source) (route, error) {
	if len(code.routes) == 0 {
		return route{}, refusal("This does not look like a web service that I know. " + code.listed())
	}
	count := map[*ast.FuncDecl]int{}
	var best route
	for _, r := range code.routes {
		count[r.in]++
		if best.in == nil || count[r.in] >= count[best.in] {
			best = r
		}
	}
	if !imports(best.file.tree, "net/http") {
		return route{}, refusal(fmt.Sprintf("%s registers routes, but not with net/http, which is what I know.", best.file.path))
	}
	return best, nil
}
