package app

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sam/config"
	"sam/forge"
	"sam/task"
)

// projectFiles reads projects' files and holds them against what the operator allows. It implements runner.Files.
type projectFiles struct {
	github  *forge.Forge
	secrets *vault   // nil: the server keeps none
	agents  []string // that a project may choose
	network string   // the widest policy that a project may ask for
}

func newProjectFiles(c config.Server, github *forge.Forge, secrets *vault) projectFiles {
	agents := []string{c.Agent}
	for _, one := range c.Agents {
		if !slices.Contains(agents, one) {
			agents = append(agents, one)
		}
	}
	return projectFiles{github: github, secrets: secrets, agents: agents, network: c.Network.Policy}
}

// Settings implements runner.Files.
func (f projectFiles) Settings(ctx context.Context, p task.Project) (task.Settings, error) {
	data, err := f.github.ProjectFile(ctx, p, config.RepositoryFile, config.MaxRepositoryFile)
	if err != nil || len(data) == 0 {
		return task.Settings{}, unreadable(err)
	}
	r, err := config.ParseRepository(data)
	if err == nil {
		err = f.allowed(r)
	}
	if err != nil {
		return task.Settings{}, bad(err)
	}
	if err := f.there(ctx, p, r); err != nil {
		return task.Settings{}, err
	}
	return task.Settings{Environment: r.Environment, Agent: r.Agent, Network: r.Network, Devcontainer: r.Devcontainer}, nil
}

// unreadable adds to why the file was not even read what the person waits for, as bad does to what stands in it.
func unreadable(err error) error {
	if why := (task.SettingsError{}); errors.As(err, &why) {
		return task.SettingsError{Reason: why.Reason + " This starts by itself when that is mended on the default branch."}
	}
	return err
}

// bad is what the person reads who can mend the file.
func bad(err error) error {
	return task.SettingsError{Reason: fmt.Sprintf("%v. This starts by itself when that is mended on the default branch.", err)}
}

// devcontainerName is the name of a folder in .devcontainer.
var devcontainerName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)

// allowed says what is wrong with what a file asks for.
func (f projectFiles) allowed(r config.Repository) error {
	if r.Agent != "" && !slices.Contains(f.agents, r.Agent) {
		return r.Wrong("agent", "this is not an agent that SAM's operator lets projects choose; they are "+strings.Join(f.agents, ", "))
	}
	if r.Network != "" {
		networks := task.NetworkPolicies()
		switch asked := slices.Index(networks, r.Network); {
		case asked < 0:
			return r.Wrong("network", "this is no policy of the network; they are "+strings.Join(networks, ", "))
		case asked > slices.Index(networks, f.network):
			return r.Wrong("network", fmt.Sprintf("a project may ask for less than SAM's operator allows, which is %s, and not for more", f.network))
		}
	}
	if r.Devcontainer != "" && !devcontainerName.MatchString(r.Devcontainer) {
		return r.Wrong("devcontainer", "this is not the name of a folder in .devcontainer")
	}
	if len(r.Environment) > task.MaxSecrets {
		return r.Wrong("environment", fmt.Sprintf("the list has %d names and may have %d", len(r.Environment), task.MaxSecrets))
	}
	for i, name := range r.Environment {
		if why := task.NotSecretName(name); why != "" {
			return r.Wrong(entry(i), why)
		}
	}
	return nil
}

func entry(i int) string { return fmt.Sprintf("environment[%d]", i) }

// there says which secret a file names that the project cannot be given.
func (f projectFiles) there(ctx context.Context, p task.Project, r config.Repository) error {
	if len(r.Environment) == 0 {
		return nil
	}
	if f.secrets == nil {
		return bad(r.Wrong("environment", "this server keeps no secrets, for its operator has given it no keys (`sam keys new`)"))
	}
	open, closed, err := f.secrets.Secrets(ctx, p.ID, p.Account)
	if err != nil {
		return err
	}
	for i, name := range r.Environment {
		if slices.ContainsFunc(open, func(s task.Secret) bool { return s.Name == name }) {
			continue
		}
		why := closed[name]
		if why == "" {
			why = fmt.Sprintf("there is no such secret; the operator sets it with `sam secret set %s %s`", p.FullName(), name)
		}
		// The file may be right, and what is missing the operator's to do.
		return task.SettingsError{Reason: fmt.Sprintf("%v. This starts by itself when that is done, or the name is no longer in the file on the default branch.",
			r.Wrong(entry(i), fmt.Sprintf("`%s`: %s", name, why)))}
	}
	return nil
}
