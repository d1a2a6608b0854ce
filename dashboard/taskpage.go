package dashboard

import (
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strconv"

	"sam/task"
)

const (
	blockEvents = 200      // in one block of the page, and at most on a first page
	pageBudget  = 32 << 10 // compressed bytes of events on a page; all of a first page is to stay under 60 KB
)

// taskView is a task's page.
type taskView struct {
	page
	statusView
	Parts   map[string]part
	Asked   template.HTML
	AskCut  bool
	Blocks  []block
	Before  int64 // events with lower numbers are not on this page; 0 when all are
	Partial bool  // later events are not on this page
}

// block is a run of events that a browser may leave undrawn while it is out of sight. Index counts from 0.
type block struct {
	Index  int64
	Events []template.HTML
}

func (d *Dashboard) taskPage(w http.ResponseWriter, r *http.Request) {
	id := task.ID(r.PathValue("id"))
	t, err := d.task(r.Context(), id)
	if errors.Is(err, task.ErrNotFound) {
		d.missing(w, r, "There is no such task. It may have ended so long ago that it is kept no longer (`tasks.keep`), or its address is cut off, or SAM's store was started anew since.")
		return
	}
	if err != nil {
		d.fail(w, r, err)
		return
	}
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64) // anything else is the end
	v, err := d.taskView(r.Context(), t, before)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.respond(w, r, http.StatusOK, "task", v)
}

func (d *Dashboard) task(ctx context.Context, id task.ID) (task.Task, error) {
	if !plausible(string(id)) {
		return task.Task{}, fmt.Errorf("task %q: %w", id, task.ErrNotFound)
	}
	return d.store.Task(ctx, id)
}

func (d *Dashboard) taskView(ctx context.Context, t task.Task, before int64) (taskView, error) {
	sum, err := d.sums.of(ctx, t.ID)
	if err != nil {
		return taskView{}, err
	}
	// The record is read before its events: what changes meanwhile comes by the stream.
	parts, err := d.parts(t, sum)
	if err != nil {
		return taskView{}, err
	}
	v := taskView{statusView: d.statusOf(t, sum), Parts: parts, AskCut: len(t.Request) > maxSummary}
	v.Asked = d.render.markdown.html(head(t.Request, maxSummary))
	last := sum.last
	if before > 0 && before <= last {
		last, v.Partial = before-1, true
	}
	if v.Blocks, v.Before, err = d.blocks(ctx, t, last); err != nil {
		return taskView{}, err
	}
	v.page = page{Title: v.Name + " · " + t.Repository, Tail: !t.State.Final()}
	if !v.Partial {
		topics := []topic{{task: t.ID}}
		v.Live, v.From = topics[0].String(), vector{topics[0]: at(last)}.format(topics)
	}
	return v, nil
}

// blocks renders the events up to a number, as many of them as a page holds, and the number of the first of these when
// there are earlier ones.
func (d *Dashboard) blocks(ctx context.Context, t task.Task, last int64) ([]block, int64, error) {
	read, err := d.store.Events(ctx, t.ID, max(0, last-blockEvents), blockEvents)
	if err != nil {
		return nil, 0, err
	}
	var views []eventView
	for _, n := range read {
		if n.Seq <= last {
			views = append(views, d.render.view(t.ID, n, false))
		}
	}
	settle(views, !t.State.Final())
	rendered := make([]template.HTML, len(views))
	used := newMeter()
	first := len(views)
	for first > 0 {
		words, err := d.render.execute("event", views[first-1])
		if err != nil {
			return nil, 0, err
		}
		if err := used.add(string(words)); err != nil {
			return nil, 0, err
		}
		if used.bytes > pageBudget && first < len(views) {
			break
		}
		first--
		rendered[first] = words
	}
	var all []block
	for i := first; i < len(views); i++ {
		index := (views[i].Seq - 1) / blockEvents
		if len(all) == 0 || all[len(all)-1].Index != index {
			all = append(all, block{Index: index})
		}
		all[len(all)-1].Events = append(all[len(all)-1].Events, rendered[i])
	}
	if first < len(views) && views[first].Seq > 1 {
		return all, views[first].Seq, nil
	}
	return all, 0, nil
}

// meter measures what text takes compressed.
type meter struct {
	bytes  int
	writer *flate.Writer
}

func newMeter() *meter {
	m := &meter{}
	m.writer, _ = flate.NewWriter(m, flate.BestSpeed) // the level is valid
	return m
}

// Write counts what the compressor puts out.
func (m *meter) Write(p []byte) (int, error) {
	m.bytes += len(p)
	return len(p), nil
}

func (m *meter) add(words string) error {
	if _, err := io.WriteString(m.writer, words); err != nil {
		return fmt.Errorf("measure a page: %w", err)
	}
	if err := m.writer.Flush(); err != nil {
		return fmt.Errorf("measure a page: %w", err)
	}
	return nil
}

// eventPageView is one event whole, on a page of its own.
type eventPageView struct {
	page
	Event eventView
	Name  string
}

// eventPage serves one event whole: as a page, or with ?part=body or ?part=raw as a piece for the task's page.
func (d *Dashboard) eventPage(w http.ResponseWriter, r *http.Request) {
	seq, err := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	if err != nil || seq < 1 {
		d.missing(w, r, "There is no such event.")
		return
	}
	t, err := d.task(r.Context(), task.ID(r.PathValue("id")))
	var read []task.Numbered
	if err == nil {
		read, err = d.store.Events(r.Context(), t.ID, seq-1, 1)
	}
	switch {
	case errors.Is(err, task.ErrNotFound) || err == nil && (len(read) == 0 || read[0].Seq != seq):
		d.missing(w, r, "There is no such event, or it is no longer kept.")
		return
	case err != nil:
		d.fail(w, r, err)
		return
	}
	e := d.render.view(t.ID, read[0], true)
	if !e.Known {
		e.Raw, e.Left = visible(string(read[0].JSON)), 0
	}
	e.Fate = "left"
	template := "event-page"
	switch r.URL.Query().Get("part") {
	case "body":
		template = "event-body"
	case "raw":
		template = "event-raw"
	}
	d.respond(w, r, http.StatusOK, template, eventPageView{
		page{Title: fmt.Sprintf("Event %d · %s", seq, name(t))}, e, name(t),
	})
}
