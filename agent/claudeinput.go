package agent

import (
	"encoding/json"
	"sync"
	"time"
)

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

// forever is longer than any task may wait.
const forever = 10 * 365 * 24 * time.Hour

// claudeWatch ends an agent that gives no sign of life. Every line is one.
type claudeWatch struct {
	limits func() (time.Duration, error)
	cancel func(error)

	mu     sync.Mutex
	timer  *time.Timer
	reason error
}

// watch starts the clock. What the agent is waiting for decides how long it may be silent: for a person's answer as long as
// that takes.
func (d claudeDriver) watch(talk *claudeTalk, cancel func(error)) *claudeWatch {
	w := &claudeWatch{cancel: cancel, limits: func() (time.Duration, error) {
		switch {
		case talk.end != nil:
			return d.farewell, errLingers
		case talk.replies.waits():
			return forever, nil
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

// reset is called by whoever changes the talk, one at a time.
func (w *claudeWatch) reset() {
	limit, reason := w.limits()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reason = reason
	w.timer.Reset(limit)
}

func (w *claudeWatch) stop() { w.timer.Stop() }
