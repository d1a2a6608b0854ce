package app

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// A replica that is told to stop has drained within 20 s: what a container platform gives it before it kills is
// usually 30.
const (
	// lameDuck is how long a draining server still answers whoever comes: a load balancer that asks /readyz every second
	// needs two answers to look elsewhere.
	lameDuck = 3 * time.Second
	// finishWithin bounds the requests that are under way when the listeners close: a push, an answer of the model. Together
	// with lameDuck it stays below the 20 s.
	finishWithin = 15 * time.Second
)

// readiness says whether a load balancer should send anything here.
type readiness struct{ draining atomic.Bool }

// handler answers /readyz.
func (r *readiness) handler(healthy func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, request *http.Request) {
		if r.draining.Load() {
			http.Error(w, "draining: this replica is about to stop; send nothing more here", http.StatusServiceUnavailable)
			return
		}
		if err := healthy(request.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n")) // the asker may be gone
	}
}

// drain hands over what this replica holds, after its consumer was told to take nothing more: it says that it is not
// ready, sends its nodes and its pages to dial another replica, and waits while a load balancer takes notice. What comes
// until then is still answered: a delivery is recorded, and another replica handles it.
func (s *server) drain(ctx context.Context) {
	began := time.Now()
	s.readiness.draining.Store(true)
	zerolog.Ctx(ctx).Info().Msg("draining: no new work is taken, nodes are sent to dial again")
	s.dashboard.Close()
	s.gateway.Close()
	<-time.After(s.lameDuck - time.Since(began)) // nobody says when a load balancer has noticed
}
