package forge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v62/github"
	"github.com/rs/zerolog"

	"sam/task"
)

// maxRedirects is how often a read follows a redirect, as a renamed repository answers.
const maxRedirects = 3

// holdWithin bounds writing down that GitHub wants to be left alone.
const holdWithin = 5 * time.Second

// clients keeps one client for each installation: its token is minted when it is first needed and serves an hour.
type clients struct {
	options Options
	next    http.RoundTripper
	base    *url.URL

	mu sync.Mutex
	of map[int64]*github.Client
}

// get returns an installation's client.
func (c *clients) get(installation int64) (*github.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := c.of[installation]; client != nil {
		return client, nil
	}
	mint := func() (http.RoundTripper, error) {
		t, err := ghinstallation.New(c.next, c.options.AppID, installation, c.options.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("make a client for installation %d: %w", installation, err)
		}
		t.BaseURL = strings.TrimSuffix(c.base.String(), "/")
		return t, nil
	}
	first, err := mint()
	if err != nil {
		return nil, err
	}
	client := github.NewClient(&http.Client{
		Transport:     &installed{id: installation, pacer: c.options.Pacer, mint: mint, current: first},
		CheckRedirect: followReads,
	})
	client.BaseURL, client.UserAgent = c.base, c.options.UserAgent
	c.of[installation] = client
	return client, nil
}

// followReads has a read find a repository that was renamed, on GitHub itself: the token goes wherever the request goes. A
// write is not followed: as a 301 it would turn into a read, and an edit that never was would look like one.
func followReads(r *http.Request, via []*http.Request) error {
	switch first := via[0]; {
	case first.Method != http.MethodGet:
		return http.ErrUseLastResponse
	case r.URL.Host != first.URL.Host || r.URL.Scheme != first.URL.Scheme:
		return fmt.Errorf("GitHub redirects to %s, where its token must not go", r.URL.Host)
	case len(via) > maxRedirects:
		return fmt.Errorf("GitHub redirects more than %d times", maxRedirects)
	default:
		return nil
	}
}

// installed is the transport of one installation. It adds the installation's token, mints a new one, once for a request,
// when GitHub has forgotten the token before its time, writes down when GitHub wants to be left alone, and makes no call,
// a read neither, while it does.
type installed struct {
	id    int64
	pacer Pacer
	mint  func() (http.RoundTripper, error)

	mu      sync.Mutex
	current http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (i *installed) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := i.held(r.Context()); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	i.mu.Lock()
	used := i.current
	i.mu.Unlock()
	res, err := used.RoundTrip(r)
	if err == nil && res.StatusCode == http.StatusUnauthorized {
		if again, ok := i.renew(used, r); ok {
			_, _ = io.Copy(io.Discard, res.Body) // it is in memory: see bounded
			_ = res.Body.Close()
			res, err = again()
		}
	}
	i.note(r.Context(), res, err)
	return res, err
}

// held is a task.LaterError while GitHub wants to be left alone. Where that cannot be read GitHub will say it itself.
func (i *installed) held(ctx context.Context) error {
	if i.pacer == nil {
		return nil
	}
	wait, err := i.pacer.Held(ctx, i.id)
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("calling GitHub without knowing whether it wants to be left alone")
		return nil
	}
	if wait > 0 {
		return task.LaterError{After: wait}
	}
	return nil
}

// renew puts a transport without a token in the place of the used one, unless another call has done so, and returns the
// request's repetition with it.
func (i *installed) renew(used http.RoundTripper, r *http.Request) (func() (*http.Response, error), bool) {
	repeated := r.Clone(r.Context())
	if r.Body != nil && r.Body != http.NoBody {
		if r.GetBody == nil {
			return nil, false
		}
		body, err := r.GetBody()
		if err != nil {
			return nil, false
		}
		repeated.Body = body
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current == used {
		fresh, err := i.mint()
		if err != nil {
			return nil, false
		}
		zerolog.Ctx(r.Context()).Warn().Int64("installation", i.id).Msg("GitHub does not know the token any more; minting a new one")
		i.current = fresh
	}
	next := i.current
	return func() (*http.Response, error) { return next.RoundTrip(repeated) }, true
}

// note tells the pacer of a limit, met by the call or by the minting of its token.
func (i *installed) note(ctx context.Context, res *http.Response, err error) {
	var minting *ghinstallation.HTTPError
	if errors.As(err, &minting) {
		res = minting.Response
	}
	after, ok := markedLimit(res)
	if !ok || i.pacer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), holdWithin)
	defer cancel()
	log := zerolog.Ctx(ctx).Warn().Int64("installation", i.id)
	held, err := i.pacer.Hold(ctx, i.id, after)
	if err != nil {
		log.Err(err).Msg("GitHub's limit could not be noted; other replicas will meet it too")
		return
	}
	log.Dur("for", held).Msg("GitHub asks to be left alone")
}
