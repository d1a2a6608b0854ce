package forge_test

import (
	"testing"
	"time"

	"sam/task"
)

func TestWhatIsOwedFollowsAProjectThatWasRenamed(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.issue()
	_, err := d.hub.RenameRepository("octo", "octo", "hello", "goodbye")
	d.check(err)
	d.owe(task.ReplyEffect(spec.Project, 1, "k", "Say more."))
	d.deliver()
	p, err := d.ledger.Project(t.Context(), spec.Project)
	if err != nil || p.FullName() != "octo/goodbye" {
		t.Errorf("the ledger knows %+v, %v", p, err)
	}
	d.pass(time.Second)
	d.deliver()
	if comments, err := d.hub.Comments("octo", "goodbye", 1); err != nil || len(comments) != 2 || len(d.ledger.settled) != 1 {
		t.Errorf("%d comments, %v; settled %v", len(comments), err, d.ledger.settled)
	}
}

func TestAnEditOfARenamedProjectIsNotTakenForDone(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.task()
	d.deliver()
	_, err := d.hub.RenameRepository("octo", "octo", "hello", "goodbye")
	d.check(err)
	d.end(spec)
	for range 3 {
		d.deliver()
		d.pass(time.Second)
	}
	comments, err := d.hub.Comments("octo", "goodbye", 1)
	d.check(err)
	if len(comments) != 3 || comments[1].Body[:26] != "**SAM could not finish**\n\n" {
		t.Errorf("there are %d comments: %+v", len(comments), comments)
	}
}

func TestWhatIsOwedFollowsAProjectToAnotherInstallation(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.issue()
	there, err := d.hub.Install(d.app.ID, "ada")
	d.check(err)
	_, err = d.hub.TransferRepository("octo", "octo", "hello", "ada")
	d.check(err)
	d.owe(task.ReplyEffect(spec.Project, 1, "k", "Say more."))
	for range 3 {
		d.deliver()
		d.pass(5 * time.Second)
	}
	p, err := d.ledger.Project(t.Context(), spec.Project)
	if err != nil || p.FullName() != "ada/hello" || p.Installation != there.ID {
		t.Errorf("the ledger knows %+v, %v; want it ada's, of installation %d", p, err, there.ID)
	}
	if comments, err := d.hub.Comments("ada", "hello", 1); err != nil || len(comments) != 2 {
		t.Errorf("%d comments, %v", len(comments), err)
	}
}

func TestWhatIsOwedIsToldInAProjectOfWhichItIsOnlyKnownThatItLeft(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.issue()
	before, err := d.ledger.Project(t.Context(), spec.Project)
	d.check(err)
	_, err = d.hub.Install(d.app.ID, "ada")
	d.check(err)
	_, err = d.hub.TransferRepository("octo", "octo", "hello", "ada")
	d.check(err)
	d.check(d.ledger.RemoveProject(t.Context(), before))
	d.owe(task.ReplyEffect(spec.Project, 1, "k", "Say more."))
	d.deliver()
	if comments, err := d.hub.Comments("ada", "hello", 1); err != nil || len(comments) != 2 {
		t.Errorf("%d comments, %v; settled %v", len(comments), err, d.ledger.settled)
	}
}

func TestWhatIsOwedToASuspendedInstallationWaitsAndToOneThatIsGoneIsLetGo(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.issue()
	d.check(d.hub.Suspend(d.install.ID))
	effect := task.ReactionEffect(spec.Project, 1, spec.Comment, "eyes")
	d.owe(effect)
	d.deliver()
	if d.ledger.putOff[effect.Target] != 10*time.Minute {
		t.Fatalf("put off %v, settled %v; want ten minutes", d.ledger.putOff, d.ledger.settled)
	}
	d.check(d.hub.Unsuspend(d.install.ID))
	d.pass(10 * time.Minute)
	d.deliver()
	if len(d.ledger.settled) != 1 {
		t.Fatalf("settled %v, put off %v", d.ledger.settled, d.ledger.putOff)
	}
	d.check(d.hub.Uninstall(d.install.ID))
	d.owe(task.ReactionEffect(spec.Project, 1, 0, "eyes"))
	for range 5 {
		d.deliver()
		d.pass(time.Minute)
	}
	if len(d.ledger.settled) != 2 {
		t.Errorf("settled %v, put off %v", d.ledger.settled, d.ledger.putOff)
	}
}

func TestAPullRequestIsPublishedWhereTheProjectIsNow(t *testing.T) {
	w := newWorld(t)
	p := w.project("hello")
	job := task.Task{Spec: w.issue(), Branch: "sam/issue-1", Base: "main"}
	w.branch(job.Branch)
	_, err := w.hub.RenameRepository("octo", "octo", "hello", "goodbye")
	w.check(err)
	pull, err := w.forge.Publish(t.Context(), p, job)
	if err != nil || pull.URL != w.url+"/octo/goodbye/pull/2" {
		t.Errorf("got %+v, %v", pull, err)
	}
}
