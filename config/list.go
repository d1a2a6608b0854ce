package config

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// list reads a list of texts, or of files, which stands over the whole default.
func (f fileReader) list(target *[]string, key string, files bool, node *ast.SequenceNode) error {
	*target = nil
	for _, item := range node.Values {
		text, ok := item.(*ast.StringNode)
		if !ok {
			return f.wrong(item, key, notKind("what stands here", target))
		}
		value := text.Value
		if files {
			value = f.beside(value)
		}
		*target = append(*target, value)
	}
	return nil
}

// splitList reads a list as the environment gives it: with commas between.
func splitList(value string) []string {
	var list []string
	for _, one := range strings.Split(value, ",") {
		if one = strings.TrimSpace(one); one != "" {
			list = append(list, one)
		}
	}
	return list
}
