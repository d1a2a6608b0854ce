package hostile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"

	"sam/sandbox/github"
	"sam/sandbox/seed"
)

// The repositories: one where the intruder works, two that are hostile themselves, and one that neither has anything to do with.
const (
	owner      = "harbour"
	maintainer = "ada"
	repository = "quayside"
	trapped    = "wreck"
	composed   = "hulk" // hostile by its compose file and its image
	bystander  = "lighthouse"
)

// openHub starts GitHub's stand-in with the people, the repositories and the App.
func (w *world) openHub(ctx context.Context) (err error) {
	if w.hub, err = github.New(github.Options{Log: zerolog.Nop()}); err != nil { //nolint:contextcheck // the stand-in is called as a service is
		return err
	}
	w.later(func(context.Context) error { return w.hub.Close() })
	address, err := w.door(ctx, w.hub.Handler())
	if err != nil {
		return err
	}
	w.hub.SetURL("http://" + address)
	w.targets["github"], w.targets["port-github"] = address, address
	if _, err := w.hub.CreateUser(maintainer); err != nil {
		return fmt.Errorf("make a person: %w", err)
	}
	if _, err := w.hub.CreateOrganization(owner, maintainer); err != nil {
		return fmt.Errorf("make an organisation: %w", err)
	}
	files := seed.Files()
	files["CANARY.md"] = []byte("Whoever reads this tree finds " + w.own + "\n")
	for _, name := range []string{repository, trapped, composed, bystander} {
		spec := github.RepositorySpec{Owner: owner, Name: name, Files: files}
		switch name {
		case repository:
			spec.Protected = []string{"main"}
		case composed:
			spec.Files = maps.Clone(files)
			maps.Copy(spec.Files, w.composedFiles())
		}
		if _, err := w.hub.CreateRepository(spec); err != nil { //nolint:contextcheck // likewise
			return fmt.Errorf("make a repository: %w", err)
		}
	}
	if w.app, err = w.hub.CreateApp(github.AppSpec{Name: "SAM", Owner: maintainer, Permissions: w.options.Permissions, Events: w.options.Events}); err != nil { //nolint:contextcheck // likewise
		return fmt.Errorf("register the App: %w", err)
	}
	if w.person, err = w.hub.CreatePersonalToken(maintainer); err != nil {
		return fmt.Errorf("make a token: %w", err)
	}
	w.secrets["a person's token"] = w.person
	key := string(w.app.PrivateKeyPEM)
	w.secrets["the App's key"] = key[:min(len(key), 80)]
	w.secrets["the webhook's secret"] = w.app.WebhookSecret
	return errors.Join(w.write("app.pem", key), w.write("webhook-secret", w.app.WebhookSecret+"\n"), w.victim(ctx), w.setBait(ctx))
}

// cloneURL is where a person pushes to and fetches from, past SAM.
func (w *world) cloneURL(name string) string {
	return strings.Replace(w.hub.URL(), "://", "://x:"+w.person+"@", 1) + "/" + owner + "/" + name + ".git"
}

// victim makes a branch that is somebody else's.
func (w *world) victim(ctx context.Context) error {
	dir := filepath.Join(w.options.Dir, "victim")
	if _, err := run(ctx, "", "git", "clone", "--quiet", w.cloneURL(repository), dir); err != nil {
		return err
	}
	_, err := run(ctx, dir, "git", "push", "--quiet", "origin", "HEAD:refs/heads/victim")
	return err
}

// refs are a repository's, as anybody may ask for them.
func (w *world) refs(ctx context.Context, name string) (map[string]string, error) {
	out, err := run(ctx, "", "git", "ls-remote", w.cloneURL(name))
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, line := range strings.Split(out, "\n") {
		if id, ref, ok := strings.Cut(line, "\t"); ok {
			all[ref] = id
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no refs", name)
	}
	return all, nil
}

// files lists the paths of every branch of a repository.
func (w *world) files(ctx context.Context, name string) (map[string]string, error) {
	dir, err := os.MkdirTemp(w.options.Dir, "look-")
	if err != nil {
		return nil, fmt.Errorf("make a folder to look from: %w", err)
	}
	if _, err := run(ctx, "", "git", "clone", "--quiet", "--mirror", w.cloneURL(name), dir); err != nil {
		return nil, err
	}
	refs, err := run(ctx, dir, "git", "for-each-ref", "--format=%(refname)", "refs/heads")
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, ref := range strings.Fields(refs) {
		if all[ref], err = run(ctx, dir, "git", "ls-tree", "-r", "--name-only", ref); err != nil {
			return nil, err
		}
	}
	return all, nil
}
