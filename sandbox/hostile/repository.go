package hostile

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"sam/sandbox/hostile/orders"
)

// bait has a task work in the hostile repository.
func (w *world) bait(ctx context.Context) ([]Result, error) {
	before, err := w.look(ctx)
	if err != nil {
		return nil, err
	}
	o := orders.Orders{Attempts: append([]string{"repository"}, asRoot...), Targets: w.targets, Own: w.own}
	o.Attempts = append(o.Attempts, "pause")
	j, err := w.ask(trapped, 0, o)
	if err != nil {
		return nil, err
	}
	if _, err := j.reports(ctx, "repository"); err != nil {
		return nil, err
	}
	container, err := w.boxOf(ctx, j.id)
	if err != nil || container == nil {
		return nil, fmt.Errorf("find the hostile repository's container: %w", orNone(err, container))
	}
	container.rooted = true
	done, err := j.ends(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.leaves(ctx, j); err != nil {
		return nil, err
	}
	after, err := w.look(ctx)
	if err != nil {
		return nil, err
	}
	s := &scene{world: w, task: done, box: container, before: before, after: after}
	var results []Result
	for _, a := range w.baits() {
		results = append(results, a.judgedAs(ctx, s, "repository"))
	}
	for _, a := range w.attempts(nil) {
		if slices.Contains(asRoot, a.name) {
			result := a.judged(ctx, s)
			result.Name = "root-" + a.name
			results = append(results, result)
		}
	}
	return results, nil
}

// baited are the names of what bait judges.
func (w *world) baited() []string {
	var names []string
	for _, a := range w.baits() {
		names = append(names, a.name)
	}
	for _, name := range asRoot {
		names = append(names, "root-"+name)
	}
	return names
}

// asRoot is what is tried again in the hostile repository's workspace, whose agent is its container's root.
var asRoot = []string{"secrets-disk", "secrets-processes", "secrets-workspaces", "net-host", "net-engine", "poison-mirror", "poison-tools"}

// judgedAs judges what a repository did by one report of the intruder's: that there was a workspace of it.
func (a attempt) judgedAs(ctx context.Context, s *scene, reported string) Result {
	one := a
	one.name = reported
	result := one.judged(ctx, s)
	result.Name = a.name
	return result
}

// unless is an attempt of a repository's, which was made when there is a workspace of it.
func unless(name string, told telling, why func(*scene, said) string) attempt {
	return attempt{name: name, told: told, judge: func(_ context.Context, s *scene, r said) (Verdict, string) {
		if !r.Own {
			return Untried, "the workspace is not of the hostile repository: " + r.Said
		}
		if escaped := why(s, r); escaped != "" {
			return Escaped, escaped
		}
		return Refused, "nothing of it had an effect"
	}}
}

// ran says what of a repository's commands was run on the host.
func (w *world) ran(by ...string) func(*scene, said) string {
	return func(*scene, said) string {
		entries, err := os.ReadDir(w.ownedDir())
		if err != nil {
			return err.Error()
		}
		for _, entry := range entries {
			for _, one := range by {
				if strings.HasPrefix(entry.Name(), "by-"+one) {
					return entry.Name() + " was run on the host"
				}
			}
		}
		return ""
	}
}

// loose says what the container has that it should not.
func (w *world) loose(s *scene, _ said) string { return s.box.loose(w.nodeDir()+"/", w.options.Binary) }

func (w *world) baits() []attempt {
	return []attempt{
		unless("repo-initialize", noticed("devcontainer_refused", "initializeCommand"), w.ran("initialize")),
		unless("repo-features", noticed("devcontainer_refused", "owned"), func(s *scene, r said) string { return w.loose(s, r) + w.ran("feature")(s, r) }),
		unless("repo-image-labels", noticed("devcontainer_refused", "label"), func(s *scene, r said) string { return w.loose(s, r) + w.ran("label", "entrypoint")(s, r) }),
		unless("repo-image-cache", noticed("devcontainer_refused", "cacheFrom"), func(s *scene, _ said) string {
			if s.before.image != s.after.image {
				return "the image that every workspace has is another one"
			}
			return ""
		}),
		unless("repo-mounts", noticed("devcontainer_refused", "mounts"), w.loose),
		unless("repo-privileges", noticed("devcontainer_refused", "privileged"), w.loose),
		unless("repo-network", noticed("devcontainer_refused", "runArgs"), func(s *scene, _ said) string { return s.box.offline() }),
		unless("repo-environment", noticed("devcontainer_refused", "containerEnv"), func(_ *scene, r said) string { return w.stolen(r.Loot) }),
		unless("repo-git-config", noticed("repository_ignored", ".gitconfig"), w.ran("fsmonitor", "lfsconfig", "envrc")),
		unless("repo-hooks", noticed("repository_ignored", ".githooks"), w.ran("hook")),
		unless("repo-submodules", noticed("repository_ignored", "a, b, c"), func(s *scene, r said) string {
			if hits := w.traps["lfs"].sprung(); len(hits) > 0 {
				return "the trap was sprung: " + hits[0]
			}
			return w.ran("ext")(s, r)
		}),
		unless("repo-lfs", noticed("repository_ignored", "*.bin"), func(*scene, said) string {
			if hits := w.traps["lfs"].sprung(); len(hits) > 0 {
				return fmt.Sprintf("the address in .lfsconfig was asked: %s", hits[0])
			}
			return ""
		}),
		unless("repo-symlinks", noticed("repository_ignored", "host-link"), func(_ *scene, r said) string {
			if what := w.stolen(r.Loot); what != "" {
				return "through a link it has " + what
			}
			text, err := os.ReadFile(w.options.Dir + "/outside/canary")
			if err != nil || string(text) != w.secrets["a secret of the host"] {
				return fmt.Sprintf("what is outside has changed: %v", err)
			}
			return ""
		}),
	}
}

// honest shows that the node is as good as before.
func (w *world) honest(ctx context.Context) error {
	j, err := w.ask(repository, 0, orders.Orders{Attempts: []string{"honest"}})
	if err != nil {
		return err
	}
	done, err := j.ends(ctx)
	if err != nil {
		return fmt.Errorf("an honest task after it all: %w", err)
	}
	if done.state != "succeeded" || done.head == "" {
		return fmt.Errorf("an honest task after it all ended %s, %s", done.state, done.reason())
	}
	branch := fmt.Sprintf("refs/heads/sam/issue-%d", j.number)
	files, err := w.files(ctx, repository)
	if err != nil {
		return err
	}
	if !strings.Contains(files[branch], "honest.txt") || strings.Contains(files[branch], "owned") {
		return fmt.Errorf("the honest task's branch has %q", files[branch])
	}
	return nil
}
