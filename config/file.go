package config

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// decode writes what a file says into the settings, and returns on which line it says it. The file is walked rather than
// decoded into the structs: the YAML library would let an empty section wipe out its defaults and cut 1.5 to 1.
func decode(path string, data []byte, s settings) (map[string]int, error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		var at yaml.Error
		if errors.As(err, &at) && at.GetToken() != nil {
			return nil, fmt.Errorf("%s:%d: %s", path, at.GetToken().Position.Line, at.GetMessage())
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(file.Docs) > 1 {
		return nil, fmt.Errorf("%s: holds %d YAML documents and may hold one", path, len(file.Docs))
	}
	f := fileReader{path: path, settings: map[string]setting{}, sections: map[string]bool{"": true}, lines: map[string]int{}}
	for _, one := range s.settings() {
		f.settings[one.key] = one
		for i, c := range one.key {
			if c == '.' {
				f.sections[one.key[:i]] = true
			}
		}
	}
	for _, doc := range file.Docs {
		if err := f.read("", doc.Body); err != nil {
			return nil, err
		}
	}
	return f.lines, nil
}

// fileReader is a file on its way into the settings.
type fileReader struct {
	path     string
	settings map[string]setting
	sections map[string]bool
	lines    map[string]int
}

// read takes in a node of the file. A key or a section with nothing behind it says nothing.
func (f fileReader) read(key string, node ast.Node) error {
	if node == nil {
		return nil
	}
	one, isSetting := f.settings[key]
	if table, ok := one.value.(*Prices); ok {
		return f.prices(*table, key, node)
	}
	if table, ok := one.value.(*Repositories); ok {
		return f.repositories(*table, key, node)
	}
	if list, ok := one.value.(*Windows); ok && !isNothing(node) {
		return f.windows(list, key, node)
	}
	switch n := node.(type) {
	case *ast.NullNode, *ast.CommentGroupNode:
		return nil
	case *ast.MappingNode:
		if isSetting {
			break
		}
		for _, entry := range n.Values {
			if err := f.entry(key, entry); err != nil {
				return err
			}
		}
		return nil
	case *ast.MappingValueNode:
		if isSetting {
			break
		}
		return f.entry(key, n)
	case *ast.SequenceNode:
		list, ok := one.value.(*[]string)
		if !ok {
			break
		}
		return f.list(list, key, one.file, n)
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode: // scalars to the library, and nothing that settings need
	case ast.ScalarNode:
		if !isSetting {
			break
		}
		text := n.GetToken().Value
		if block, ok := n.(*ast.LiteralNode); ok {
			text = block.Value.Value
		}
		if !set(one.value, text) {
			return f.wrong(node, key, notKind(text, one.value))
		}
		if file, ok := one.value.(*string); ok && one.file {
			*file = f.beside(*file)
		}
		return nil
	}
	if isSetting {
		return f.wrong(node, key, notKind("what stands here", one.value))
	}
	return f.wrong(node, key, "has keys of its own, and what stands here is none")
}

// isNothing reports whether nothing stands behind a key.
func isNothing(node ast.Node) bool {
	switch node.(type) {
	case *ast.NullNode, *ast.CommentGroupNode:
		return true
	}
	return false
}

// beside is a path as seen from the configuration's folder.
func (f fileReader) beside(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(f.path), path)
}

func (f fileReader) entry(section string, entry *ast.MappingValueNode) error {
	key := entry.Key.GetToken().Value
	if section != "" {
		key = section + "." + key
	}
	if _, ok := f.settings[key]; !ok && !f.sections[key] || key == "" {
		return f.wrong(entry.Key, key, "is no setting")
	}
	f.lines[key] = entry.Key.GetToken().Position.Line
	return f.read(key, entry.Value)
}

func (f fileReader) wrong(at ast.Node, key, why string) error {
	if key == "" {
		key = "the file"
	}
	return fmt.Errorf("%s:%d: %w", f.path, at.GetToken().Position.Line, Error{key, why})
}
