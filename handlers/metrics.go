package handlers

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what comes in. The zero value is not usable: see NewMetrics.
type Metrics struct {
	deliveries *prometheus.CounterVec
	requests   *prometheus.CounterVec
	tasks      *prometheus.CounterVec
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
			Help: "Accepted deliveries that made no task, by why: member, stranger, unknown_installation, unknown_repository.",
		}, []string{"why"}),
		tasks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sam_tasks_total",
			Help: "Tasks asked for: created, or duplicate when the same event came again.",
		}, []string{"result"}),
	}
	r.MustRegister(m.deliveries, m.requests, m.tasks)
	return m
}

func (m *Metrics) delivery(result string) { m.deliveries.WithLabelValues(result).Inc() }
func (m *Metrics) ignored(why string)     { m.requests.WithLabelValues(why).Inc() }

func (m *Metrics) task(created bool) {
	result := "duplicate"
	if created {
		result = "created"
	}
	m.tasks.WithLabelValues(result).Inc()
}
