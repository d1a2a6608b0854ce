package agent

import (
	"slices"
	"sync"
)

// replies are what an agent's requests are answered with. They are sent in the order of the requests, in whatever order
// they are ready: after a restart of sam node the agent's output is read from its first byte again, and its input must come
// out the same, byte by byte, for what the agent has of it is passed over.
type replies struct {
	send     func(line []byte)
	answers  *answers
	answered func() // a question was answered: the agent goes on
	quit     chan struct{}
	waiters  sync.WaitGroup

	mu    sync.Mutex
	queue []*reply
}

// reply is one that is not sent yet.
type reply struct {
	ask  string                     // the question that it waits for the answer to; empty: it waits for those before it
	line func(answer string) []byte // what is sent then
}

func newReplies(send func([]byte), given *answers, answered func()) *replies {
	return &replies{send: send, answers: given, answered: answered, quit: make(chan struct{})}
}

// say replies with a line.
func (r *replies) say(line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(r.queue, &reply{line: func(string) []byte { return line }})
	r.flush()
}

// ask replies with the line that a person's answer to a question makes, as soon as there is one.
func (r *replies) ask(id string, line func(answer string) []byte) {
	one := &reply{ask: id, line: line}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(r.queue, one)
	if r.flush(); slices.Contains(r.queue, one) {
		r.waiters.Go(func() { r.await(id) })
	}
}

// await sends on when a question is answered.
func (r *replies) await(id string) {
	for {
		_, ok, news := r.answers.get(id)
		if ok {
			r.mu.Lock()
			sent := r.flush()
			r.mu.Unlock()
			if sent {
				r.answered()
			}
			return
		}
		select {
		case <-news:
		case <-r.quit:
			return
		}
	}
}

// flush sends what is ready. The caller holds r.mu.
func (r *replies) flush() (sent bool) {
	for len(r.queue) > 0 {
		first, answer := r.queue[0], ""
		if first.ask != "" {
			var ok bool
			if answer, ok, _ = r.answers.get(first.ask); !ok {
				return sent
			}
		}
		r.send(first.line(answer))
		r.queue, sent = r.queue[1:], true
	}
	return sent
}

// withdraw takes a question back that the agent does not ask any more.
func (r *replies) withdraw(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.answers.withdraw(id) {
		return // the answer is on its way
	}
	r.queue = slices.DeleteFunc(r.queue, func(one *reply) bool { return one.ask == id })
	r.flush()
}

// waits reports whether a question has no answer yet.
func (r *replies) waits() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue) > 0
}

// close waits for whoever waits for an answer.
func (r *replies) close() {
	close(r.quit)
	r.waiters.Wait()
}
