package agent

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// claudeInput is Claude Code's stdin: lines that are taken in order and never waited for, because whoever sends them may be
// the one that reads its output.
type claudeInput struct {
	reader *io.PipeReader
	done   chan struct{}

	mu    sync.Mutex
	ended bool
	lines chan []byte
}

// maxClaudeInput is how many lines wait at most. The driver sends a prompt, an answer to each request, and an interrupt; what
// is beyond it is left out, as for a program that reads nothing.
const maxClaudeInput = 64

// newClaudeInput begins with a line. The caller closes it.
func newClaudeInput(first []byte) *claudeInput {
	reader, writer := io.Pipe()
	in := &claudeInput{reader: reader, done: make(chan struct{}), lines: make(chan []byte, maxClaudeInput)}
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

func (in *claudeInput) send(line []byte) {
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
func (in *claudeInput) end() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.ended {
		in.ended = true
		close(in.lines)
	}
}

// close ends the input now and waits for its goroutine.
func (in *claudeInput) close() {
	in.end()
	_ = in.reader.Close()
	<-in.done
}

// claudeInterrupt asks it to leave off. It answers within some ten milliseconds with a result that is an error.
func claudeInterrupt() []byte {
	return []byte(`{"type":"control_request","request_id":"sam-interrupt","request":{"subtype":"interrupt"}}`)
}

// claudeDenial answers a request for permission. There is nobody to give one: what the agent may do it may do unasked.
func claudeDenial(request, why string, interrupt bool) []byte {
	type denial struct {
		Behavior  string `json:"behavior"`
		Message   string `json:"message"`
		Interrupt bool   `json:"interrupt,omitempty"`
	}
	return claudeAnswer(map[string]any{"subtype": "success", "request_id": request, "response": denial{"deny", why, interrupt}})
}

// claudeUnable answers a request of another kind.
func claudeUnable(request string) []byte {
	return claudeAnswer(map[string]any{"subtype": "error", "request_id": request, "error": "SAM does not do this"})
}

func claudeAnswer(response map[string]any) []byte {
	line, err := json.Marshal(map[string]any{"type": "control_response", "response": response})
	if err != nil { // of texts and truths: always encodes
		panic(err)
	}
	return line
}

// claudeWatch ends an agent that gives no sign of life. Every line is one.
type claudeWatch struct {
	limits func() (time.Duration, error)
	cancel func(error)

	mu     sync.Mutex
	timer  *time.Timer
	reason error
}

// watch starts the clock. What the agent is waiting for decides how long it may be silent.
func (d claudeDriver) watch(talk *claudeTalk, cancel func(error)) *claudeWatch {
	w := &claudeWatch{cancel: cancel, limits: func() (time.Duration, error) {
		switch {
		case talk.end != nil:
			return d.farewell, errLingers
		case len(talk.open) > 0:
			return d.patience, &silentError{limit: d.patience, tool: true}
		default:
			return d.silence, &silentError{limit: d.silence}
		}
	}}
	limit, reason := w.limits()
	w.reason = reason
	w.timer = time.AfterFunc(limit, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.cancel(w.reason)
	})
	return w
}

// reset is called by whoever changes the talk.
func (w *claudeWatch) reset() {
	limit, reason := w.limits()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reason = reason
	w.timer.Reset(limit)
}

func (w *claudeWatch) stop() { w.timer.Stop() }
