package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/google/go-github/v62/github"
	"github.com/palantir/go-githubapp/githubapp"
	"github.com/rs/zerolog"

	"sam/task"
)

// maxBody is the largest delivery GitHub makes, bytes: it says 25 MB.
const maxBody = 25 << 20

// Webhook is the door for GitHub's deliveries. What it answers with 200 is on Redis's disk, or nothing that SAM uses.
type Webhook struct {
	base   Base
	events map[string]event
	http.Handler
}

// ErrNoSecret is NewWebhook's refusal of an empty secret: go-github would take anybody's deliveries.
var ErrNoSecret = errors.New("the webhook secret is empty, so anybody could command SAM: set github.webhook_secret_file to the secret of the App")

// events are what SAM takes, by kind.
func (b Base) events() []event {
	return []event{IssueComment{b}, Issues{b}, PullRequest{b}, Repository{b}, Installation{b}}
}

// takes reports whether deliveries of a type of event are recorded.
func (b Base) takes(eventType string) bool {
	return slices.ContainsFunc(b.events(), func(e event) bool { return slices.Contains(e.Handles(), eventType) })
}

// NewWebhook returns the door. It refuses an empty secret with ErrNoSecret.
func NewWebhook(base Base, secret string) (*Webhook, error) {
	if secret == "" {
		return nil, ErrNoSecret
	}
	w := &Webhook{base: base, events: map[string]event{}}
	all := base.events()
	registered := make([]githubapp.EventHandler, len(all))
	for i, e := range all {
		registered[i] = recorded{e}
		for _, name := range e.Handles() {
			w.events[name] = e
		}
	}
	w.Handler = w.guard(githubapp.NewEventDispatcher(registered, secret,
		githubapp.WithScheduler(scheduler{base}), githubapp.WithErrorCallback(w.refuse), githubapp.WithResponseCallback(w.taken)))
	return w, nil
}

// guid is what GitHub sends as a delivery's id.
var guid = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

// sha256Signature is the one form of signature that is taken: go-github goes by the prefix, and would check a SHA-1 of
// the same secret under the header of SHA-256.
var sha256Signature = regexp.MustCompile(`^sha256=[0-9a-fA-F]{64}$`)

// guard refuses what the dispatcher would be too kind to: it reads without limit and falls back to SHA-1.
func (w *Webhook) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodPost:
			rw.Header().Set("Allow", http.MethodPost)
			w.answer(rw, r, http.StatusMethodNotAllowed, "method", "deliveries are POSTed")
		case r.ContentLength > maxBody:
			w.answer(rw, r, http.StatusRequestEntityTooLarge, "oversized", "the body is over 25 MB")
		case r.Header.Get(github.SHA256SignatureHeader) == "" && r.Header.Get(github.SHA1SignatureHeader) != "":
			w.answer(rw, r, http.StatusUnauthorized, "sha1_only", "the delivery is signed with SHA-1 only; "+github.SHA256SignatureHeader+" is needed")
		case r.Header.Get(github.SHA256SignatureHeader) == "":
			w.answer(rw, r, http.StatusUnauthorized, "unsigned", "the delivery has no "+github.SHA256SignatureHeader)
		case !sha256Signature.MatchString(r.Header.Get(github.SHA256SignatureHeader)):
			w.answer(rw, r, http.StatusUnauthorized, "bad_signature", github.SHA256SignatureHeader+" is not sha256= and 64 hexadecimal digits")
		case !guid.MatchString(r.Header.Get(github.DeliveryIDHeader)):
			w.answer(rw, r, http.StatusBadRequest, "no_guid", github.DeliveryIDHeader+" is missing or not a GUID")
		default:
			r.Body = http.MaxBytesReader(rw, r.Body, maxBody)
			next.ServeHTTP(rw, r)
		}
	})
}

// refuse answers what the dispatcher or the scheduler could not take.
func (w *Webhook) refuse(rw http.ResponseWriter, r *http.Request, err error) {
	var invalid githubapp.ValidationError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &invalid) && errors.As(invalid.Cause, &tooLarge), errors.As(err, &tooLarge):
		w.answer(rw, r, http.StatusRequestEntityTooLarge, "oversized", "the body is over 25 MB")
	case errors.Is(err, errPayload):
		w.answer(rw, r, http.StatusBadRequest, "unparsable", err.Error())
	case errors.As(err, &invalid):
		// go-github has no sentinel for a signature that does not match, and its text is all there is to tell by.
		if invalid.Cause != nil && invalid.Cause.Error() == "payload signature check failed" {
			w.answer(rw, r, http.StatusUnauthorized, "bad_signature", "the signature does not match: is the webhook secret the App's?")
			return
		}
		w.answer(rw, r, http.StatusBadRequest, "unparsable", err.Error())
	default:
		zerolog.Ctx(r.Context()).Error().Err(err).Msg("a delivery could not be recorded")
		w.answer(rw, r, http.StatusServiceUnavailable, "unrecorded", "the delivery could not be recorded; send it again")
	}
}

// taken answers what the scheduler took, and events that SAM has no handler for: nothing of those is written.
func (w *Webhook) taken(rw http.ResponseWriter, r *http.Request, eventType string, handled bool) {
	if !handled {
		w.base.Metrics.delivery("ignored")
	}
	githubapp.DefaultResponseCallback(rw, r, eventType, handled)
}

func (w *Webhook) answer(rw http.ResponseWriter, r *http.Request, code int, result, why string) {
	w.base.Metrics.delivery(result)
	zerolog.Ctx(r.Context()).Warn().Str("delivery", r.Header.Get(github.DeliveryIDHeader)).Int("status", code).
		Str("result", result).Msg("refused a delivery: " + why)
	http.Error(rw, why, code)
}

// recorded is an event as go-githubapp wants it.
type recorded struct{ event event }

// Handles implements githubapp.EventHandler.
func (r recorded) Handles() []string { return r.event.Handles() }

// Handle implements githubapp.EventHandler. Nobody calls it: the scheduler records what it is given.
func (recorded) Handle(context.Context, string, string, []byte) error {
	return errors.New("deliveries are recorded first and handled from the record")
}

// scheduler is go-githubapp's place for handling events later. Later is when the store hands them over: only what is
// recorded there is answered with success.
type scheduler struct{ base Base }

// Schedule implements githubapp.Scheduler.
func (s scheduler) Schedule(ctx context.Context, d githubapp.Dispatch) error {
	r, ok := d.Handler.(recorded)
	if !ok {
		return fmt.Errorf("no handler of ours: %T", d.Handler)
	}
	reduced, err := r.event.Reduce(d.EventType, d.Payload)
	if err != nil {
		return err
	}
	if reduced == nil {
		s.base.Metrics.delivery("ignored")
		return nil
	}
	fresh, err := s.base.Store.Accept(ctx, task.Delivery{ID: d.DeliveryID, Event: d.EventType, Body: reduced})
	if err != nil {
		return err
	}
	result := "accepted"
	if !fresh {
		result = "duplicate"
	}
	s.base.Metrics.delivery(result)
	zerolog.Ctx(ctx).Info().Str("result", result).Msg("a delivery is recorded")
	return nil
}

// giveUpAfter is how long a recorded delivery is tried to be handled. What GitHub does not answer for a day is answered by
// nobody who still waits.
const giveUpAfter = 24 * time.Hour

// Handle acts on a recorded delivery. An error means that it is to be handled again; after a day there is none.
func (w *Webhook) Handle(ctx context.Context, d task.Delivery) error {
	e, ok := w.events[d.Event]
	if !ok {
		zerolog.Ctx(ctx).Error().Msg("a recorded delivery is of a kind that this release does not take; left out")
		return nil
	}
	err := e.Handle(ctx, d)
	if err != nil && !d.At.IsZero() && time.Since(d.At) > giveUpAfter {
		zerolog.Ctx(ctx).Error().Err(err).Time("recorded", d.At).Msg("a delivery could not be handled for a day; it is given up")
		w.base.Metrics.ignored("given_up")
		return nil
	}
	return err
}
