package demo

import (
	"fmt"
	"go/ast"
	"regexp"
)

// logs is how a service that logs its requests already gives itself away, by the name of a function.
var logs = regexp.MustCompile(`(?i)log(ging)?_?(requests?|middleware|handler)|requests?_?log|access_?log`)

// logRequests wraps what the function that registers the routes returns.
func logRequests(code *source, _ string) (change, error) {
	for _, file := range code.files {
		for _, name := range declared(file.tree) {
			if logs.MatchString(name) {
				return change{}, refusal(fmt.Sprintf("It is already there: see `%s` in %s.", name, file.path))
			}
		}
	}
	last, err := busiest(code)
	if err != nil {
		return change{}, err
	}
	returned := handlerReturned(code, last)
	if returned == nil {
		return change{}, refusal(fmt.Sprintf("`%s` in %s registers the routes but does not return them as an http.Handler, so I do not know where to log.",
			last.in.Name.Name, last.file.path))
	}
	wired, err := apply(last.file.text, replace(code, returned, "logRequests("+code.text(last.file, returned)+")"))
	if err != nil {
		return change{}, err
	}
	at := code.at(last.file, returned.Pos())
	c := change{
		headline: "Log every request",
		why:      "One line for each request: method, path, status, bytes and how long it took. The query is\nleft out, for it may hold what does not belong in a log.",
		thought:  fmt.Sprintf("All routes leave `%s` through the return at %s:%d, so that is where to log.", last.in.Name.Name, at.path, at.line),
		places:   []place{at},
		steps:    steps("Find what every request goes through", "Write the logging with its test, and put it there"),
		files:    []file{{path: at.path, line: at.line, content: wired}},
		summary: "Every request is logged, in one line of `log/slog`: method, path, status, bytes written and how long it took.\n\n" +
			"The query is left out, for it may hold what does not belong in a log. Streaming responses still stream: the wrapper can be unwrapped.\n\n" +
			"| File | What |\n|---|---|\n| `" + at.path + "` | the service's handler is wrapped |\n",
	}
	return c.with(code, last.file, "logging", "the wrapper")
}

// handlerReturned is what the function that registers r returns, if that is the mux as its one http.Handler.
func handlerReturned(code *source, r route) ast.Expr {
	results := r.in.Type.Results
	if results == nil || len(results.List) != 1 || code.text(r.file, results.List[0].Type) != "http.Handler" {
		return nil
	}
	selector, ok := r.call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	mux := code.text(r.file, selector.X)
	var found ast.Expr
	ast.Inspect(r.in.Body, func(n ast.Node) bool {
		if back, ok := n.(*ast.ReturnStmt); ok && len(back.Results) == 1 && code.text(r.file, back.Results[0]) == mux {
			found = back.Results[0]
		}
		return true
	})
	return found
}
