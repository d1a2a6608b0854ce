package agent

import (
	"io"
	"sync"
)

// agentInput is an agent's stdin: lines that are taken in order and never waited for, because whoever sends them may be
// the one that reads its output.
type agentInput struct {
	reader *io.PipeReader
	done   chan struct{}

	mu    sync.Mutex
	ended bool
	lines chan []byte
}

// maxInputLines is how many lines wait at most. A driver sends a prompt, an answer to each request, and an interrupt; what
// is beyond it is left out, as for a program that reads nothing.
const maxInputLines = 64

// newAgentInput begins with a line. The caller closes it.
func newAgentInput(first []byte) *agentInput {
	reader, writer := io.Pipe()
	in := &agentInput{reader: reader, done: make(chan struct{}), lines: make(chan []byte, maxInputLines)}
	in.send(first)
	go func() {
		defer close(in.done)
		defer writer.Close()
		for line := range in.lines {
			if _, err := writer.Write(append(line, '\n')); err != nil {
				return // nobody reads any more
			}
		}
	}()
	return in
}

func (in *agentInput) send(line []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ended {
		return
	}
	select {
	case in.lines <- line:
	default:
	}
}

// end closes the input behind what was sent. It may be called twice.
func (in *agentInput) end() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.ended {
		in.ended = true
		close(in.lines)
	}
}

// close ends the input now and waits for its goroutine.
func (in *agentInput) close() {
	in.end()
	_ = in.reader.Close()
	<-in.done
}
