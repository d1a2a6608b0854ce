package agent

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sam/agent/wire"
)

// heldWithin bounds how long a beat waits for the engine to say what it has.
const heldWithin = 2 * time.Second

// held is what the node has ready for tasks to come. It is asked for with every beat: the engine is asked again only when
// this room has built or removed an image since.
func (n *Node) held(ctx context.Context) wire.Held {
	held := wire.Held{Mirrors: n.mirrors.held()}
	if e := n.workspaces.engine; e != nil {
		held.Built = e.built.of(func() ([]int64, error) {
			ctx, cancel := context.WithTimeout(ctx, heldWithin)
			defer cancel()
			built, err := e.repositories(ctx)
			if err != nil {
				zerolog.Ctx(ctx).Debug().Err(err).Msg("what the container engine has is not known; asking again")
			}
			return built, err
		})
	}
	return held
}

// repositories lists those that have an image of their environment, for anybody's task.
func (e *engine) repositories(ctx context.Context) ([]int64, error) {
	all, err := e.environments(ctx, e.nodeTag())
	if err != nil {
		return nil, err
	}
	var found []int64
	for _, one := range all {
		if repository, ok := e.repositoryOf(one.name); ok {
			found = append(found, repository)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// repositoryOf is the repository whose environment an image of this node is, by its name; ok is false for an image that goes
// with an attempt.
func (e *engine) repositoryOf(name string) (repository int64, ok bool) {
	rest, ours := strings.CutPrefix(name, e.nodeTag())
	if !ours || strings.HasSuffix(rest, untrustedSuffix) || strings.HasSuffix(rest, baseSuffix) {
		return 0, false
	}
	digits, _, ours := strings.Cut(rest, "-")
	repository, err := strconv.ParseInt(digits, 10, 64)
	return repository, ours && err == nil
}

// builtOnes remembers a list until it is forgotten.
type builtOnes struct {
	mu     sync.Mutex
	known  bool
	list   []int64
	change int // counts what was forgotten
}

// forget has the list be asked for anew.
func (b *builtOnes) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known = false
	b.change++
}

// of is the list, asked for when it is not known. While it cannot be had it is what it was.
func (b *builtOnes) of(ask func() ([]int64, error)) []int64 {
	b.mu.Lock()
	known, list, change := b.known, b.list, b.change
	b.mu.Unlock()
	if known {
		return list
	}
	asked, err := ask()
	if err != nil {
		return list
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list, b.known = asked, b.change == change // else it is of before that
	return asked
}
