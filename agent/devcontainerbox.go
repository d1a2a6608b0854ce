package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sam/agent/devcontainer"
	"sam/agent/shim"
	"sam/agent/wire"
)

// fill decides the environment of the container and of programs in it. What SAM itself gives programs comes after.
func (m *environment) fill(image []string) {
	for _, pair := range image {
		name, value, _ := strings.Cut(pair, "=")
		m.base[name] = value
	}
	said := maps.Clone(m.base)
	for _, name := range slices.Sorted(maps.Keys(m.config.ContainerEnv)) {
		value := devcontainer.Resolve(m.config.ContainerEnv[name], m.base)
		m.fixed, said[name] = append(m.fixed, name+"="+value), value
	}
	if m.owner.home != "" {
		// The image's own home has the user's tools; what agents remember is to outlive the container.
		m.remote = append(m.remote, "HOME="+m.owner.home, "CLAUDE_CONFIG_DIR="+boxHome+"/.claude")
	}
	if m.owner.name != "" {
		m.remote = append(m.remote, "USER="+m.owner.name)
	}
	if m.owner.uid == 0 {
		m.remote = append(m.remote, "IS_SANDBOX=1") // Claude Code does not run as root unless it is told so
	}
	for _, name := range slices.Sorted(maps.Keys(m.config.RemoteEnv)) {
		m.remote = append(m.remote, name+"="+devcontainer.Resolve(m.config.RemoteEnv[name], said))
	}
}

// memory of an environment, as its container's label has it.
type environmentMemory struct {
	Folder string   `json:"folder"`
	Dir    string   `json:"dir"`
	Env    []string `json:"env"`
	Trash  []string `json:"trash,omitempty"` // images
}

func (m *environment) memory() environmentMemory {
	kept := environmentMemory{Folder: m.folder, Dir: m.dir, Env: m.remote}
	if m.trash {
		kept.Trash = append(kept.Trash, m.image)
	}
	for _, one := range m.services {
		if one.image.trash {
			kept.Trash = append(kept.Trash, one.image.id)
		}
	}
	return kept
}

func (m *environment) remembered() string {
	data, err := json.Marshal(m.memory())
	if err != nil {
		return "" // strings always are
	}
	return string(data)
}

// settleIn makes programs run as the box's environment says.
func (w *dockerWorkspace) settleIn(b box) {
	if b.environment != nil {
		w.live(b.environment.memory())
	}
}

func (w *dockerWorkspace) live(in environmentMemory) {
	usual := len(boxEnvironment())
	w.folder, w.dir, w.trash = in.Folder, in.Dir, in.Trash
	w.env = slices.Concat(w.env[:usual], in.Env, w.env[usual:])
}

// recall makes programs run again as they did for the process that made the container.
func (w *dockerWorkspace) recall(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	c, err := w.engine.client.ContainerInspect(ctx, w.id)
	if err != nil || c.Config == nil || c.Config.Labels[labelEnvironment] == "" {
		return nil // that the container is gone is told by who asks its shim
	}
	var in environmentMemory
	if err := json.Unmarshal([]byte(c.Config.Labels[labelEnvironment]), &in); err != nil {
		return fmt.Errorf("go on in the container's environment: %w", err)
	}
	w.live(in)
	return nil
}

// begins is where a program begins: the agent where the repository says, SAM's own programs where the tree is.
func (w *dockerWorkspace) begins(key string) string {
	folder := or(w.folder, boxTree)
	if key == agentKey {
		return or(w.dir, folder)
	}
	return folder
}

// hasDevcontainer asks the mirror whether the tree may say in which environment it wants to be worked on. The files that a
// pull request has are not the only ones that count: the base's may be restored.
func (w *workspaces) hasDevcontainer(ctx context.Context, s wire.Start, from heads) bool {
	if s.Environment != "" {
		return true
	}
	for _, commit := range []string{from.base, from.branch} {
		if commit == "" {
			continue
		}
		out, err := w.git.run(ctx, from.mirror, nil, "", "ls-tree", "--name-only", commit, ".devcontainer", ".devcontainer.json")
		if err != nil || strings.TrimSpace(out) != "" {
			return true // what cannot be told is looked for in the tree
		}
	}
	return false
}

// buildProxy is the part of a workspace's environment for its proxy that a build may be given: arguments that engines know
// and keep out of the image.
func buildProxy(s wire.Start) map[string]string {
	var args map[string]string
	for _, pair := range proxyEnvironment(s, shim.Listen) {
		name, value, _ := strings.Cut(pair, "=")
		if slices.Contains([]string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}, strings.ToUpper(name)) {
			if args == nil {
				args = map[string]string{}
			}
			args[name] = value
		}
	}
	return args
}

// ownerOfFolder is whose a folder is.
func ownerOfFolder(path string) (boxOwner, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return boxOwner{}, fmt.Errorf("look whose %s is: %w", filepath.Base(path), err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return boxOwner{}, errors.New("the system does not say whose files are")
	}
	return boxOwner{uid: int(stat.Uid), gid: int(stat.Gid)}, nil
}
