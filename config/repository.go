package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// RepositoryFile is where a project says what it wants of SAM, on its default branch.
const RepositoryFile = ".github/sam.yml"

// MaxRepositoryFile is how large that file may be, bytes.
const MaxRepositoryFile = 64 << 10

// maxOpenings bounds how deep the file can be nested: the YAML library's time grows with the square of that, to half a minute for
// a file of brackets.
const maxOpenings = 1000

// Repository is what a project's file says; docs/repository.md has its keys. Nothing in it is checked against what the operator
// allows: who does says what is wrong by Wrong.
type Repository struct {
	Environment  []string // names of secrets
	Agent        string
	Network      string
	Devcontainer string

	at map[string]*token.Position
}

// ParseRepository reads a project's file. An empty one says nothing. An error tells the line and the column; it is for whoever
// wrote the file.
func ParseRepository(data []byte) (Repository, error) {
	r := Repository{at: map[string]*token.Position{}}
	if len(data) > MaxRepositoryFile {
		return Repository{}, fmt.Errorf("%s has %d bytes and may have %d", RepositoryFile, len(data), MaxRepositoryFile)
	}
	if bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{"))+bytes.Count(data, []byte("- ")) > maxOpenings {
		return Repository{}, fmt.Errorf("%s has more than %d brackets and dashes", RepositoryFile, maxOpenings)
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		var at yaml.Error
		if errors.As(err, &at) && at.GetToken() != nil {
			return Repository{}, wrongAt(at.GetToken().Position, code(at.GetMessage()))
		}
		return Repository{}, fmt.Errorf("%s: it is not YAML", RepositoryFile)
	}
	if len(file.Docs) > 1 {
		return Repository{}, wrongAt(file.Docs[1].GetToken().Position, "a second document begins here, and the file may hold one")
	}
	for _, doc := range file.Docs {
		if err := r.read(doc.Body); err != nil {
			return Repository{}, err
		}
	}
	return r, nil
}

// Wrong says what is wrong with a value, with the place of its key: "agent", or "environment[0]" for the first of the list.
func (r Repository) Wrong(key, why string) error { return wrongAt(r.at[key], why) }

func wrongAt(at *token.Position, why string) error {
	if at == nil {
		return fmt.Errorf("%s: %s", RepositoryFile, why)
	}
	return fmt.Errorf("%s, line %d, column %d: %s", RepositoryFile, at.Line, at.Column, why)
}

func wrongNode(n ast.Node, why string) error { return wrongAt(n.GetToken().Position, why) }

func (r *Repository) read(body ast.Node) error {
	switch n := body.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return nil
	case *ast.MappingNode:
		for _, entry := range n.Values {
			if err := r.entry(entry); err != nil {
				return err
			}
		}
		return nil
	case *ast.MappingValueNode:
		return r.entry(n)
	}
	return wrongNode(body, "here stands neither a key nor a comment; the keys are in SAM's docs/repository.md")
}

func (r *Repository) entry(entry *ast.MappingValueNode) error {
	key := entry.Key.GetToken().Value
	if r.at[key] != nil { // the parser says so too, but that is a setting of its
		return wrongNode(entry.Key, fmt.Sprintf("%s stands here a second time", code(key)))
	}
	r.at[key] = entry.Key.GetToken().Position
	switch key {
	case "environment":
		return r.names(entry.Value)
	case "agent":
		return text(key, entry.Value, &r.Agent)
	case "network":
		return text(key, entry.Value, &r.Network)
	case "devcontainer":
		return text(key, entry.Value, &r.Devcontainer)
	}
	return wrongNode(entry.Key, fmt.Sprintf("%s is no key of this file: it has agent, devcontainer, environment and network", code(key)))
}

// names reads the list of environment. One name twice is an error: a typing mistake is likelier than a wish.
func (r *Repository) names(node ast.Node) error {
	list, ok := node.(*ast.SequenceNode)
	if empty(node) {
		return nil
	}
	if !ok {
		return wrongNode(node, "environment is a list of names, as in [API_TOKEN, NPM_TOKEN]")
	}
	seen := map[string]bool{}
	for i, item := range list.Values {
		name, ok := item.(*ast.StringNode)
		switch {
		case !ok:
			return wrongNode(item, "environment is a list of names, and this is none; values are never written here, the operator sets them")
		case seen[name.Value]:
			return wrongNode(item, fmt.Sprintf("%s stands in the list twice", code(name.Value)))
		}
		seen[name.Value] = true
		r.at[fmt.Sprintf("environment[%d]", i)] = item.GetToken().Position
		r.Environment = append(r.Environment, name.Value)
	}
	return nil
}

func text(key string, node ast.Node, into *string) error {
	if empty(node) {
		return nil
	}
	found, ok := node.(*ast.StringNode)
	if !ok {
		return wrongNode(node, key+" is one word")
	}
	*into = found.Value
	return nil
}

func empty(node ast.Node) bool {
	switch node.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return true
	}
	return false
}

// code is a stranger's word as Markdown shows it and no more: it neither fills a comment nor calls anybody.
func code(word string) string {
	const most = 80
	if letters := []rune(word); len(letters) > most {
		word = string(letters[:most]) + "…"
	}
	return "`" + strings.Join(strings.Fields(strings.ReplaceAll(word, "`", "'")), " ") + "`"
}
