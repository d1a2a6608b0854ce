package gateway

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"sam/agent/wire"
	"sam/task"
)

// vault holds the project's secrets, and those that it had.
type vault struct {
	mu     sync.Mutex
	open   []task.Secret
	was    []task.Secret
	closed map[string]string
	away   bool
}

func (v *vault) Secrets(_ context.Context, project, account int64) ([]task.Secret, map[string]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.away || project != testProject || account != 5 {
		return nil, nil, errors.New("the store is away")
	}
	return v.open, v.closed, nil
}

func (v *vault) Redacted(_ context.Context, project int64) ([]task.Secret, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.away || project != testProject {
		return nil, errors.New("the store is away")
	}
	return append(append([]task.Secret{}, v.open...), v.was...), nil
}

func (v *vault) set(away bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.away = away
}

// withVault is a world whose project has two secrets, had another, and has one that cannot be opened.
func withVault(t *testing.T) (*nodeWorld, *vault) {
	t.Helper()
	w := newNodeWorld(t)
	v := &vault{
		open: []task.Secret{{Name: "API_TOKEN", Value: "hunter2hunter2"}, {Name: "OTHER", Value: "correct horse"}},
		was:  []task.Secret{{Name: "API_TOKEN", Value: "an older value"}}, closed: map[string]string{"SHUT": "its key is not here"},
	}
	w.gateway.redactors.secrets = v
	return w, v
}

// placeWith places the task of an issue with the settings of its project.
func (w *nodeWorld) placeWith(number int, settings string) task.Task {
	w.t.Helper()
	spec := w.spec(number)
	if _, err := w.store.CreateTask(w.t.Context(), spec, task.Change{}); err != nil {
		w.t.Fatal(err)
	}
	claimed := w.claim(spec.ID)
	start := task.Command{Kind: task.CommandStart, Task: claimed.ID, Epoch: claimed.Epoch, Prompt: "please"}
	if err := w.store.Place(w.t.Context(), claimed, "local", start, task.Change{Fields: map[task.Field]string{
		task.FieldBranch: strings.TrimPrefix(samBranch, headsPrefix), task.FieldBase: "main", task.FieldSettings: settings,
	}}); err != nil {
		w.t.Fatal(err)
	}
	return w.read(spec.ID)
}

func TestAWorkspaceIsGivenTheSecretsThatItsProjectNamesAndNoOthers(t *testing.T) {
	t.Parallel()
	w, _ := withVault(t)
	p, _ := w.link("local")
	w.placeWith(1, `{"environment":["API_TOKEN","SHUT","GONE"]}`)
	got := p.hear(wire.TypeStart).Start
	if !reflect.DeepEqual(got.Secrets, wire.Secrets{"API_TOKEN": "hunter2hunter2"}) {
		t.Errorf("given %d secrets", len(got.Secrets))
	}
	if said := strings.Join(got.Withheld, "\n"); len(got.Withheld) != 2 || !strings.Contains(said, "`SHUT`: its key is not here") || !strings.Contains(said, "`GONE`: there is no such") {
		t.Errorf("withheld %q", said)
	}
	w.placeWith(2, `{"devcontainer":"go"}`)
	if got := p.hear(wire.TypeStart).Start; len(got.Secrets) != 0 || len(got.Withheld) != 0 || got.Environment != "go" || got.Untrusted {
		t.Errorf("without a word of the project: %s, %q", got.Secrets, got.Withheld)
	}
}

func TestANodeThatRestartedIsGivenTheSecretsAgain(t *testing.T) {
	t.Parallel()
	w, _ := withVault(t)
	p, _ := w.link("local")
	placed := w.placeWith(1, `{"environment":["OTHER"]}`)
	p.hear(wire.TypeStart)
	_, welcome := w.link("local", refOf(placed))
	if len(welcome.Resume) != 1 || !reflect.DeepEqual(welcome.Resume[0].Secrets, wire.Secrets{"OTHER": "correct horse"}) {
		t.Errorf("resumed with %+v", welcome.Resume)
	}
}

func TestAnUntrustedBranchIsGivenNoSecrets(t *testing.T) {
	w, _ := withVault(t)
	given, withheld, err := w.gateway.environment(t.Context(), task.Task{
		Spec: w.spec(1), Untrusted: true, Settings: task.Settings{Environment: []string{"API_TOKEN"}},
	})
	if err != nil || len(given) != 0 || !strings.Contains(strings.Join(withheld, ""), "may not write") {
		t.Errorf("given %s, withheld %q, %v", given, withheld, err)
	}
}

func TestWithoutKeysASecretIsWithheldAndTheTaskRuns(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, _ := w.link("local")
	w.placeWith(1, `{"environment":["API_TOKEN"]}`)
	if got := p.hear(wire.TypeStart).Start; len(got.Secrets) != 0 || !strings.Contains(strings.Join(got.Withheld, ""), "`keys`") {
		t.Errorf("%s, withheld %q", got.Secrets, got.Withheld)
	}
}

func TestNoSecretIsStoredOfWhatAnAgentSays(t *testing.T) {
	t.Parallel()
	w, _ := withVault(t)
	p, _ := w.link("local")
	placed := w.placeWith(1, `{"environment":["API_TOKEN"]}`)
	p.hear(wire.TypeStart)
	p.events(refOf(placed), stepped(1, task.StepMirror), stepped(2, task.StepAgent),
		task.Event{Seq: 3, Kind: task.Said, Text: "it is hunter2hunter2, was an older value; aHVudGVyMmh1bnRlcjI=", Raw: []byte(`{"a":{"correct horse":1}}`)},
		task.Event{Seq: 4, Kind: task.Asked, Text: "may I use hunter2hunter2?", Ask: &task.Ask{ID: "q", Options: []string{"hunter2hunter2"}}},
	)
	p.acked(refOf(placed), 4)
	if now := w.read(placed.ID); now.Ask == nil || now.Ask.Text != "may I use «API_TOKEN»?" || now.Ask.ID != "q" {
		t.Errorf("asked: %+v", now.Ask)
	}
	p.events(refOf(placed), task.Event{Seq: 5, Kind: task.Finished, End: &task.End{
		Outcome: task.Done, Headline: "Use hunter2hunter2", Summary: "hunter2hunter2", Reason: "hunter2hunter2",
	}})
	p.acked(refOf(placed), 5)
	events, err := w.store.Events(t.Context(), placed.ID, 0, 100)
	if err != nil || len(events) != 5 {
		t.Fatal(len(events), err)
	}
	for _, e := range events {
		for _, value := range []string{"hunter2", "older value", "correct horse", "aHVudGVy"} {
			if strings.Contains(string(e.JSON), value) {
				t.Errorf("stored: %s", e.JSON)
			}
		}
	}
	if first := string(events[2].JSON); !strings.Contains(first, "it is «API_TOKEN», was «API_TOKEN»; «API_TOKEN»") || !strings.Contains(first, "«OTHER»") {
		t.Errorf("stored: %s", first)
	}
	ended, err := w.store.Claim(t.Context(), placed.ID)
	if err != nil || ended.End == nil || ended.End.Headline != "Use «API_TOKEN»" || ended.End.Summary != "«API_TOKEN»" || ended.End.Reason != "«API_TOKEN»" {
		t.Errorf("ended: %+v, %v", ended.End, err)
	}
}

func TestWhileSecretsCannotBeReadNothingIsStoredAndNothingIsLost(t *testing.T) {
	t.Parallel()
	w, v := withVault(t)
	p, _ := w.link("local")
	placed := w.placeWith(1, `{"environment":["API_TOKEN"]}`)
	p.hear(wire.TypeStart)
	v.set(true)
	p.events(refOf(placed), task.Event{Seq: 1, Kind: task.Said, Text: "hunter2hunter2"})
	_ = p.ended()
	if got := w.stored(placed.ID); len(got) != 0 {
		t.Fatalf("stored %v", got)
	}
	v.set(false)
	p, welcome := w.link("local", refOf(placed))
	if len(welcome.Resume) != 1 || welcome.Resume[0].After != 0 {
		t.Fatalf("resumed %+v", welcome.Resume)
	}
	p.hear(wire.TypeStart) // it was not confirmed
	p.events(refOf(placed), task.Event{Seq: 1, Kind: task.Said, Text: "hunter2hunter2"})
	p.acked(refOf(placed), 1)
}

func TestAProjectNarrowsTheNetworkAndNeverWidensIt(t *testing.T) {
	for _, one := range []struct{ operator, project, want string }{
		{"registries", "", "registries"},
		{"registries", "brokers", "brokers"},
		{"registries", "open", "registries"},
		{"brokers", "registries", "brokers"},
		{"open", "registries", "registries"},
		{"open", "anything", "open"},
	} {
		g := &Gateway{out: &wire.Network{Policy: one.operator, Hosts: []string{"example.com"}}}
		got := g.network(task.Task{Settings: task.Settings{Network: one.project}})
		if got.Policy != one.want || len(got.Hosts) != 1 || g.out.Policy != one.operator {
			t.Errorf("of %s a project that asks for %q gets %s", one.operator, one.project, got.Policy)
		}
	}
	if got := (&Gateway{}).network(task.Task{Settings: task.Settings{Network: "open"}}); got != nil {
		t.Errorf("of nothing it gets %+v", got)
	}
}
