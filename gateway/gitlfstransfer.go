package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// lfsFileOf is the file that a transfer's address names.
func (r *gitRequest) lfsFileOf() (lfsFile, bool) {
	size, err := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64)
	file := lfsFile{OID: r.PathValue("oid"), Size: size}
	return file, err == nil && size >= 0 && isSHA256(file.OID)
}

const notFromBatch = "this is no address of a file of Git LFS that SAM gave out"

// lfsDownload streams a file from where upstream keeps it. A part of it can be asked for.
func (g *Git) lfsDownload(w http.ResponseWriter, r *gitRequest) {
	file, ok := r.lfsFileOf()
	if !ok {
		refuseLFS(w, http.StatusNotFound, notFromBatch)
		return
	}
	resp, failed := g.fetchLFS(r, file)
	if failed != nil {
		r.log.Warn().Err(failed).Str("oid", file.OID).Msg("git lfs download failed upstream")
		refuseLFS(w, failed.status, failed.message)
		return
	}
	defer resp.Body.Close()
	copyHeaders(w.Header(), resp.Header, "Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "Content-Encoding")
	w.WriteHeader(resp.StatusCode)
	if err := stream(w, resp.Body); err != nil {
		r.log.Warn().Err(err).Str("oid", file.OID).Msg("git lfs download broke off")
		panic(http.ErrAbortHandler) // the status is out
	}
}

func (g *Git) fetchLFS(r *gitRequest, file lfsFile) (*http.Response, *upstreamError) {
	actions, failed := g.lfsActions(r, lfsDownload, file)
	if failed != nil {
		return nil, failed
	}
	action, ok := actions[lfsDownload]
	if !ok {
		return nil, &upstreamError{status: http.StatusNotFound, message: "the repository's host does not have this file of Git LFS"}
	}
	req, err := r.storageRequest(http.MethodGet, action, nil)
	if err != nil {
		return nil, asUpstreamError(err, "")
	}
	copyHeaders(req.Header, r.Header, "Range", "Accept-Encoding")
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, ofStorage(err)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		return resp, nil
	}
	resp.Body.Close()
	return nil, answeredBadly(resp)
}

// lfsUpload takes in a file and puts it where upstream wants it. A file that is not what its name says goes nowhere whole.
func (g *Git) lfsUpload(w http.ResponseWriter, r *gitRequest) {
	file, ok := r.lfsFileOf()
	if !ok {
		refuseLFS(w, http.StatusNotFound, notFromBatch)
		return
	}
	if refused := r.lfsRefused(lfsRequest{Operation: lfsUpload, Objects: []lfsFile{file}}); refused != nil {
		drain(w, r)
		refuseLFS(w, refused.Code, refused.Message)
		return
	}
	empty := sha256.Sum256(nil)
	if r.ContentLength >= 0 && r.ContentLength != file.Size || file.Size == 0 && file.OID != hex.EncodeToString(empty[:]) {
		drain(w, r)
		refuseLFS(w, http.StatusUnprocessableEntity, errNotNamed.Error())
		return
	}
	body := newUpload(r.Body, file.Size)
	failed := g.storeLFS(r, file, body)
	if !errors.Is(body.stop(), io.EOF) {
		drain(w, r)
	}
	if failed != nil {
		r.log.Warn().Err(failed).Str("oid", file.OID).Msg("git lfs upload failed")
		refuseLFS(w, failed.status, failed.message)
		return
	}
	r.log.Info().Str("oid", file.OID).Int64("bytes", file.Size).Msg("git lfs file uploaded")
	w.WriteHeader(http.StatusOK)
}

func (g *Git) storeLFS(r *gitRequest, file lfsFile, body *upload) *upstreamError {
	actions, failed := g.lfsActions(r, lfsUpload, file)
	if failed != nil {
		return failed
	}
	action, ok := actions[lfsUpload]
	if !ok {
		return nil // it is there already
	}
	checked := &namedContent{Reader: body, upload: body, name: file.OID, left: file.Size, hash: sha256.New()}
	req, err := r.storageRequest(http.MethodPut, action, checked)
	if err != nil {
		return asUpstreamError(err, "")
	}
	if req.ContentLength = file.Size; file.Size == 0 {
		req.Body = http.NoBody
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	if failed := g.put(req, http.StatusOK, http.StatusCreated, http.StatusNoContent); failed != nil {
		_ = body.stop()
		if errors.Is(failed, errNotNamed) {
			return &upstreamError{status: http.StatusUnprocessableEntity, message: errNotNamed.Error(), cause: failed}
		}
		return failed
	}
	verify, ok := actions[lfsVerify]
	if !ok {
		return nil
	}
	told, err := json.Marshal(lfsFile{OID: file.OID, Size: file.Size})
	if err != nil {
		return asUpstreamError(err, "")
	}
	if req, err = r.storageRequest(http.MethodPost, verify, strings.NewReader(string(told))); err != nil {
		return asUpstreamError(err, "")
	}
	req.Header.Set("Content-Type", lfsType)
	req.Header.Set("Accept", lfsType)
	return g.put(req, http.StatusOK)
}

// put sends a request whose answer is its status.
func (g *Git) put(req *http.Request, good ...int) *upstreamError {
	resp, err := g.client.Do(req)
	if err != nil {
		return ofStorage(err)
	}
	defer resp.Body.Close()
	for _, status := range good {
		if resp.StatusCode == status {
			return nil
		}
	}
	return answeredBadly(resp)
}

// storageRequest makes a request to where an action points. Its address and headers are for upstream's eyes only.
func (r *gitRequest) storageRequest(method string, action lfsAction, body io.Reader) (*http.Request, error) {
	to, err := url.Parse(action.Href)
	if err != nil || to.Host == "" || to.Scheme != "https" && (to.Scheme != "http" || !strings.HasPrefix(r.grant.CloneURL, "http://")) {
		return nil, &upstreamError{status: http.StatusBadGateway, message: "the repository's host gave no usable address for this file of Git LFS"}
	}
	req, err := http.NewRequestWithContext(r.Context(), method, to.String(), body)
	if err != nil {
		return nil, errors.New("make a request to the storage of Git LFS") // the address is a secret
	}
	for name, value := range action.Header {
		switch http.CanonicalHeaderKey(name) {
		case "Host", "Content-Length", "Transfer-Encoding", "Connection":
		default:
			req.Header.Set(name, value)
		}
	}
	req.Header.Set("User-Agent", "git-lfs/3 (sam)")
	return req, nil
}

// ofStorage is an error of an exchange with the storage, without its address, which opens the file to anybody.
func ofStorage(err error) *upstreamError {
	var with *url.Error
	if errors.As(err, &with) {
		err = with.Err
	}
	return asUpstreamError(fmt.Errorf("reach the storage of Git LFS: %w", err), "")
}

var errNotNamed = errors.New("what was uploaded is not the file that its name says; run `git lfs fsck` and push again")

// namedContent is a file on its way, named by its SHA-256. What is not that file ends in an error before its last byte.
type namedContent struct {
	io.Reader
	upload *upload
	name   string
	left   int64
	hash   hash.Hash
}

// Read implements io.Reader.
func (c *namedContent) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	_, _ = c.hash.Write(p[:n]) // a hash takes all
	if c.left -= int64(n); c.left == 0 && n > 0 && hex.EncodeToString(c.hash.Sum(nil)) != c.name {
		return 0, errNotNamed
	}
	return n, err
}

// Close is the transport's word that it is done.
func (c *namedContent) Close() error { return c.upload.Close() }
