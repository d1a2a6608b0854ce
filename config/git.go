package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Git is what tasks may do with git beyond their own repository's branch, and how much.
type Git struct {
	Workflows    []string     // accounts in whose repositories SAM may create and update workflows
	Repositories Repositories // what tasks may fetch besides their own repository
	MaxPack      Bytes        // of one push, and of one file of Git LFS
	MaxObjects   int64        // commits, folders and files that are new in one push
}

// Repositories names, by account, repositories as owner/name. A file alone can hold them.
type Repositories map[string][]string

func defaultGit() Git {
	return Git{Repositories: Repositories{}, MaxPack: 512 << 20, MaxObjects: 250_000}
}

// What GitHub lets a login and a repository be called.
var (
	login    = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38})$`) // with a _ the accounts that an enterprise manages
	fullName = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38})/[A-Za-z0-9._-]{1,100}$`)
)

const (
	leastPack    Bytes = 1 << 20
	mostPack     Bytes = 16 << 30
	leastObjects       = 100
	mostObjects        = 10_000_000
)

func (g Git) check() []Error {
	var wrong []Error
	for _, account := range g.Workflows {
		if !login.MatchString(account) {
			wrong = append(wrong, Error{"git.workflows", fmt.Sprintf("%q is no account of GitHub's: write its login, as in harbour", account)})
		}
	}
	if g.MaxPack < leastPack || g.MaxPack > mostPack {
		wrong = append(wrong, Error{"git.max_pack", fmt.Sprintf("%s is not between %s and %s", g.MaxPack, leastPack, mostPack)})
	}
	if g.MaxObjects < leastObjects || g.MaxObjects > mostObjects {
		wrong = append(wrong, Error{"git.max_objects", fmt.Sprintf("%d is not between %d and %d", g.MaxObjects, leastObjects, mostObjects)})
	}
	return wrong
}

// repositories reads a table of accounts, each with a list of repositories.
func (f fileReader) repositories(into Repositories, key string, node ast.Node) error {
	return f.table(key, node, func(key, account string, node ast.Node) error {
		if !login.MatchString(account) {
			return f.wrong(node, key, fmt.Sprintf("%q is no account of GitHub's: write its login, as in harbour", account))
		}
		list, ok := node.(*ast.SequenceNode)
		if !ok {
			return f.wrong(node, key, "is not a list of repositories: write [owner/name, …]")
		}
		var names []string
		if err := f.list(&names, key, false, list); err != nil {
			return err
		}
		for i, name := range names {
			if !fullName.MatchString(name) || strings.HasSuffix(name, "/.") || strings.HasSuffix(name, "/..") {
				return f.wrong(list.Values[i], key, fmt.Sprintf("%q is no repository: write owner/name", name))
			}
		}
		into[account] = names
		return nil
	})
}
