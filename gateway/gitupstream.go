package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/rs/zerolog"
)

const (
	uploadPackService  = "git-upload-pack"
	receivePackService = "git-receive-pack"

	// maxAdvertisement bounds what is read of a ref advertisement while looking for one ref. GitHub's largest
	// repositories advertise some tens of megabytes.
	maxAdvertisement = 256 << 20
)

// upstreamError is a failed exchange with the repository's host. The message is for the person or agent at the other end
// and never holds what upstream said, nor a token; the cause is for the log.
type upstreamError struct {
	status     int // what the client gets
	message    string
	retryAfter string
	unknown    bool // upstream does not know the token
	cause      error
}

func (e *upstreamError) Error() string {
	if e.cause == nil {
		return e.message
	}
	return e.message + ": " + e.cause.Error()
}

func (e *upstreamError) Unwrap() error { return e.cause }

// tell answers w with what the client may know of err.
func (e *upstreamError) tell(w http.ResponseWriter) {
	if e.retryAfter != "" {
		w.Header().Set("Retry-After", e.retryAfter)
	}
	http.Error(w, e.message, e.status)
}

// asUpstreamError classifies an error of a whole exchange; token is taken out of its text.
func asUpstreamError(err error, token string) *upstreamError {
	var known *upstreamError
	if errors.As(err, &known) {
		return known
	}
	if token != "" {
		err = &scrubbedError{err: err, token: token}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &upstreamError{status: http.StatusGatewayTimeout, message: "the repository's host did not answer SAM in time; try again", cause: err}
	}
	return &upstreamError{status: http.StatusBadGateway, message: "SAM cannot reach the repository's host; try again shortly", cause: err}
}

// scrubbedError hides a token in another error's text.
type scrubbedError struct {
	err   error
	token string
}

func (e *scrubbedError) Error() string {
	return strings.ReplaceAll(e.err.Error(), e.token, "[token]")
}
func (e *scrubbedError) Unwrap() error { return e.err }

// remote is a repository upstream and what its tokens are for.
type remote struct {
	url  string
	mint func(context.Context) (string, error)
}

// remote is where a request for a service goes.
func (g *Git) remote(r *gitRequest, service string) remote {
	switch {
	case r.sub != nil:
		return remote{r.sub.CloneURL, func(ctx context.Context) (string, error) { return g.tokens.ListedToken(ctx, *r.sub) }}
	case service == receivePackService:
		return remote{r.grant.CloneURL, func(ctx context.Context) (string, error) { return g.tokens.PushToken(ctx, r.grant) }}
	default:
		return remote{r.grant.CloneURL, func(ctx context.Context) (string, error) { return g.tokens.FetchToken(ctx, r.grant) }}
	}
}

// token returns a token for a remote; the error is fit for the client.
func (m remote) token(ctx context.Context) (string, error) {
	token, err := m.mint(ctx)
	if err == nil && token == "" {
		err = errors.New("the token is empty")
	}
	if err != nil {
		var forbidden *GitForbiddenError
		if errors.As(err, &forbidden) {
			return "", &upstreamError{status: http.StatusForbidden, message: forbidden.Message, cause: err}
		}
		return "", &upstreamError{status: http.StatusBadGateway, message: "SAM cannot get a token for this repository at the moment; try again shortly", cause: err}
	}
	return token, nil
}

// exchanges runs exchange with a token. When upstream does not know the token, which it says before it takes anything in, a
// new one is minted and the exchange run once more, if again says that this can be done. Nil: it always can. The error is
// fit for the client.
func (g *Git) exchanges(ctx context.Context, m remote, again func() bool, exchange func(token string) error) *upstreamError {
	for tried := false; ; tried = true {
		token, err := m.token(ctx)
		if err != nil {
			return asUpstreamError(err, "")
		}
		if err = exchange(token); err == nil {
			return nil
		}
		failed := asUpstreamError(err, token)
		if !failed.unknown {
			return failed
		}
		g.tokens.ForgetToken(token)
		if tried || again != nil && !again() {
			return failed
		}
		zerolog.Ctx(ctx).Info().Msg("the repository's host does not know the token any more; once more with a new one")
	}
}

// upstreamRequest makes a request to a path below a repository.
func upstreamRequest(ctx context.Context, cloneURL, method, path string, body io.Reader, token string) (*http.Request, error) {
	base, err := url.Parse(cloneURL)
	if err != nil || (base.Scheme != "https" && base.Scheme != "http") || base.Host == "" || base.User != nil || base.RawQuery != "" {
		return nil, &upstreamError{status: http.StatusInternalServerError, message: "SAM has no usable address for this repository; tell whoever runs SAM"}
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(base.String(), "/")+path, body)
	if err != nil {
		return nil, fmt.Errorf("make upstream request: %w", err)
	}
	req.Header.Set("User-Agent", "git/2.0 (sam)") // hosts tell git from browsers by the first word
	req.SetBasicAuth("x-access-token", token)
	return req, nil
}

// exchange sends req and returns its answer if that is a 200 of the given media type; any other answer is an error.
func (g *Git) exchange(req *http.Request, token, contentType string) (*http.Response, error) {
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, asUpstreamError(err, token)
	}
	if resp.StatusCode == http.StatusOK && resp.Header.Get("Content-Type") == contentType {
		return resp, nil
	}
	resp.Body.Close()
	return nil, answeredBadly(resp)
}

func answeredBadly(resp *http.Response) *upstreamError {
	e := &upstreamError{status: http.StatusBadGateway, cause: fmt.Errorf("upstream answered %s with %q", resp.Status, resp.Header.Get("Content-Type"))}
	switch code := resp.StatusCode; {
	case code >= 300 && code < 400:
		e.message = "the repository has moved on its host and SAM does not follow; try again once SAM has learned its new name"
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.unknown = code == http.StatusUnauthorized
		e.message = fmt.Sprintf("the repository's host refused SAM's token (%d); check that the SAM app is still installed on this repository with the permissions it asks for", code)
	case code == http.StatusNotFound:
		e.message = "the repository's host does not show this repository to SAM (404); check that it exists and that the SAM app is installed on it"
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		e.message = fmt.Sprintf("the repository's host asks to wait (%d); try again later", code)
		e.retryAfter = resp.Header.Get("Retry-After")
	case code == http.StatusGatewayTimeout:
		e.status = http.StatusGatewayTimeout
		e.message = "the repository's host timed out; try again"
	default:
		e.message = fmt.Sprintf("the repository's host gave an answer that SAM cannot use (%d); try again shortly", code)
	}
	return e
}

// tip reads what the grant's branch is upstream: forty zeros when there is none. It asks the receiving service, because
// that is what the update will be compared with.
func (g *Git) tip(ctx context.Context, grant Grant, m remote) (tip string, _ error) {
	failed := g.exchanges(ctx, m, nil, func(token string) error {
		req, err := upstreamRequest(ctx, m.url, http.MethodGet, "/info/refs?service="+receivePackService, nil, token)
		if err != nil {
			return err
		}
		resp, err := g.exchange(req, token, "application/x-git-receive-pack-advertisement")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if tip, err = findRef(io.LimitReader(resp.Body, maxAdvertisement), grant.Branch); err != nil {
			return fmt.Errorf("read refs of %s: %w", m.url, err)
		}
		return nil
	})
	if failed != nil {
		return "", failed
	}
	return tip, nil
}

// findRef reads a receive-pack advertisement up to the named ref. An advertisement that ends early is an error, not an
// absent ref.
func findRef(advertisement io.Reader, name string) (string, error) {
	s := pktline.NewScanner(advertisement)
	flushes := 0 // one ends the service's announcement, the second the refs
	for s.Scan() {
		line := s.Bytes()
		if len(line) == 0 {
			if flushes++; flushes == 2 {
				return plumbing.ZeroHash.String(), nil
			}
			continue
		}
		if flushes == 0 {
			continue
		}
		text, _, _ := strings.Cut(string(line), "\x00")
		id, ref, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
		if ref == name {
			if !plumbing.IsHash(id) || len(id) != 40 {
				return "", fmt.Errorf("%s has an id that is not SHA-1", name)
			}
			return id, nil
		}
	}
	if err := s.Err(); err != nil {
		return "", fmt.Errorf("scan ref advertisement: %w", err)
	}
	return "", fmt.Errorf("scan ref advertisement: %w", io.ErrUnexpectedEOF)
}
