package agent

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"time"

	"sam/task"
)

// How an environment's progress is told: the newest of what was printed, every second for the first minute and then every
// five. So fifteen minutes of it are at most 230 events, of 700 KiB in all, however much is printed.
const (
	progressEvery = time.Second
	progressSoon  = 60      // events that follow each other that quickly
	progressSlow  = 5       // how much slower those after them are
	maxProgress   = 3 << 10 // bytes of output in one event, which a stream then keeps whole; see task.MaxHead
	maxDoing      = 200     // bytes of what is done
	maxLastLine   = 400     // bytes of the newest line, which stands beside it: whole, or not at all
)

// environmentProgress tells a task what making its environment prints, while it is printed. Whole lines are told: a line that
// is not over yet waits, and so does a secret that is in it.
type environmentProgress struct {
	tell  func(task.Event) error
	began time.Time

	mu      sync.Mutex
	doing   string // empty: nothing is done yet
	fresh   bool   // that it is done is not told yet
	printed []byte // and not told yet; at most maxProgress
	left    int    // bytes before them that are left out
	torn    bool   // the rest of the line that is printed now is left out, too

	ending, ended chan struct{}
}

// startProgress tells until close is called, which must be.
func startProgress(tell func(task.Event) error, began time.Time) *environmentProgress {
	p := &environmentProgress{tell: tell, began: began, ending: make(chan struct{}), ended: make(chan struct{})}
	go p.run()
	return p
}

func (p *environmentProgress) run() {
	defer close(p.ended)
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for told, ticks := 0, 1; ; ticks++ {
		select {
		case <-p.ending:
			return
		case <-tick.C:
		}
		if told >= progressSoon && ticks%progressSlow != 0 {
			continue
		}
		p.mu.Lock()
		if p.doing != "" && p.say(false) {
			told++
		}
		p.mu.Unlock()
	}
}

// close tells what is left. Nothing is told after it.
func (p *environmentProgress) close() {
	close(p.ending)
	<-p.ended
	p.flush()
}

// flush tells now what is not told yet, for what is told next to come after it.
func (p *environmentProgress) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

// begin says what is done from now on.
func (p *environmentProgress) begin(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	p.doing, p.fresh = what, true
}

// end tells what was printed so far; what ended at once and printed nothing is told by the step's own note.
func (p *environmentProgress) end() {
	p.fresh = false
	p.say(true)
	p.printed, p.left, p.torn = nil, 0, false
}

// Write takes what was printed. It never fails, and never waits for more than a write to the spool.
func (p *environmentProgress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	size := len(b)
	if p.torn {
		i := bytes.IndexByte(b, '\n') + 1
		p.torn = i == 0
		if p.torn {
			i = len(b)
		}
		p.left, b = p.left+i, b[i:]
	}
	p.printed = append(p.printed, b...)
	over := len(p.printed) - maxProgress
	if over <= 0 {
		return size, nil
	}
	// What is cut is cut where a line begins: half a secret would not be known for one.
	i := over - 1
	if next := bytes.IndexByte(p.printed[i:], '\n'); next >= 0 {
		i += next + 1
	} else {
		i, p.torn = len(p.printed), true
	}
	p.left, p.printed = p.left+i, append([]byte(nil), p.printed[i:]...)
	return size, nil
}

// say tells what was printed, up to the end of a line, or all. It reports whether there was something to tell. That it cannot be
// told is not for here: the step's own event meets the same, and ends the attempt.
func (p *environmentProgress) say(all bool) bool {
	whole := len(p.printed)
	if !all {
		whole = bytes.LastIndexByte(p.printed, '\n') + 1
	}
	text := withoutChatter(string(p.printed[:whole]))
	if !p.fresh && text == "" && p.left == 0 {
		p.printed = p.printed[whole:]
		return false
	}
	note := keepHead(p.doing, maxDoing)
	if last := lastLine(text); last != "" && len(last) <= maxLastLine {
		note += ": " + last
	}
	if p.left > 0 {
		text = cutMark(int64(p.left)) + "\n" + text
	}
	p.printed, p.left, p.fresh = p.printed[whole:], 0, false
	_ = p.tell(task.Event{Kind: task.Stepped, Text: text, Step: &task.Step{
		Name: task.StepEnvironment, MS: time.Since(p.began).Milliseconds(), Note: note, UnderWay: true,
	}})
	return true
}

var (
	// chatter is what the classic builder says of its own containers and layers.
	chatter = regexp.MustCompile(`(?m)^( ---> .*|Removing intermediate container .*|\s*)\n`)
	// colouring is what a terminal would take for a command.
	colouring = regexp.MustCompile(`\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)`)
)

func withoutChatter(text string) string { return chatter.ReplaceAllString(text, "") }

// lastLine is the last line that says something, for a person.
func lastLine(text string) string {
	text = strings.TrimSpace(printableLines(colouring.ReplaceAllString(text, "")))
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
