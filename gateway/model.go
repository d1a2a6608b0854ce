package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"sam/task"
)

// ModelOptions are what a Model is made of.
type ModelOptions struct {
	BaseURL string // of the Messages API, e.g. https://api.anthropic.com; a path in it is kept
	Key     string // the operator's, sent as x-api-key; it never reaches a node
	Prices  Prices
	// ServerTools are those of ServerTools that tasks may use: a way out of a workspace, through the model's servers.
	ServerTools []string
	HTTP        *http.Client // its transport alone is used
}

// Model is the model broker: a workspace's only way to a model. It speaks Anthropic's Messages API on both sides, adds the
// operator's key, refuses what would make the model's servers a way out of the workspace (modelask.go), passes answers
// through as they come, and meters what each of them used.
//
//	workspace -> node's forwarder -> Model -> Anthropic
//
//	POST /model/{task}/anthropic/v1/messages
//	POST /model/{task}/anthropic/v1/messages/count_tokens
//
// What it refuses itself has the API's error shape. Usage is what the answer tells, also when it breaks off: a stream that
// ends before its last delta counts with the output it had told by then, which is less than was made.
type Model struct {
	base    *url.URL
	key     string
	prices  Prices
	rules   modelRules
	client  *http.Client
	held    heldRequests
	refused *prometheus.CounterVec // by what
	// telling and uploading are modelTelling and modelUploading.
	telling, uploading time.Duration

	mu       sync.Mutex
	unpriced map[string]bool // models without a price that the log was told of, at most maxUnpriced
}

// NewModel checks the address and the key. The error is for the operator and does not hold the key.
func NewModel(o ModelOptions) (*Model, error) {
	base, err := url.Parse(o.BaseURL)
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") || base.User != nil || base.RawQuery != "" {
		return nil, fmt.Errorf("the model's address %q is not an http or https address without credentials", o.BaseURL)
	}
	if o.Key == "" || strings.ContainsFunc(o.Key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the model's key is empty, or holds what no key holds")
	}
	for _, tool := range o.ServerTools {
		if !slices.Contains(ServerTools(), tool) {
			return nil, fmt.Errorf("%q is no tool of the model's servers that can be allowed: there are %s", tool, strings.Join(ServerTools(), ", "))
		}
	}
	return &Model{
		base: base, key: o.Key, prices: o.Prices, rules: modelRules{o.ServerTools},
		telling: modelTelling, uploading: modelUploading, unpriced: map[string]bool{},
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sam_model_refused_total",
			Help: "What tasks asked of the model and were not given, because it reaches beyond the conversation: requests by what was wrong with them, and values of Anthropic-Beta.",
		}, []string{"what"}),
		client: &http.Client{
			Transport:     o.HTTP.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it would take the key elsewhere
		},
	}, nil
}

// modelRecords remembers what was used. It may be called after the client has gone.
type modelRecords interface {
	RecordUsage(ctx context.Context, g Grant, u task.Usage) error
}

// Bounds of one request to the model.
const (
	maxModelRequest = 32 << 20         // its body, in bytes: what the API itself takes
	maxModelTime    = time.Hour        // the whole of it: the longest answer at a slow pace
	modelTelling    = 30 * time.Second // for telling the client of its end
)

// maxUnpriced is how many models without a price the log tells of: their names may be a workspace's own.
const maxUnpriced = 32

// modelRequest is one admitted request.
type modelRequest struct {
	*http.Request
	grant   Grant
	records modelRecords
	path    string // upstream
}

// register registers the metrics. A nil Model has none.
func (m *Model) register(r prometheus.Registerer) {
	if m != nil && r != nil {
		r.MustRegister(m.refused)
	}
}

// handler serves the routes. A nil Model refuses them all, with what to do about it.
func (m *Model) handler(grants GitGrants, records modelRecords) http.Handler {
	const root = "/model/{task}/anthropic/v1/"
	mux := http.NewServeMux()
	for _, path := range []string{"messages", "messages/count_tokens"} {
		mux.HandleFunc("POST "+root+path, func(w http.ResponseWriter, r *http.Request) {
			grant, err := grants.Authorize(r, r.PathValue("task"))
			switch {
			case err != nil:
				asModelError(r, err).tell(w)
			case m == nil:
				errNoModel().tell(w)
			default:
				m.serve(r.Context(), w, &modelRequest{Request: r, grant: grant, records: records, path: "v1/" + path})
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { errNoSuchModelPath().tell(w) })
	return mux
}

func (m *Model) serve(ctx context.Context, w http.ResponseWriter, r *modelRequest) {
	ctx, cancel := context.WithTimeout(ctx, maxModelTime)
	defer cancel()
	log := zerolog.Ctx(ctx).With().Str("task", r.grant.Task).Int64("epoch", r.grant.Epoch).Logger()
	ctx = log.WithContext(ctx)
	defer untimed(ctx, w, m.telling)()
	r.Request = r.WithContext(ctx)

	response, err := m.send(ctx, w, r)
	if err != nil {
		var told *modelError
		if !errors.As(err, &told) {
			told = errModelAway(http.StatusBadGateway, "SAM cannot reach the model at the moment; try again shortly")
		}
		if ctx.Err() == nil {
			log.Warn().Int("status", told.status).Err(scrubbed(err, m.key)).Msg("request to the model failed")
		}
		told.tell(w)
		return
	}
	defer response.Body.Close()
	meter := newMeter(response.Header.Get("Content-Type"))
	broken := pass(w, response, meter)
	m.record(ctx, r, meter)
	if broken != nil {
		if ctx.Err() == nil {
			log.Warn().Err(broken).Msg("the model's answer broke off")
		}
		panic(http.ErrAbortHandler) // an answer that is ended in order would look whole
	}
}

// record writes down what an answer used. The client may be gone by now, and the money too.
func (m *Model) record(ctx context.Context, r *modelRequest, meter *meter) {
	if meter.end(); !meter.seen {
		return
	}
	price, known := m.prices.of(meter.model)
	log := zerolog.Ctx(ctx)
	if !known && m.untold(keepName(meter.model)) {
		log.Warn().Str("model", keepName(meter.model)).Msg("the model has no price in model.prices: it is reckoned as the dearest there")
	}
	used := meter.usage(price)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.telling)
	defer cancel()
	if err := r.records.RecordUsage(ctx, r.grant, used); err != nil {
		log.Error().Err(err).Interface("usage", used).Msg("what a request to the model used is not recorded")
		return
	}
	log.Debug().Interface("usage", used).Msg("request to the model metered")
}

// untold reports whether the log is yet to be told of a model without a price, and takes it that it is now.
func (m *Model) untold(model string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unpriced[model] || len(m.unpriced) >= maxUnpriced {
		return false
	}
	m.unpriced[model] = true
	return true
}

// keepName is a model's name as far as a name goes.
func keepName(model string) string { return strings.ToValidUTF8(model[:min(len(model), 80)], "") }
