package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sam/sandbox/github"
	"sam/sandbox/seed"
)

// The people of a run: one who may ask, and one who may not.
const (
	writer   = "ada"
	stranger = "eve"
)

// accounts and repositories: every account has every repository.
var (
	accounts     = []string{"harbour", "lighthouse"}
	repositories = []string{"quayside", "slipway"}
)

// people makes the accounts, their repositories and the App.
func (w *world) people() error {
	for _, login := range []string{writer, stranger} {
		if _, err := w.hub.CreateUser(login); err != nil {
			return fmt.Errorf("make user %s: %w", login, err)
		}
	}
	for _, owner := range accounts {
		who, err := w.hub.CreateOrganization(owner, writer)
		if err != nil {
			return fmt.Errorf("make organisation %s: %w", owner, err)
		}
		w.owners = append(w.owners, who.ID)
		for _, name := range repositories {
			if _, err := w.hub.CreateRepository(github.RepositorySpec{Owner: owner, Name: name, Files: seed.Files()}); err != nil {
				return fmt.Errorf("make repository %s/%s: %w", owner, name, err)
			}
		}
	}
	var err error
	w.app, err = w.hub.CreateApp(github.AppSpec{
		Name: "SAM", Owner: writer, Permissions: w.options.Permissions, Events: w.options.Events,
	})
	if err != nil {
		return fmt.Errorf("register the App: %w", err)
	}
	return nil
}

// install installs the App on every account, waits until Redis knows every project and every standing node is ready, and gives each
// account what it is to work on.
func (w *world) install(ctx context.Context) error {
	for _, owner := range accounts {
		if _, err := w.hub.Install(w.app.ID, owner); err != nil {
			return fmt.Errorf("install the App on %s: %w", owner, err)
		}
	}
	err := until(ctx, 200*time.Millisecond, func() error {
		keys, err := keysOf(ctx, w.redis)
		if err != nil {
			return err
		}
		projects, ready := 0, 0
		for _, key := range keys {
			switch kindOf(key) {
			case "project":
				projects++
			case "node":
				state, err := list(ctx, w.redis, "HGET", key, "state")
				if err != nil {
					return err
				}
				if len(state) == 1 && state[0] == "ready" {
					ready++
				}
			}
		}
		if projects < len(accounts)*len(repositories) || ready < len(w.nodes) {
			return errors.New(fmt.Sprint(projects, " projects and ", ready, " nodes are there"))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait for the projects and the nodes: %w", err)
	}
	return w.rent(ctx)
}
