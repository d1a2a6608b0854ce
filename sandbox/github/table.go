package github

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// table finds the operation of a request. It exists because GitHub's paths
// overlap (issues/comments/{id} and issues/{number}/labels), which http.ServeMux
// refuses; here the path with the earlier literal segment wins.
type table struct {
	routes []route
	parts  [][]string // of the route with the same index
}

func newTable(routes []route) *table {
	slices.SortStableFunc(routes, func(a, b route) int { return strings.Compare(weight(a.path), weight(b.path)) })
	t := &table{routes: routes}
	for _, rt := range routes {
		t.parts = append(t.parts, strings.Split(rt.path, "/")[1:])
	}
	return t
}

// weight sorts literal segments before wildcards, and those before the rest.
func weight(path string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case strings.HasSuffix(part, "...}"):
			b.WriteByte('c')
		case strings.HasPrefix(part, "{"):
			b.WriteByte('b')
		default:
			b.WriteByte('a')
		}
	}
	return b.String()
}

// find sets the request's path values. What no route matches is not found,
// whoever asks; a wrong method counts as that too.
func (t *table) find(r *http.Request) route {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	path := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/api/v3/"), "/")
	for i, rt := range t.routes {
		if rt.method != method {
			continue
		}
		if values, ok := match(t.parts[i], path); ok {
			for name, value := range values {
				r.SetPathValue(name, value)
			}
			return rt
		}
	}
	return route{serve: func(*call) (reply, error) { return reply{}, notFound() }}
}

func match(pattern, path []string) (values map[string]string, ok bool) {
	values = map[string]string{}
	for i, part := range pattern {
		name, wild := strings.CutPrefix(strings.TrimSuffix(part, "}"), "{")
		name, rest := strings.CutSuffix(name, "...")
		if i >= len(path) {
			// The rest may be empty: contents is the root directory.
			return values, rest && i == len(path)
		}
		text := path[i]
		if rest {
			text = strings.Join(path[i:], "/")
		}
		text, err := url.PathUnescape(text)
		if err != nil || (!wild && text != part) || (wild && !rest && text == "") {
			return nil, false
		}
		if wild {
			values[name] = text
		}
		if rest {
			return values, true
		}
	}
	return values, len(path) == len(pattern)
}
