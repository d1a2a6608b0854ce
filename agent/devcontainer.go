package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sam/agent/devcontainer"
	"sam/agent/wire"
	"sam/task"
)

// environmentLimit bounds how long an environment may take in all: fetching and building its image, and its lifecycle
// commands.
const environmentLimit = 15 * time.Minute

// maxFindings bounds how many events a configuration can make; a line of it makes one at most.
const maxFindings = 40

// environment is what a container is made as, when a repository says so.
type environment struct {
	config devcontainer.Config // with what stands below it
	image  string              // by the engine's own ID
	labels []string            // the image's, by name
	owner  boxOwner
	folder string   // where the tree is
	dir    string   // where programs begin; in folder
	fixed  []string // the container's environment
	remote []string // of programs in it, beside that
	base   map[string]string
	trash  bool // the image goes with the attempt

	services []service // that run beside it
}

// environs makes one attempt's environment, and tells what becomes of the repository's wishes.
type environs struct {
	*workspaces
	start  wire.Start
	tell   func(task.Event) error
	log    *environmentLog
	told   int
	vars   devcontainer.Variables
	builds int // images of the configuration that are built
}

// environment brings up a workspace that waits for its environment, and records the step. A workspace that is up already
// has the node's default one; a process has what the node has, and what the repository asks for is said to be left. An error
// ends the attempt: what is wrong with a repository's configuration is none.
func (n *Node) environment(ctx context.Context, a *attempt, made Workspace) error {
	began := time.Now()
	if w, ok := made.(*processWorkspace); ok {
		if note := unused(w.tree, a.start.Environment); note != "" {
			return a.spool.append(stepped(task.StepEnvironment, began, note))
		}
		return nil
	}
	w, ok := made.(*dockerWorkspace)
	if !ok || w.waiting == nil {
		return nil
	}
	watch := startProgress(a.spool.append, began)
	closed := sync.OnceFunc(watch.close)
	defer closed()
	log, err := openEnvironmentLog(n.options.Dir, a.start.Thread, watch)
	if err != nil {
		return err
	}
	defer log.close()
	name := path.Base(a.start.FullName)
	e := &environs{workspaces: n.workspaces, start: a.start, tell: a.spool.append, log: log, vars: devcontainer.Variables{
		ID: shortName(fmt.Sprint(a.start.Repository)), Name: name, Folder: boxTree,
	}}
	note, err := e.furnish(ctx, w)
	closed() // before the step is told to be done
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	return a.spool.append(stepped(task.StepEnvironment, began, note))
}

// furnish brings the workspace up in the environment that its tree asks for, or in the default one.
func (e *environs) furnish(ctx context.Context, w *dockerWorkspace) (note string, err error) {
	limit := e.engine.limit
	if limit <= 0 {
		limit = environmentLimit
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit))
	defer cancel()
	b := *w.waiting
	roomy, done := e.engine.filling(limited)
	made, err := e.find(roomy, b.tree)
	done()
	if made != nil {
		err = e.up(limited, w, b, made)
	}
	if err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if err := e.failed(err); err != nil {
			return "", err
		}
		if made != nil {
			e.discard(ctx, made)
		}
		made = nil
	}
	if made == nil {
		note = "the default image"
		if err := e.up(ctx, w, b, nil); err != nil {
			return "", err
		}
	}
	if err := e.connect(ctx, w, e.start); err != nil || made == nil {
		return note, err
	}
	ran, err := e.hooks(limited, w, made.config.Hooks)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return strings.Join(nonEmpty(made.words(), made.servicesNote(), ran, e.ports(made.config)), "; "), err
}

// up brings the container up for an environment, nil for the default one.
func (e *environs) up(ctx context.Context, w *dockerWorkspace, b box, made *environment) error {
	b.environment = made
	owner := b.owner()
	if err := errors.Join(giveTree(b.tree, owner), giveHome(b.home, owner)); err != nil {
		return err
	}
	plain := w.env
	w.settleIn(b)
	err := w.up(ctx, b)
	if err != nil && made != nil {
		err = fmt.Errorf("start a container of its image: %w", err)
	}
	if err == nil && made != nil && len(made.services) > 0 {
		if err = e.serve(ctx, w, b); err != nil { // with half of them there would be an environment that nobody asked for
			anyway := context.WithoutCancel(ctx)
			err = errors.Join(err, e.engine.removeBeside(anyway, w.thread), e.engine.remove(anyway, w.id))
		}
	}
	if err != nil {
		w.env, w.folder, w.dir, w.trash = plain, "", "", nil // for another try in another environment
		return err
	}
	w.waiting = nil
	return nil
}

func (m *environment) words() string {
	words := "as " + m.config.Path + " says"
	if m.owner.name != "" {
		words += ", as the user " + m.owner.name
	}
	if m.trash {
		words += "; nobody who may write vouches for it, so its image is built apart from all others and goes with this attempt"
	}
	return words
}

func (*environs) ports(config devcontainer.Config) string {
	if len(config.Ports) == 0 {
		return ""
	}
	return "its programs listen on " + strings.Join(config.Ports, ", ") + " (no port is opened to anybody)"
}

// find reads the configuration and gets its image. It returns nil when the tree has none. An error says why it cannot be
// had.
func (e *environs) find(ctx context.Context, treePath string) (*environment, error) {
	tree, err := os.OpenRoot(treePath)
	if err != nil {
		return nil, fmt.Errorf("open the workspace's tree: %w", err)
	}
	defer tree.Close()
	name, err := devcontainer.Find(tree, e.start.Environment)
	if err != nil || name == "" {
		return nil, err
	}
	config, findings, err := devcontainer.Check(tree, name, e.vars)
	if told := e.findings(findings); told != nil || err != nil {
		return nil, errors.Join(told, err)
	}
	if config.Compose != nil {
		config, findings, err = devcontainer.FromCompose(tree, config, e.vars)
		if told := e.findings(findings); told != nil || err != nil {
			return nil, errors.Join(told, err)
		}
	}
	cache, err := os.OpenRoot(filepath.Join(e.engine.folder, "features"))
	if err == nil {
		defer cache.Close()
	} else {
		cache = nil // the operator has put none there
	}
	features, findings := devcontainer.Load(tree, cache, config, e.vars)
	if err := e.findings(findings); err != nil {
		return nil, err
	}
	e.builds = buildsOf(config)
	image, err := e.image(ctx, tree, config, features)
	if err != nil {
		return nil, err
	}
	made, err := e.settle(ctx, config, features, image)
	if err != nil {
		return nil, err
	}
	if made.services, err = e.besides(ctx, tree, config); err != nil {
		e.discard(ctx, made)
		return nil, err
	}
	return made, e.begins(tree, made)
}

// discard removes the images that were made for an environment which is not had, when nobody else may have them.
func (e *environs) discard(ctx context.Context, made *environment) {
	for _, image := range made.memory().Trash {
		e.engine.discard(context.WithoutCancel(ctx), image)
	}
}

// begins makes sure that the folder in which programs are to begin is in the tree.
func (e *environs) begins(tree *os.Root, made *environment) error {
	below := strings.TrimPrefix(strings.TrimPrefix(made.dir, made.folder), "/")
	if below == "" {
		return nil
	}
	if info, err := tree.Stat(below); err == nil && info.IsDir() {
		return nil
	}
	said := made.dir
	made.dir = made.folder
	return e.notice(devcontainer.Ignored, "workspaceFolder", fmt.Sprintf("workspaceFolder is %s, and the repository has no folder %s: the agent begins in %s. Mend the path.", said, below, made.folder))
}

// settle decides what the container is made as, from the configuration and what stands below it.
func (e *environs) settle(ctx context.Context, config devcontainer.Config, features []devcontainer.LoadedFeature, image builtImage) (*environment, error) {
	below := make([]devcontainer.Config, 0, len(features)+1)
	for i := len(features) - 1; i >= 0; i-- { // the last that is installed is nearest
		below = append(below, features[i].Config)
		below[len(below)-1].ContainerEnv = nil // in the image already, expanded
	}
	label, findings := devcontainer.CheckLabel(image.label, e.vars)
	if err := e.findings(findings); err != nil {
		return nil, err
	}
	config = config.Under(append(below, label)...)
	made := &environment{config: config, image: image.id, labels: image.labels, trash: image.trash, folder: boxTree, base: map[string]string{}}
	owner, findings, err := e.engine.ownerIn(ctx, image, config.User())
	if err != nil {
		return nil, err
	}
	if err := e.findings(findings); err != nil {
		return nil, err
	}
	made.owner = owner
	made.place(config.Folder, e.vars.Name)
	made.fill(image.env)
	return made, nil
}

// place decides where the tree is mounted: where workspaceFolder says, or above it when that is a folder of the tree as
// the specification mounts it.
func (m *environment) place(folder, name string) {
	usual := "/workspaces/" + name
	switch {
	case folder == "":
	case strings.HasPrefix(folder, usual+"/"):
		m.folder = usual
	case strings.HasPrefix(folder, boxTree+"/"):
		m.folder = boxTree
	default:
		m.folder = folder
	}
	m.dir = or(folder, m.folder)
}

func or(first, then string) string {
	if first != "" {
		return first
	}
	return then
}

// failed tells why the repository's environment is not had. The error says that it could not be told.
func (e *environs) failed(why error) error {
	var unusable *devcontainer.UnusableError
	code, property, text := devcontainer.Failed, "", "The environment of devcontainer.json could not be made: "+sentence(why)
	if errors.As(why, &unusable) {
		code, property, text = unusable.Code, unusable.Property, unusable.Text
	}
	if tail := e.log.lastLines(30); tail != "" && code == devcontainer.Failed {
		text += "\n\nThe end of its log, which is on the node as " + e.log.name() + ":\n\n```\n" + tail + "\n```\n"
	}
	text += "\n\nThe work goes on in the node's default image."
	return e.notice(code, or(property, "devcontainer.json"), text)
}

// findings tells what is not done as the configuration says.
func (e *environs) findings(all []devcontainer.Finding) error {
	for _, one := range all {
		if e.told++; e.told == maxFindings {
			return e.notice(devcontainer.Ignored, "devcontainer.json", fmt.Sprintf("More than %d things in the configuration are not done as it says. The rest is not listed.", maxFindings))
		}
		if e.told > maxFindings {
			return nil
		}
		if err := e.notice(one.Code, one.Property, one.Text); err != nil {
			return err
		}
	}
	return nil
}

func (e *environs) notice(code devcontainer.Code, subject, text string) error {
	e.log.watch.flush()
	return e.tell(task.Event{Kind: task.Noticed, Text: text, Notice: &task.Notice{Code: string(code), Subject: printable(subject)}})
}
