package demo

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// source is the Go code of a repository.
type source struct {
	set    *token.FileSet
	files  []*goFile
	routes []route
}

type goFile struct {
	path string // from the root, with slashes
	text []byte
	tree *ast.File
}

// route is one handler registered with a mux.
type route struct {
	file    *goFile
	in      *ast.FuncDecl
	call    *ast.CallExpr
	name    *ast.Ident // Handle or HandleFunc
	pattern string     // as it is written: "POST /api/upload"
	path    string     // of the pattern, without what matches exactly: "/api/upload"
}

// place is a line of a file.
type place struct {
	path string
	line int
}

// skipped are folders whose Go code is not the repository's own.
var skipped = regexp.MustCompile(`^(\.|_|vendor$|testdata$|node_modules$)`)

// load reads the repository's Go code. It refuses one that is not a Go module of 1.22 or later, or does not parse.
func load(dir string) (*source, error) {
	root := os.DirFS(dir)
	if err := checkModule(root); err != nil {
		return nil, err
	}
	code := &source{set: token.NewFileSet()}
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && skipped.MatchString(entry.Name()):
			return fs.SkipDir
		case !entry.Type().IsRegular() || path.Ext(name) != ".go":
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(code.set, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return refusal("The Go code here does not parse, so I do not touch it: " + err.Error())
		}
		code.files = append(code.files, &goFile{path: name, text: text, tree: tree})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the code: %w", err)
	}
	for _, file := range code.files {
		if !strings.HasSuffix(file.path, "_test.go") {
			code.routes = append(code.routes, routesIn(file)...)
		}
	}
	return code, nil
}

var goVersion = regexp.MustCompile(`(?m)^go 1\.(\d+)`)

func checkModule(root fs.FS) error {
	text, err := fs.ReadFile(root, "go.mod")
	if errors.Is(err, fs.ErrNotExist) {
		return refusal("This repository has no go.mod at its root. The demo agent's recipes are for web services in Go; a real agent works on anything.")
	}
	if err != nil {
		return err
	}
	said := goVersion.FindSubmatch(text)
	if said == nil {
		return refusal("The go.mod here names no Go version. The demo agent's recipes need 1.22 or later.")
	}
	if minor, err := strconv.Atoi(string(said[1])); err != nil || minor < 22 {
		return refusal(fmt.Sprintf("The go.mod here says Go 1.%s. The demo agent's recipes need 1.22 or later.", said[1]))
	}
	return nil
}

// routesIn finds calls of Handle and HandleFunc with a pattern that is written out.
func routesIn(file *goFile) []route {
	var found []route
	for _, decl := range file.tree.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 2 {
				return true
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || (selector.Sel.Name != "Handle" && selector.Sel.Name != "HandleFunc") {
				return true
			}
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			pattern, err := strconv.Unquote(literal.Value)
			slash := strings.Index(pattern, "/")
			if err != nil || slash < 0 {
				return true
			}
			found = append(found, route{
				file: file, in: fn, call: call, name: selector.Sel, pattern: pattern,
				path: strings.TrimSuffix(pattern[slash:], "{$}"),
			})
			return true
		})
	}
	return found
}

// listed names the routes for a person.
func (s *source) listed() string {
	if len(s.routes) == 0 {
		return "I find no routes here: no call of `Handle` or `HandleFunc` with a pattern."
	}
	var all []string
	for _, r := range s.routes {
		all = append(all, "`"+r.pattern+"`")
	}
	slices.Sort(all)
	return "The routes here are " + strings.Join(slices.Compact(all), ", ") + "."
}

func (s *source) at(file *goFile, pos token.Pos) place {
	return place{file.path, s.set.Position(pos).Line}
}

// text is how a node is written.
func (s *source) text(file *goFile, n ast.Node) string {
	return string(file.text[s.set.Position(n.Pos()).Offset:s.set.Position(n.End()).Offset])
}

// around is the lines next to a place, numbered.
func (s *source) around(p place) string {
	var out strings.Builder
	for _, file := range s.files {
		if file.path != p.path {
			continue
		}
		for i, text := range strings.Split(string(file.text), "\n") {
			if n := i + 1; n >= p.line-4 && n <= p.line+4 {
				fmt.Fprintf(&out, "%5d  %s\n", n, text)
			}
		}
	}
	return out.String()
}

// has reports whether the repository holds a file.
func (s *source) has(name string) bool {
	return slices.ContainsFunc(s.files, func(f *goFile) bool { return f.path == name })
}

// declares returns the file of the folder in which a top-level name is declared, "" when it is free.
func (s *source) declares(dir, name string) string {
	for _, file := range s.files {
		if path.Dir(file.path) == dir && slices.Contains(declared(file.tree), name) {
			return file.path
		}
	}
	return ""
}

// declared lists a file's top-level names, without methods.
func declared(tree *ast.File) []string {
	var names []string
	for _, decl := range tree.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch sp := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, sp.Name.Name)
				case *ast.ValueSpec:
					for _, name := range sp.Names {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

// imports reports whether the file imports the package under its own name.
func imports(tree *ast.File, pkg string) bool {
	return slices.ContainsFunc(tree.Imports, func(i *ast.ImportSpec) bool {
		return i.Path.Value == strconv.Quote(pkg) && i.Name == nil
	})
}
