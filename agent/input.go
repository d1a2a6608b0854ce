package agent

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// agentInput is an agent's stdin: lines that are taken in order and never waited for, because whoever sends them may be
// the one that reads its output.
type agentInput struct {
	reader *io.PipeReader
	done   chan struct{}
	full   func(error) // nil once it is called

	mu    sync.Mutex
	ended bool
	lines [][]byte
	bytes int           // of lines
	news  chan struct{} // there is a line, or the end; holds one
}

// maxInput is how much waits for an agent that reads nothing, in bytes. A driver sends a prompt, an answer to each request,
// and an interrupt: no line may be left out, for the agent would wait for it.
const maxInput = 32 << 20

// errDeafAgent is told when there is more.
var errDeafAgent = errors.New("the agent reads nothing of what it is told")

// newAgentInput begins with a line. full is called once, when more waits than is kept; what is sent then is dropped, for the
// agent is to end. The caller closes it.
func newAgentInput(first []byte, full func(error)) *agentInput {
	reader, writer := io.Pipe()
	in := &agentInput{reader: reader, done: make(chan struct{}), full: full, news: make(chan struct{}, 1)}
	in.send(first)
	go func() {
		defer close(in.done)
		defer writer.Close()
		for range in.news {
			lines, ended := in.take()
			for _, line := range lines {
				if _, err := writer.Write(append(line, '\n')); err != nil {
					return // nobody reads any more
				}
			}
			if ended {
				return
			}
		}
	}()
	return in
}

// take is what waits, and whether nothing more will come.
func (in *agentInput) take() (lines [][]byte, ended bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	lines, in.lines, in.bytes = in.lines, nil, 0
	return lines, in.ended
}

func (in *agentInput) send(line []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ended || in.full == nil {
		return
	}
	if in.bytes+len(line) > maxInput && in.bytes > 0 {
		full := in.full
		in.full = nil
		full(fmt.Errorf("%w: %d lines wait", errDeafAgent, len(in.lines)))
		return
	}
	in.lines = append(in.lines, line)
	in.bytes += len(line)
	in.tell()
}

func (in *agentInput) tell() {
	select {
	case in.news <- struct{}{}:
	default:
	}
}

// end closes the input behind what was sent. It may be called twice.
func (in *agentInput) end() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ended = true
	in.tell()
}

// close ends the input now and waits for its goroutine.
func (in *agentInput) close() {
	in.end()
	_ = in.reader.Close()
	<-in.done
}
