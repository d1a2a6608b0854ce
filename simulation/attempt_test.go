package simulation

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"sam/agent/wire"
	"sam/task"
)

// take begins an attempt, once however often it is told.
func (n *node) take(ctx context.Context, attempts *sync.WaitGroup, start wire.Start) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.spools[start.Ref] != nil {
		return
	}
	for ref, s := range n.spools { // an older attempt of the same task is over
		if ref.Task != start.Task {
			continue
		}
		if ref.Epoch > start.Epoch {
			return
		}
		if s.cancel != nil {
			s.cancel(nil)
		}
		delete(n.spools, ref)
	}
	s := &spool{start: start, first: start.After + 1, acked: start.After, sent: start.After, token: start.Token, answers: make(chan wire.Answer, 1)}
	n.spools[start.Ref] = s
	ctx, s.cancel = context.WithCancelCause(n.life(ctx))
	attempts.Go(func() {
		end, wanted := n.work(ctx, s)
		n.mu.Lock()
		defer n.mu.Unlock()
		s.cancel(nil)
		s.cancel = nil
		if wanted {
			n.append(s, task.Event{Kind: task.Finished, End: &end})
		}
	})
}

// life is a context that outlives the link and ends with the machine. With mu held.
func (n *node) life(ctx context.Context) context.Context {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n.kills = append(n.kills, cancel)
	return life
}

// tell writes an event of a running attempt, unless the machine or the attempt is over.
func (n *node) tell(ctx context.Context, s *spool, e task.Event) bool {
	if !n.awake(ctx) {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	n.append(s, e)
	return true
}

// work is the whole attempt. It returns false when nobody wants to know how it ended.
func (n *node) work(ctx context.Context, s *spool) (task.End, bool) {
	end, err := n.agent(ctx, s)
	var why stopped
	if errors.As(context.Cause(ctx), &why) {
		return task.End{Outcome: task.Stopped, Reason: why.reason}, true
	}
	return end, err == nil
}

// agent takes the steps of an agent that does as it is asked.
func (n *node) agent(ctx context.Context, s *spool) (task.End, error) {
	step := func(name task.StepName) bool {
		return pause(ctx, time.Second) && n.tell(ctx, s, task.Event{Kind: task.Stepped, Step: &task.Step{Name: name, MS: 1000}})
	}
	for _, name := range []task.StepName{task.StepMirror, task.StepWorkspace, task.StepAgent} {
		if !step(name) {
			return task.End{}, context.Cause(ctx)
		}
	}
	message := s.start.Request
	if asks(s.start.Request) && !strings.Contains(s.start.Prompt, theAnswer) {
		if !n.tell(ctx, s, task.Event{Kind: task.Asked, Text: "Which of the two?", Ask: &task.Ask{ID: "first"}}) {
			return task.End{}, context.Cause(ctx)
		}
		select {
		case answer := <-s.answers:
			message += "; " + answer.Text
			n.tell(ctx, s, task.Event{Kind: task.Answered, Text: answer.Text})
		case <-ctx.Done():
			return task.End{}, context.Cause(ctx)
		}
	}
	for range 3 {
		if !pause(ctx, n.think/3) || !n.tell(ctx, s, task.Event{Kind: task.Said, Text: "Working on it."}) {
			return task.End{}, context.Cause(ctx)
		}
	}
	switch {
	case strings.Contains(s.start.Request, "give up"):
		return task.End{Outcome: task.GaveUp, Reason: "It cannot be done."}, nil
	case strings.Contains(s.start.Request, "change nothing"):
		return task.End{Outcome: task.Done, Headline: "Nothing to do", Summary: "All is well as it is."}, nil
	}
	if err := n.deliver(ctx, s, message); err != nil {
		var no refused
		if ctx.Err() != nil {
			return task.End{}, context.Cause(ctx)
		}
		if errors.As(err, &no) {
			return task.End{Outcome: task.GaveUp, Reason: no.why}, nil
		}
		return task.End{Outcome: task.Died, Reason: err.Error()}, nil
	}
	if !step(task.StepPush) {
		return task.End{}, context.Cause(ctx)
	}
	return task.End{Outcome: task.Done, Headline: "Did: " + s.start.Request, Summary: "It is done."}, nil
}

// deliver pushes, and tries again for as long as `sam node` would and a little longer: a replica may be gone for that long.
func (n *node) deliver(ctx context.Context, s *spool, message string) error {
	at, err := time.Now(), error(nil)
	for _, wait := range []time.Duration{0, time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute} {
		if !pause(ctx, wait) || !n.awake(ctx) {
			return context.Cause(ctx)
		}
		n.mu.Lock()
		token := s.token
		n.mu.Unlock()
		err = n.push(ctx, s.start, token, message, at)
		var no refused
		if err == nil || errors.As(err, &no) {
			return err
		}
	}
	return err
}
