package agent

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// followed is where the links lead that base has among what is restored, and those on the way. A link that is only on the way
// is false: what else lies behind it is the branch's own.
func (m *mirrors) followed(ctx context.Context, mirror string, links map[string]string) (map[string]bool, error) {
	if len(links) == 0 {
		return nil, nil
	}
	targets, err := m.git.targets(ctx, mirror, links)
	if err != nil {
		return nil, err
	}
	return reached(targets), nil
}

// reached are the paths that links lead to, by where each leads: from those that are restored themselves on. Links that lead in
// circles, or to ever longer paths, end at the bound.
func reached(targets map[string]string) map[string]bool {
	names := slices.Sorted(maps.Keys(targets))
	more := map[string]bool{}
	var next []string
	add := func(name string, whole bool) {
		had, known := more[name]
		if known && (had || !whole) || !known && len(more) >= maxLinks || len(name) > maxTreePath {
			return
		}
		more[name] = whole
		next = append(next, name)
	}
	lead := func(link string) {
		if to, ok := linked(link, targets[link]); ok {
			add(to, true)
		}
	}
	for _, link := range names {
		if restoredAt(link, nil) > 0 {
			lead(link)
		}
	}
	for ; len(next) > 0; next = next[1:] {
		name := next[0]
		whole := more[name]
		if whole { // so are the links at it, and below
			if _, ok := targets[name]; ok {
				lead(name)
			}
			for i, _ := slices.BinarySearch(names, name+"/"); i < len(names) && strings.HasPrefix(names[i], name+"/"); i++ {
				lead(names[i])
			}
		}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			target, ok := targets[dir]
			if !ok {
				continue
			}
			if to, inside := linked(dir, target); inside {
				add(dir, false)
				add(path.Join(to, strings.TrimPrefix(name, dir+"/")), whole)
			}
		}
	}
	return more
}

// targets reads where symbolic links lead, by their objects. One that leads farther than a path can be long leads nowhere, and
// is not read: it can be of any size.
func (g git) targets(ctx context.Context, repository string, links map[string]string) (map[string]string, error) {
	names := slices.Sorted(maps.Keys(links))
	var asked, sizes bytes.Buffer
	for _, name := range names {
		asked.WriteString(links[name] + "\n")
	}
	if err := g.runTo(ctx, repository, nil, &asked, &sizes, "cat-file", "--batch-check=%(objectsize)"); err != nil {
		return nil, err
	}
	var short objects
	for _, name := range names {
		line, err := sizes.ReadString('\n')
		size, wrong := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err = cmp.Or(err, wrong); err != nil {
			return nil, fmt.Errorf("git cat-file said %.100q", line)
		}
		if size <= maxTreePath {
			short.add(name, links[name], maxLinks)
		}
	}
	if len(short) == 0 {
		return nil, nil
	}
	contents, err := g.contents(ctx, repository, short)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for i, content := range contents {
		found[short[i].name] = string(content)
	}
	return found, nil
}
