package app

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sam/agent"
	"sam/sandbox/seed"
	"sam/task"
)

// page is the text of a task's page as the server sends it.
func (w *world) page(t *testing.T, id task.ID) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.pages.url()+"/tasks/"+string(id), nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the task's page: %s, %v", response.Status, err)
	}
	return string(text)
}

// environments are two that a project may have, each with what a task's page is to say of it.
func environments() []furnishing {
	const setUp = `"postCreateCommand": "echo set up by $(id -un) && go mod download && echo has the dependency"`
	return []furnishing{
		{
			name: "of an image", user: "sam",
			files: map[string]string{
				".devcontainer.json": `{"image": "` + agent.DefaultImage + `", "remoteUser": "sam",
					"containerEnv": {"SSL_CERT_FILE": "${containerWorkspaceFolder}/.devcontainer/registry.crt"}, ` + setUp + `}`,
			},
			note:    "as .devcontainer.json says, as the user sam; postCreateCommand in ",
			printed: []string{"postCreateCommand of devcontainer.json|set up by sam\n", "|has the dependency\n"},
			asked:   []string{moduleVersion + ".mod", moduleVersion + ".zip"},
		},
		{
			name: "made from a Dockerfile", user: "dev",
			files: map[string]string{
				".devcontainer/Dockerfile": "FROM " + agent.DefaultImage + "\nUSER root\nRUN useradd --create-home --uid 1234 dev && chown -R dev /var/cache/go-build\n" +
					"COPY registry.crt /usr/local/share/ca-certificates/\nRUN update-ca-certificates\n" +
					"RUN curl -fsS https://" + registryHost + "/" + modulePath + "/@v/list | sed 's/^/the registry has /'\n",
				".devcontainer/devcontainer.json": `{"build": {"dockerfile": "Dockerfile"}, "remoteUser": "dev", ` + setUp + `}`,
			},
			note:    "as .devcontainer/devcontainer.json says, as the user dev; postCreateCommand in ",
			printed: []string{"building .devcontainer/Dockerfile|the registry has " + moduleVersion + "\n", "postCreateCommand of devcontainer.json|set up by dev\n", "|has the dependency\n"},
			asked:   []string{"list", moduleVersion + ".mod", moduleVersion + ".zip"},
		},
	}
}

type furnishing struct {
	name, user string
	files      map[string]string
	note       string   // of the step, when it is done
	printed    []string // while it was made, each after what was done then
	asked      []string // of the registry
}

func TestTheRealAgentWorksInTheProjectsOwnEnvironment(t *testing.T) {
	o := newOutside(t)
	inContainers(t, worldOptions{outside: o.options()}, func(t *testing.T, w *world) {
		for i, row := range environments() {
			t.Run(row.name, func(t *testing.T) {
				o.forget()
				files := o.depending(row.user)
				files[".devcontainer/registry.crt"] = string(o.trust)
				maps.Copy(files, row.files)
				w.push(t, files)
				issue, err := w.hub.CreateIssue(maintainer, seed.Owner, seed.Repository, "Uploads can be flooded", "")
				if err != nil {
					t.Fatal(err)
				}
				w.say(t, maintainer, issue.Number, "/sam add rate limiting to /api/upload")
				done := w.ends(t, i+1)[i]
				if err := w.verify(done, &summary{}); err != nil {
					t.Fatalf("%v: %s\n%s", err, done.Failure, w.said(t, done.ID))
				}
				if done.Workspace != agent.KindDocker || done.Agent != "claude" || done.Spent.Requests == 0 {
					t.Errorf("ended as %+v", done)
				}
				gapFree(t, w, done)
				w.furnished(t, done.ID, row)
				o.carried(t, row.asked)
				page := w.page(t, done.ID)
				for _, words := range []string{"set up by " + row.user, "as the user " + row.user, "go test ./...", fmt.Sprintf("#%d", done.Pull)} {
					if !strings.Contains(page, words) {
						t.Errorf("the page does not say %q", words)
					}
				}
			})
		}
	})
}

// furnished checks what a task's events say of its environment, and that the agent's run of the tests passed in it.
func (w *world) furnished(t *testing.T, id task.ID, want furnishing) {
	t.Helper()
	made, tested := "", ""
	missing := slices.Clone(want.printed)
	for _, e := range w.events(t, id) {
		switch {
		case e.Kind == task.Noticed && (strings.HasPrefix(e.Notice.Code, "devcontainer_") || e.Notice.Code == "host_refused"):
			t.Errorf("it was told of %s: %s", e.Notice.Subject, e.Text)
		case e.Step != nil && e.Step.Name == task.StepEnvironment && e.Step.UnderWay:
			missing = slices.DeleteFunc(missing, func(one string) bool {
				doing, line, _ := strings.Cut(one, "|")
				return strings.HasPrefix(e.Step.Note, doing) && strings.Contains("\n"+e.Text, "\n"+line)
			})
		case e.Step != nil && e.Step.Name == task.StepEnvironment:
			made = e.Step.Note
		case e.Kind == task.ToolFinished && strings.Contains(e.Tool.Output, "ok  \tquayside") && !e.Tool.Failed:
			tested = e.Tool.Output
		}
	}
	if !strings.HasPrefix(made, want.note) || tested == "" || len(missing) > 0 {
		t.Errorf("the environment is made %q, want %q; the tests printed %q; never printed was %q", made, want.note, tested, missing)
	}
}
