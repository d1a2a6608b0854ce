package gateway

import (
	"fmt"
	"io"
	"net/http"
	"slices"
)

// infoRefs passes on upstream's advertisement of one service. For a push it passes unchanged, so that git
// computes its update from what upstream really has.
func (g *Git) infoRefs(w http.ResponseWriter, r *gitRequest) {
	service := r.URL.Query().Get("service")
	if service != uploadPackService && service != receivePackService {
		http.Error(w, "SAM speaks git's smart HTTP protocol only; use a current git", http.StatusForbidden)
		return
	}
	g.passThrough(w, r, service, http.MethodGet, "/info/refs?service="+service, nil, "application/x-"+service+"-advertisement")
}

// uploadPack passes a fetch through, both ways as a stream.
func (g *Git) uploadPack(w http.ResponseWriter, r *gitRequest) {
	if r.Header.Get("Content-Type") != "application/x-git-upload-pack-request" {
		http.Error(w, "this is not a git fetch request", http.StatusUnsupportedMediaType)
		return
	}
	if r.ContentLength > r.limits.FetchBytes {
		http.Error(w, fmt.Sprintf("this fetch request is larger than SAM's limit of %d bytes", r.limits.FetchBytes), http.StatusRequestEntityTooLarge)
		return
	}
	body := newUpload(r.Body, r.limits.FetchBytes)
	defer func() { _ = body.stop() }() // whoever answered has looked at how reading ended
	g.passThrough(w, r, uploadPackService, http.MethodPost, "/"+uploadPackService, body, "application/x-git-upload-pack-result")
}

// passThrough sends the client's request on with a token and streams the answer back.
func (g *Git) passThrough(w http.ResponseWriter, r *gitRequest, service, method, path string, body *upload, contentType string) {
	m := g.remote(r, service)
	sent, err := resendable(body, r.ContentLength)
	if err == nil {
		var resp *http.Response
		failed := g.exchanges(r.Context(), m, sent.again, func(token string) error {
			req, err := upstreamRequest(r.Context(), m.url, method, path, sent.reader(), token)
			if err != nil {
				return err
			}
			req.ContentLength = sent.length
			copyHeaders(req.Header, r.Header, "Content-Type", "Content-Encoding", "Accept", "Accept-Encoding")
			if v := r.Header.Get("Git-Protocol"); slices.Contains([]string{"version=0", "version=1", "version=2"}, v) {
				req.Header.Set("Git-Protocol", v)
			}
			resp, err = g.exchange(req, token, contentType) //nolint:bodyclose // closed below, when it has been passed on
			return err
		})
		if failed == nil {
			defer resp.Body.Close()
			g.answer(w, r, service, body, resp)
			return
		}
		err = failed
	}
	if body != nil && body.tooLarge() {
		http.Error(w, fmt.Sprintf("this fetch request is larger than SAM's limit of %d bytes", r.limits.FetchBytes), http.StatusRequestEntityTooLarge)
		return
	}
	e := asUpstreamError(err, "")
	r.log.Warn().Err(e).Str("service", service).Msg("git request failed upstream")
	e.tell(w)
}

// answer streams upstream's answer to the client.
func (*Git) answer(w http.ResponseWriter, r *gitRequest, service string, body *upload, resp *http.Response) {
	if body != nil {
		select {
		case <-body.done:
		case <-r.Context().Done():
			_ = body.stop() // the request is over, and the answer will say so
		}
	}
	copyHeaders(w.Header(), resp.Header, "Content-Type", "Content-Encoding")
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	if err := stream(w, resp.Body); err != nil {
		// The status is out; only a broken connection tells git that this is not the end.
		r.log.Warn().Err(asUpstreamError(err, "")).Str("service", service).Msg("git answer broke off")
		panic(http.ErrAbortHandler)
	}
}

func copyHeaders(dst, src http.Header, names ...string) {
	for _, name := range names {
		if values := src.Values(name); len(values) > 0 {
			dst[name] = slices.Clone(values)
		}
	}
}

// stream copies body to w and flushes after every read, so that progress shows while it happens.
func stream(w http.ResponseWriter, body io.Reader) error {
	conn := http.NewResponseController(w)
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return fmt.Errorf("write to client: %w", err)
			}
			if err := conn.Flush(); err != nil {
				return fmt.Errorf("flush to client: %w", err)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read from upstream: %w", err)
		}
	}
}
