package gateway

import (
	"slices"
	"strings"
)

// GitPolicy is what whoever runs SAM allows git's broker. Accounts are logins of GitHub's, in any case of letters.
type GitPolicy struct {
	Workflows    []string            // accounts in whose repositories SAM may create and update workflows
	Repositories map[string][]string // by account: further repositories, owner/name, that its tasks may fetch
	MaxPack      int64               // bytes of one push's pack and of one file of LFS; 0: 2 GiB
	MaxObjects   int64               // objects in one push's pack; 0: 250,000
}

// workflowsOf reports whether tasks of a repository, owner/name, may push workflows.
func (p GitPolicy) workflowsOf(repository string) bool {
	return slices.ContainsFunc(p.Workflows, func(account string) bool { return strings.EqualFold(account, owner(repository)) })
}

// listedFor are the repositories that tasks of a repository may fetch besides.
func (p GitPolicy) listedFor(repository string) []string {
	var listed []string
	for account, names := range p.Repositories {
		if strings.EqualFold(account, owner(repository)) {
			listed = append(listed, names...)
		}
	}
	slices.Sort(listed) // a map's order is none
	return slices.Compact(listed)
}

func owner(repository string) string {
	login, _, _ := strings.Cut(repository, "/")
	return login
}
