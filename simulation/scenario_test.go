package simulation

import (
	"context"
	"time"

	"sam/task"
)

// theAnswer is what a person says to an agent's question.
const theAnswer = "the first one"

// scenario is a request and what befalls it apart from the crash.
type scenario struct {
	name     string
	request  string
	nodes    []string
	attempts int                                           // how many nodes it is given to
	asks     int                                           // how many questions its agent has
	befalls  func(ctx context.Context, w *world, run *run) // beside it, until ctx ends
}

func scenarios() []scenario {
	return []scenario{
		{name: "a request", request: "add a lamp", nodes: []string{"one"}, attempts: 1},
		{name: "a question and its answer", request: "ask me about a lamp", nodes: []string{"one"}, attempts: 1, asks: 1, befalls: answerIt},
		{name: "a node is lost", request: "add a lamp", nodes: []string{"one", "two"}, attempts: 2, befalls: loseTheNode},
	}
}

// loseTheNode kills, for good, the node that works on the task.
func loseTheNode(ctx context.Context, w *world, _ *run) {
	for pause(ctx, time.Second) {
		for _, n := range w.nodes {
			for _, ref := range n.running() {
				if t, err := w.observer.Task(ctx, task.ID(ref.Task)); err == nil && t.State == task.Running {
					n.turnOff()
					return
				}
			}
		}
	}
}

// answerIt answers the question once it is seen on GitHub.
func answerIt(ctx context.Context, w *world, r *run) {
	for pause(ctx, time.Second) {
		if r.number > 0 && len(w.hub.told(r.place, r.number).comments["question"]) > 0 {
			if _, err := w.hub.CreateComment(maintainer, r.place.owner, r.place.name, r.number, "/sam "+theAnswer); err == nil {
				return
			}
		}
	}
}
