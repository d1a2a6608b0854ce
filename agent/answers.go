package agent

import (
	"maps"
	"sync"

	"sam/agent/wire"
)

// answers are what people have answered to an attempt's questions, by the question's ID. They come over the link and are
// taken by the driver; both may be quicker.
type answers struct {
	can func() bool // the gateway has a way to bring one

	mu        sync.Mutex
	given     map[string]string
	withdrawn map[string]bool
	news      chan struct{} // closed and replaced when there is one more
}

// newAnswers begins with those that an earlier process was given.
func newAnswers(can func() bool, before map[string]string) *answers {
	a := &answers{can: can, given: map[string]string{}, withdrawn: map[string]bool{}, news: make(chan struct{})}
	maps.Copy(a.given, before)
	return a
}

// possible reports whether a question can be answered: else the driver ends the agent with it. Nil has no answers.
func (a *answers) possible() bool { return a != nil && a.can() }

// give takes the first answer to a question; a later one changes nothing.
func (a *answers) give(id, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, again := a.given[id]; again {
		return
	}
	a.given[id] = text
	close(a.news)
	a.news = make(chan struct{})
}

// get returns the answer to a question, and what is closed when there is another answer.
func (a *answers) get(id string) (text string, ok bool, news <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	text, ok = a.given[id]
	return text, ok, a.news
}

// withdraw says that the agent does not wait for the answer to a question any more. It reports false when it has one.
func (a *answers) withdraw(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, late := a.given[id]; late {
		return false
	}
	a.withdrawn[id] = true
	return true
}

// moot reports whether an answer would come too late: the question was withdrawn, or answered.
func (a *answers) moot(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, again := a.given[id]
	return again || a.withdrawn[id]
}

// answer takes in an answer: once on the disk, it reaches the agent though this process ends. An error means that it could
// not be recorded and is to be sent again. Where the attempt is over, there is nobody to be told.
func (n *Node) answer(one wire.Answer) error {
	n.mu.Lock()
	a := n.running[one.Task]
	n.mu.Unlock()
	works := a != nil && a.start.Epoch == one.Epoch
	if works && a.answers.moot(one.Ask) {
		return nil
	}
	if err := n.records.answer(one); err != nil { // one that does not work is left to the next process, or over
		return err
	}
	if works {
		a.answers.give(one.Ask, one.Text)
	}
	return nil
}
