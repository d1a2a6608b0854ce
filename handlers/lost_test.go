package handlers_test

import (
	"context"
	"testing"
	"time"

	"sam/handlers"
	"sam/task"
)

// remembers is a GitHub that has the closing comment of every task.
type remembers struct{ handlers.GitHub }

func (remembers) Closed(context.Context, task.Project, task.Spec) (bool, error) { return true, nil }

func TestARequestThatWasDoneBeforeRedisLostItIsNotDoneAgain(t *testing.T) {
	w, _, id := asked(t, "/sam make it fast")
	base := w.base
	base.GitHub = remembers{w.base.GitHub}
	webhook, err := handlers.NewWebhook(base, secret)
	w.check(err)
	for _, d := range w.late() {
		d.At = d.At.Add(time.Hour) // GitHub was asked for it again
		w.check(webhook.Handle(w.ctx(), d))
	}
	w.none(id)
	if w.count("sam_tasks_total", "duplicate") != 1 || !w.logged(string(id), "it is not done again") {
		t.Errorf("not counted, or not logged: %s", w.log)
	}
}

func TestWhatGitHubDeliveredAndRedisHasLostIsAskedForOnceMore(t *testing.T) {
	w := newWorld(t)
	w.issue("hello", "Uploads are slow")
	comment := w.comment("ada", "hello", 1, "/sam make it fast")
	id := task.NewID(w.repository("hello"), task.CommentSource(comment), 0)
	w.settle()
	w.task(id)
	_, err := w.redis.Do(t.Context(), "FLUSHALL")
	w.check(err)
	w.check(w.sweep().Recover(w.ctx()))
	w.settle()
	w.task(id)
	asked := w.count("sam_redeliveries_total", "asked")
	if asked < 1 || !w.logged("what Redis has lost") {
		t.Errorf("asked for %v deliveries, or not logged: %s", asked, w.log)
	}
	w.sweep().Once(w.ctx(), 0)
	if again := w.count("sam_redeliveries_total", "asked"); again != asked {
		t.Errorf("%v more were asked for although Redis has seen them", again-asked)
	}
}
