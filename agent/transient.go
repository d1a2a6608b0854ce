package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/rs/zerolog"
)

// abandonWithin bounds how long the containers of a node that will not come back may take to go.
const abandonWithin = 20 * time.Second

// abandon removes every container of this node, for nobody will attach to them.
func (n *Node) abandon(ctx context.Context) {
	if n.workspaces.engine == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonWithin)
	defer cancel()
	left, err := n.workspaces.engine.list(ctx)
	for _, one := range left {
		err = errors.Join(err, n.workspaces.engine.remove(ctx, one.id))
	}
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("containers stay behind until another node starts: docker ps lists them by the label " + labelNode)
	}
}

// sweep removes the containers that transient nodes left which were killed before they could abandon them. Only those are
// labelled with an owner: a node that is down and will come back never loses one. Other nodes may sweep at the same time.
func (e *engine) sweep(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	all, err := e.client.ContainerList(limited, container.ListOptions{All: true, Filters: filters.NewArgs(
		filters.Arg("label", labelNode), filters.Arg("label", labelFolder), filters.Arg("label", labelOwner))})
	if err != nil {
		return fmt.Errorf("list containers of nodes that were killed: %w", err)
	}
	for _, c := range all {
		if !orphaned(c) {
			continue
		}
		zerolog.Ctx(ctx).Info().Str("task", c.Labels[labelTask]).Str("folder", c.Labels[labelFolder]).
			Msg("a container of a node that was killed is removed")
		err = errors.Join(err, e.remove(ctx, c.ID))
	}
	return err
}

// orphaned reports whether a container belongs to a process that is gone.
func orphaned(c container.Summary) bool {
	owner, ok := parseOwner(c.Labels[labelOwner])
	if !ok || !owner.gone() {
		return false
	}
	// No container runs on through a boot: the owner of one that does is on another machine, which shares this engine.
	return !owner.earlier() || c.State == container.StateExited || c.State == container.StateDead
}

// TransientFolder is a temporary folder that goes with the process that made it: a demo's.
type TransientFolder struct{ Path string }

// ownerFile is in a transient folder from its beginning to its end, and names its process.
const ownerFile = "owner"

// NewTransientFolder makes a folder for temporary files whose name begins with prefix. It removes the earlier ones of that
// name that processes of this user left which were killed; what cannot be removed is logged. The caller removes its own.
func NewTransientFolder(ctx context.Context, prefix string) (*TransientFolder, error) {
	if err := sweepFolders(os.TempDir(), prefix); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("what a killed process left cannot be removed")
	}
	self, err := ownerOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	// Whole or not at all: a folder without it is nobody's to remove.
	path := filepath.Join(dir, ownerFile)
	if err := os.WriteFile(path+".new", []byte(self.String()+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("note whose %s is: %w", dir, err), os.RemoveAll(dir))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, errors.Join(fmt.Errorf("note whose %s is: %w", dir, err), os.RemoveAll(dir))
	}
	return &TransientFolder{dir}, nil
}

// Remove removes the folder with all that is in it. It may be called again after an error.
func (f *TransientFolder) Remove() error {
	entries, err := os.ReadDir(f.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if entry.Name() != ownerFile { // last, so that what is left of a folder is known for what it is
			err = errors.Join(err, removeAll(filepath.Join(f.Path, entry.Name())))
		}
	}
	if err == nil {
		err = os.RemoveAll(f.Path)
	}
	if err != nil {
		return fmt.Errorf("remove the temporary folder %s: %w", f.Path, err)
	}
	return nil
}

// sweepFolders removes the folders of that name in dir that are this user's and whose owner is gone.
func sweepFolders(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for what killed processes left: %w", err)
	}
	for _, entry := range entries {
		if path := filepath.Join(dir, entry.Name()); strings.HasPrefix(entry.Name(), prefix) && abandoned(path) {
			err = errors.Join(err, (&TransientFolder{path}).Remove())
		}
	}
	return err
}

// abandoned reports whether path is a transient folder of this user's whose owner is gone. Others may write where temporary
// files are: no link is followed.
func abandoned(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() {
		return false
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return false
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return false
	}
	defer root.Close()
	text, err := root.ReadFile(ownerFile)
	if err != nil {
		return false
	}
	owner, ok := parseOwner(string(text))
	return ok && owner.gone()
}
