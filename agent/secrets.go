package agent

import (
	"context"
	"maps"
	"slices"
	"strings"

	"sam/agent/wire"
	"sam/redact"
	"sam/task"
)

// secretWorkspace gives the project's secrets to the agent's own program. They go with the request that starts it: neither the
// container's configuration, which the engine keeps on its disk, nor any other program's environment holds them.
type secretWorkspace struct {
	Workspace
	env []string
}

func withSecrets(w Workspace, secrets wire.Secrets) Workspace {
	if len(secrets) == 0 {
		return w
	}
	var env []string
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		if task.NotSecretName(name) == "" { // an older gateway may allow what this node must not
			env = append(env, name+"="+secrets[name])
		}
	}
	return secretWorkspace{w, env}
}

// Exec implements Workspace.
func (w secretWorkspace) Exec(ctx context.Context, cmd Command) (Exit, error) {
	if cmd.Key == agentKey {
		cmd.Env = slices.Concat(w.env, cmd.Env) // what the driver sets is stronger
	}
	return w.Workspace.Exec(ctx, cmd)
}

// hide keeps secrets out of the file from now on, and the task's token as it stands in the environment, which agents like to print.
func (s *spool) hide(secrets wire.Secrets, token string) {
	list := make([]redact.Secret, 0, len(secrets))
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		list = append(list, redact.Secret{Name: name, Value: secrets[name]})
	}
	r := redact.New(list, redact.Secret{Name: "task token", Value: token})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hidden = r
}

// redacted is a text as the file may have it.
func (s *spool) redacted(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hidden.Text(text)
}

// withheld tells of the secrets that the project's file names and that the workspace has not got; false when it has all.
func withheld(s wire.Start) (task.Event, bool) {
	if len(s.Withheld) == 0 {
		return task.Event{}, false
	}
	return task.Event{
		Kind:   task.Noticed,
		Text:   "The agent works without secrets that `.github/sam.yml` names.\n\n- " + strings.Join(s.Withheld, "\n- "),
		Notice: &task.Notice{Code: "secret_withheld", Subject: ".github/sam.yml"},
	}, true
}
