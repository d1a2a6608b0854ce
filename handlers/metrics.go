package handlers

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what comes in. The zero value is not usable: see NewMetrics.
type Metrics struct {
	deliveries *prometheus.CounterVec
	requests   *prometheus.CounterVec
	tasks      *prometheus.CounterVec
	cancelled  *prometheus.CounterVec
	early      *prometheus.CounterVec
	redeliver  *prometheus.CounterVec
}

// NewMetrics registers the room's metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sam_deliveries_total",
			Help: "Deliveries from GitHub by what became of them: accepted, duplicate, ignored, or why they were refused.",
		}, []string{"result"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sam_requests_ignored_total",
			Help: "Accepted deliveries that made no task, by why: member, stranger, unknown_installation, unknown_repository, suspended, deleted, no_room, given_up.",
		}, []string{"why"}),
		tasks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sam_tasks_total",
			Help: "Tasks asked for: created, duplicate when the same event came again, amended when its comment was edited in time, answered when the words answered an agent's question and made none.",
		}, []string{"result"}),
		cancelled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sam_tasks_unwanted_total",
			Help: "Open tasks that what happened on GitHub made unwanted, by the event that told.",
		}, []string{"event"}),
		early: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sam_comments_early_total",
			Help: "Edits and deletions of a comment whose creation was not seen before, by which of the two.",
		}, []string{"action"}),
		redeliver: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sam_redeliveries_total",
			Help: "Deliveries that GitHub made without success: asked for again, failed to be asked for, or given up after three days.",
		}, []string{"result"}),
	}
	r.MustRegister(m.deliveries, m.requests, m.tasks, m.cancelled, m.early, m.redeliver)
	return m
}

func (m *Metrics) delivery(result string) { m.deliveries.WithLabelValues(result).Inc() }
func (m *Metrics) ignored(why string)     { m.requests.WithLabelValues(why).Inc() }
func (m *Metrics) task(result string)     { m.tasks.WithLabelValues(result).Inc() }
func (m *Metrics) unwanted(event string)  { m.cancelled.WithLabelValues(event).Inc() }
func (m *Metrics) tooEarly(action string) { m.early.WithLabelValues(action).Inc() }
func (m *Metrics) missed(result string)   { m.redeliver.WithLabelValues(result).Inc() }
