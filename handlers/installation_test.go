package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sam/handlers"
	"sam/task"
)

func TestMachinesGoBeforeAProjectIsForgotten(t *testing.T) {
	for name, remove := range map[string]func(*world) error{
		"uninstalled":        func(w *world) error { return w.hub.Uninstall(w.install.ID) },
		"repository removed": func(w *world) error { return w.hub.RemoveRepositories(w.install.ID, "hello") },
	} {
		t.Run(name, func(t *testing.T) {
			w, _, id := asked(t, "/sam make it fast")
			w.settle()
			w.begin(id, 0)
			account := w.task(id).Account
			_, err := w.store.ChangeAccount(t.Context(), account, func(a task.Account) (task.Account, error) {
				a.Token = []byte("sealed")
				return a, nil
			})
			w.check(err)
			w.check(remove(w))
			gone := w.settle()
			got := w.task(id)
			if !strings.Contains(got.Cancel, "SAM has no access to this repository any more") || got.State != task.Running {
				t.Fatalf("it is %s, cancelled because %q", got.State, got.Cancel)
			}
			if _, err := w.store.Project(t.Context(), w.repository("hello")); err != nil {
				t.Fatalf("forgotten while its task still runs: %v", err)
			}
			w.check(w.store.NoteProgress(t.Context(), got, got.Epoch, task.Progress{End: &task.End{Outcome: task.Stopped}}, nil))
			claimed, err := w.store.Claim(t.Context(), id)
			w.check(err)
			w.check(w.store.Move(t.Context(), claimed.Task, task.Cancelled, task.Change{}))
			w.handle(gone[len(gone)-1])
			if _, err := w.store.Project(t.Context(), w.repository("hello")); !errors.Is(err, task.ErrNotFound) {
				t.Errorf("not forgotten: %v", err)
			}
			a, err := w.store.Account(t.Context(), account)
			if w.check(err); a.Withdrawn != (name == "uninstalled") {
				t.Errorf("the account's token is withdrawn: %v", a.Withdrawn)
			}
		})
	}
}

func TestAnAccountThatTakesItsRepositoriesAwayAndThenRemovesTheAppIsWithdrawn(t *testing.T) {
	w := newWorld(t)
	w.settle()
	p, err := w.store.Project(t.Context(), w.repository("hello"))
	w.check(err)
	account := p.Account
	_, err = w.store.ChangeAccount(t.Context(), account, func(a task.Account) (task.Account, error) {
		a.Token = []byte("sealed")
		return a, nil
	})
	w.check(err)
	w.check(w.hub.RemoveRepositories(w.install.ID, "hello", "secret"))
	w.settle()
	a, err := w.store.Account(t.Context(), account)
	if w.check(err); a.Withdrawn {
		t.Fatal("it still has the App, and its token is withdrawn")
	}
	w.check(w.hub.Uninstall(w.install.ID))
	w.settle()
	a, err = w.store.Account(t.Context(), account)
	if w.check(err); !a.Withdrawn {
		t.Error("it has the App no more, and its token is kept")
	}
}

func TestASuspendedInstallationsTasksEndAndItsProjectsStay(t *testing.T) {
	w, _, id := asked(t, "/sam make it fast")
	asked := w.settle()
	w.check(w.hub.Suspend(w.install.ID))
	w.settle()
	if got := w.task(id); !strings.Contains(got.Cancel, "suspended") {
		t.Errorf("cancelled because %q", got.Cancel)
	}
	if got := w.projects(); !reflect.DeepEqual(got, []string{"octo/hello", "octo/secret"}) {
		t.Errorf("projects are %v", got)
	}
	w.handle(asked[0]) // recorded before, and read only now: it must not come back for ever
	if w.count("sam_requests_ignored_total", "suspended") != 1 || !w.logged("installation that is suspended") {
		t.Errorf("not counted, or not logged: %s", w.log)
	}
	w.check(w.hub.Unsuspend(w.install.ID))
	comment := w.comment("ada", "hello", 1, "/sam make it fast now")
	w.settle()
	w.task(task.NewID(w.repository("hello"), task.CommentSource(comment), 0))
}

func TestARenamedRepositoryIsTheSameProject(t *testing.T) {
	w, _, id := asked(t, "/sam make it fast")
	w.settle()
	_, err := w.hub.RenameRepository("octo", "octo", "hello", "goodbye")
	w.check(err)
	w.settle()
	if got := w.projects(); !reflect.DeepEqual(got, []string{"octo/goodbye", "octo/secret"}) {
		t.Errorf("projects are %v", got)
	}
	if got := w.task(id); got.Cancel != "" {
		t.Errorf("its task is cancelled because %q", got.Cancel)
	}
	if !w.logged("has a new name", "octo/hello", "octo/goodbye") {
		t.Errorf("not logged: %s", w.log)
	}
}

func TestARepositoryThatGoesToAnotherAccountTakesNoTasksAlong(t *testing.T) {
	w, _, id := asked(t, "/sam make it fast")
	w.settle()
	there, err := w.hub.Install(w.app.ID, "tess")
	w.check(err)
	w.settle()
	_, err = w.hub.TransferRepository("octo", "octo", "hello", "tess")
	w.check(err)
	w.settle()
	w.handle(task.Delivery{ID: "again", Event: "installation", Body: []byte(`{"installation":` + strconv.FormatInt(there.ID, 10) + `}`)})
	got := w.task(id)
	if !strings.Contains(got.Cancel, "moved to another account") {
		t.Errorf("cancelled because %q", got.Cancel)
	}
	p, err := w.store.Project(t.Context(), w.repository("hello"))
	w.check(err)
	if p.FullName() != "tess/hello" || p.Installation != there.ID {
		t.Errorf("the project is %+v", p)
	}
}

func TestTasksStayBehindWhenACommentIsTheFirstToTellThatARepositoryWent(t *testing.T) {
	w, _, id := asked(t, "/sam make it fast")
	w.settle()
	there, err := w.hub.Install(w.app.ID, "tess")
	w.check(err)
	_, err = w.hub.TransferRepository("octo", "octo", "hello", "tess")
	w.check(err)
	w.check(w.hub.SetCollaborator("tess", "hello", "ada", "write"))
	_, err = w.hub.CreateComment("ada", "tess", "hello", 1, "/sam make it faster")
	w.check(err)
	for _, d := range w.late() {
		if d.Event == "issue_comment" {
			w.handle(d)
		}
	}
	if got := w.task(id); !strings.Contains(got.Cancel, "went from octo/hello to tess/hello") {
		t.Errorf("the task of the account that it left is cancelled because %q", got.Cancel)
	}
	p, err := w.store.Project(t.Context(), w.repository("hello"))
	w.check(err)
	if p.Installation != there.ID {
		t.Errorf("the project is %+v", p)
	}
}

func TestWhatWasAskedForBeforeARepositoryWentIsAskedWhereItIs(t *testing.T) {
	for name, went := range map[string]func(*world){
		"to another account": func(w *world) {
			_, err := w.hub.Install(w.app.ID, "tess")
			w.check(err)
			w.settle()
			_, err = w.hub.TransferRepository("octo", "octo", "hello", "tess")
			w.check(err)
			w.check(w.hub.SetCollaborator("tess", "hello", "ada", "write"))
		},
		"to a new installation of the same": func(w *world) {
			w.check(w.hub.Uninstall(w.install.ID))
			_, err := w.hub.Install(w.app.ID, "octo")
			w.check(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.issue("hello", "Uploads are slow")
			w.settle()
			went(w)
			w.settle()
			body := strings.NewReplacer(`"repository":{"id":7`, fmt.Sprintf(`"repository":{"id":%d`, w.repository("hello")),
				`"installation":{"id":2}`, fmt.Sprintf(`"installation":{"id":%d}`, w.install.ID)).Replace(comment) // delivered late
			if code, answer := w.post("issue_comment", guid, body, nil); code != 200 {
				t.Fatalf("%d %s", code, answer)
			}
			w.settle()
			p, err := w.store.Project(t.Context(), w.repository("hello"))
			w.check(err)
			if got := w.task(task.NewID(p.ID, task.CommentSource(5), 0)); got.Repository != p.FullName() || got.Installation != p.Installation || got.Cancel != "" {
				t.Errorf("the task is of %s, installation %d, cancelled because %q", got.Repository, got.Installation, got.Cancel)
			}
		})
	}
}

// mute is a GitHub that answers nothing.
type mute struct{}

var errMute = errors.New("502 Bad Gateway")

func (mute) Role(context.Context, task.Project, string) (task.Role, error) {
	return task.RoleNone, errMute
}
func (mute) Projects(context.Context, int64) ([]task.Project, error) { return nil, errMute }
func (mute) Whereabouts(context.Context, task.Project) (task.Project, error) {
	return task.Project{}, errMute
}
func (mute) ThreadState(context.Context, task.Project, task.Task) (task.ThreadState, error) {
	return task.ThreadState{}, errMute
}
func (mute) Closed(context.Context, task.Project, task.Spec) (bool, error) { return false, errMute }

func TestADeliveryThatCannotBeHandledIsTriedForADayAndNotForEver(t *testing.T) {
	d := newDoor(t, mute{}, 42)
	recorded := task.Delivery{ID: guid, Event: "installation", Body: []byte(`{"installation":2}`), At: time.Now().Add(-23 * time.Hour)}
	if err := d.webhook.Handle(d.ctx(), recorded); !errors.Is(err, errMute) {
		t.Errorf("within a day: %v", err)
	}
	recorded.At = time.Now().Add(-25 * time.Hour)
	if err := d.webhook.Handle(d.ctx(), recorded); err != nil {
		t.Errorf("after a day: %v", err)
	}
	if d.count("sam_requests_ignored_total", "given_up") != 1 || !d.logged("it is given up", "502") {
		t.Errorf("not counted, or not logged: %s", d.log)
	}
}

// full is a store without room for a new task.
type full struct{ *tapped }

func (full) CreateTask(context.Context, task.Spec, task.Change) (bool, error) {
	return false, task.ErrNoRoom
}

func TestWhereThereIsNoRoomForATaskTheWriterIsToldAndNothingIsTriedAgain(t *testing.T) {
	w, comment, id := asked(t, "/sam make it fast")
	base := w.base
	base.Store = full{w.store}
	webhook, err := handlers.NewWebhook(base, secret)
	w.check(err)
	for _, d := range w.late() {
		w.check(webhook.Handle(w.ctx(), d))
	}
	w.none(id)
	targets, replies := w.owed()
	if len(replies) != 1 || !strings.Contains(replies[0], "@ada, nothing was started") || !strings.Contains(replies[0], "maxmemory") {
		t.Errorf("told %q", replies)
	}
	if want := "reaction:" + strconv.FormatInt(w.repository("hello"), 10) + ":1:" + strconv.FormatInt(comment, 10) + ":confused"; !slices.Contains(targets, want) {
		t.Errorf("owed %v, want %s", targets, want)
	}
	if w.count("sam_requests_ignored_total", "no_room") != 1 || !w.logged(string(id), "give Redis more memory") {
		t.Errorf("not counted, or not logged: %s", w.log)
	}
}
