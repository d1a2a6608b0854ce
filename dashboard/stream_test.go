package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sam/task"
)

// patience bounds a wait for what must come.
const patience = time.Minute

// reading is an open stream, as a browser's EventSource reads it.
type reading struct {
	lines  *bufio.Scanner
	cancel context.CancelFunc
	body   interface{ Close() error }
	lastID string
}

type told struct {
	name string
	data struct {
		Topic string
		Seq   any
		HTML  string
		State task.State
		Parts map[string]struct{ HTML string }
	}
}

func (w *world) listen(ctx context.Context, tt tester, topics, from, lastID string) *reading {
	tt.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/live?topics="+topics+"&from="+from, http.NoBody)
	if err != nil {
		tt.Fatal(err)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	answer, err := w.client.Do(r)
	if err != nil {
		tt.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" || answer.Header.Get("Content-Encoding") != "" {
		tt.Fatalf("the stream answers %s, %v", answer.Status, answer.Header)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 4<<20)
	return &reading{lines: lines, cancel: cancel, body: answer.Body, lastID: lastID}
}

func (r *reading) close() {
	r.cancel()
	_ = r.body.Close() // it was cut on purpose
}

// next returns the next message; false when the stream has ended.
func (r *reading) next(tt tester) (told, bool) {
	var m told
	id := ""
	for r.lines.Scan() {
		field, value, _ := strings.Cut(r.lines.Text(), ": ")
		switch field {
		case "event":
			m.name = value
		case "id":
			id = value
		case "data":
			if err := json.Unmarshal([]byte(value), &m.data); err != nil {
				tt.Fatalf("data of %s: %v: %s", m.name, err, value)
			}
		case "":
			if m.name != "" {
				if id != "" {
					r.lastID = id
				}
				return m, true
			}
		}
	}
	return m, false
}

// until reads to the next message of that name.
func (r *reading) until(tt tester, name string) told {
	tt.Helper()
	for {
		m, ok := r.next(tt)
		if !ok {
			tt.Fatalf("the stream ended before a %s: %v", name, r.lines.Err())
		}
		if m.name == name {
			return m
		}
	}
}

func TestAPageThatReconnectsAtRandomSeesEveryEventOnceAndInOrder(t *testing.T) {
	w := start(t)
	issue := int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		issue++
		job := w.placed(t, rt, spec(issue))
		topics := "task:" + string(job.ID)
		both := topics + ",conv:7"
		_, end, err := w.store.ConversationLeft(t.Context(), 7)
		if err != nil {
			rt.Fatal(err)
		}
		from := fmt.Sprintf("%s=0-0,conv:7=%s", topics, end)
		var seen []int64
		stored, lastID := 0, ""
		for range rapid.IntRange(1, 5).Draw(rt, "connections") {
			before := rapid.IntRange(0, 30).Draw(rt, "stored before")
			w.put(t, rt, job, said(max(1, before), "before")...)
			stored += max(1, before)
			stream := w.listen(t.Context(), rt, both, from, lastID)
			during := rapid.IntRange(0, 30).Draw(rt, "stored meanwhile")
			if during > 0 {
				w.put(t, rt, job, said(during, "meanwhile")...)
				stored += during
			}
			take := rapid.IntRange(0, stored-len(seen)).Draw(rt, "taken")
			for range take {
				m := stream.until(rt, messageEntry)
				seq, ok := m.data.Seq.(float64)
				if !ok {
					rt.Fatalf("an entry of the conversation: %+v", m.data)
				}
				seen = append(seen, int64(seq))
			}
			lastID = stream.lastID
			stream.close()
		}
		stream := w.listen(t.Context(), rt, both, from, lastID)
		defer stream.close()
		for len(seen) < stored {
			seq, _ := stream.until(rt, messageEntry).data.Seq.(float64)
			seen = append(seen, int64(seq))
		}
		want := make([]int64, stored)
		for i := range want {
			want[i] = int64(i + 1)
		}
		if !slices.Equal(seen, want) {
			rt.Fatalf("saw %v, want 1 to %d", seen, stored)
		}
	})
}

func TestAStreamGoesOnWhereThePageEnds(t *testing.T) {
	w := start(t)
	job := w.placed(t, t, spec(1))
	w.put(t, t, job, said(3, "on the page")...)
	_, page := w.get(t, "/tasks/"+string(job.ID))
	_, after, _ := strings.Cut(page, `data-from="`)
	from, _, _ := strings.Cut(after, `"`)
	if want := "task:" + string(job.ID) + "=3-0"; from != want {
		t.Fatalf("the page's vector is %q, want %q", from, want)
	}
	stream := w.listen(t.Context(), t, "task:"+string(job.ID), from, "")
	defer stream.close()
	w.put(t, t, job, said(1, "by the **stream**")...)
	m := stream.until(t, messageEntry)
	if m.data.Seq != 4.0 || !strings.Contains(m.data.HTML, "<strong>stream</strong>") || stream.lastID != "task:"+string(job.ID)+"=4-0" {
		t.Errorf("first came %+v with id %s", m.data, stream.lastID)
	}
}

func TestChangesOfStateReachThePage(t *testing.T) {
	w := start(t)
	job := w.placed(t, t, spec(1))
	topic := "task:" + string(job.ID)
	stream := w.listen(t.Context(), t, topic, topic+"=0-0", "")
	defer stream.close()
	state := func(want task.State) told {
		t.Helper()
		for {
			if m := stream.until(t, messageStatus); m.data.State == want {
				return m
			}
		}
	}
	state(task.Preparing)
	w.put(t, t, job, task.Event{Kind: task.Stepped, Step: &task.Step{Name: task.StepAgent, MS: 5}},
		task.Event{Kind: task.Used, Usage: &task.Usage{Input: 1, Output: 1, MicroUSD: 1}})
	state(task.Running)
	if err := w.store.RecordUsage(t.Context(), job.ID, job.Epoch, task.Usage{Input: 1200, Output: 300, MicroUSD: 2_340_000}); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(stream.until(t, messageStatus).data.Parts["head"].HTML, "$2.34") { // while it runs: no stream grows by it
		continue
	}
	w.put(t, t, job, task.Event{Kind: task.Finished, End: &task.End{Outcome: task.GaveUp, Reason: "no"}})
	c, err := w.store.Claim(t.Context(), job.ID)
	if err != nil {
		t.Fatal(err)
	}
	state(task.Publishing) // no stream grows by it
	if err := w.store.Move(t.Context(), c.Task, task.Failed, task.Change{
		Fields: map[task.Field]string{task.FieldFailure: "The agent gave up: `no`."},
		Entry:  &task.Entry{Kind: task.EntryResult, Thread: job.Thread, Task: job.ID, Text: "no", State: task.Failed}}); err != nil {
		t.Fatal(err)
	}
	m := state(task.Failed)
	wants(t, "the head", m.data.Parts["head"].HTML, "Did not work out", "$2.34", "1.5k")
	wants(t, "the end", m.data.Parts["outcome"].HTML, "The agent gave up: <code>no</code>.", "What next")
}

func TestAConversationIsLive(t *testing.T) {
	w := start(t)
	stream := w.listen(t.Context(), t, "conv:7", "conv:7=0-0", "")
	defer stream.close()
	w.placed(t, t, spec(1))
	wants(t, "the request", stream.until(t, messageEntry).data.HTML, "ada", "<strong>rate limiting</strong>", "/tasks/"+string(spec(1).ID))
	wants(t, "the start", stream.until(t, messageEntry).data.HTML, "Placed on "+nodeName)
}

func TestAStreamBeats(t *testing.T) {
	w := start(t)
	stream := w.listen(t.Context(), t, "conv:7", "", "")
	defer stream.close()
	stream.until(t, "heartbeat")
	stream.until(t, "heartbeat")
}

func TestAPositionThatIsNotThereResetsThePage(t *testing.T) {
	w := start(t)
	job := w.placed(t, t, spec(1))
	w.put(t, t, job, said(3, "x")...)
	topic := "task:" + string(job.ID)
	for name, id := range map[string]string{
		"after the last, as when Redis went back": topic + "=9-0",
		"of a task whose events count anew":       topic + "=18446744073709551615-0",
		"not a vector":                            "1700000000-0",
	} {
		stream := w.listen(t.Context(), t, topic, "", id)
		if m := stream.until(t, messageReset); m.data.Topic != topic {
			t.Errorf("%s: reset of %q", name, m.data.Topic)
		}
		stream.close()
	}
	stream := w.listen(t.Context(), t, "conv:7", "", "conv:7=1-0") // older than the first that is left
	defer stream.close()
	stream.until(t, messageReset)
}

func TestWhatCannotBeFollowedIsRefused(t *testing.T) {
	w := start(t)
	many := strings.Repeat("conv:1,", maxTopics) + "conv:2"
	for query, want := range map[string]int{
		"":                           http.StatusBadRequest,
		"topics=node:1":              http.StatusBadRequest,
		"topics=task:":               http.StatusBadRequest,
		"topics=task:UP":             http.StatusBadRequest,
		"topics=task:a%0ab":          http.StatusBadRequest,
		"topics=conv:x":              http.StatusBadRequest,
		"topics=" + distinct(many):   http.StatusBadRequest,
		"topics=task:tnone":          http.StatusNotFound,
		"topics=conv:7,conv:8":       http.StatusNotFound,
		"topics=conv:99999999999999": http.StatusNotFound,
	} {
		if answer, _ := w.get(t, "/live?"+query); answer.StatusCode != want {
			t.Errorf("%s: %s, want %d", query, answer.Status, want)
		}
	}
}

func distinct(s string) string {
	for i := 3; strings.Contains(s, "conv:1,"); i++ {
		s = strings.Replace(s, "conv:1,", fmt.Sprintf("conv:%d,", 10+i), 1)
	}
	return s
}

// keeping is a connection that remembers its deadline and what was written.
type keeping struct {
	http.ResponseWriter
	mu       sync.Mutex
	deadline time.Time
	wrote    chan struct{}
}

func (k *keeping) SetWriteDeadline(at time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deadline = at
	return nil
}

func (k *keeping) Write(p []byte) (int, error) {
	select {
	case k.wrote <- struct{}{}:
	default:
	}
	return k.ResponseWriter.Write(p)
}

func (k *keeping) Unwrap() http.ResponseWriter { return k.ResponseWriter }

// The next request on the same connection would end at a deadline of a stream's last write.
func TestAStreamThatEndsLeavesNoDeadlineOnItsConnection(t *testing.T) {
	w := start(t)
	k := &keeping{ResponseWriter: httptest.NewRecorder(), wrote: make(chan struct{}, 1)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.live(k, httptest.NewRequestWithContext(ctx, http.MethodGet, "/live?topics=conv:7", http.NoBody))
	}()
	<-k.wrote
	cancel()
	<-ended
	if !k.deadline.IsZero() {
		t.Errorf("%s is left", k.deadline)
	}
}

func TestAStreamKeepsNoMoreThanALittleOfWhatItWrote(t *testing.T) {
	k := httptest.NewRecorder()
	s := &stream{w: k, control: http.NewResponseController(k)}
	for range 100 {
		s.add(message{name: messageEntry, data: make([]byte, 40<<10)})
	}
	if err := s.flush(t.Context()); err != nil || s.buffer.Cap() > keepBytes {
		t.Errorf("%d bytes are kept, %v", s.buffer.Cap(), err)
	}
}

func TestNothingIsWrittenToAStreamThatWasEnded(t *testing.T) {
	k := httptest.NewRecorder()
	s := &stream{w: k, control: http.NewResponseController(k)}
	s.add(message{name: messageEntry})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.flush(ctx); err != nil || k.Body.Len() > 0 {
		t.Errorf("%d bytes were written, %v", k.Body.Len(), err)
	}
}

func TestCloseEndsStreamsAndRefusesNewOnes(t *testing.T) {
	w := start(t)
	stream := w.listen(t.Context(), t, "conv:7", "", "")
	defer stream.close()
	stream.until(t, "heartbeat")
	w.Close()
	for {
		if _, ok := stream.next(t); !ok {
			break
		}
	}
	if answer, _ := w.get(t, "/live?topics=conv:7"); answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("after Close a stream answers %s", answer.Status)
	}
	w.Close() // again
}
