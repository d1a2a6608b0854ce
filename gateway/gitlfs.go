package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sam/agent/wire"
)

// Files of Git LFS. A workspace asks for what it wants as of any LFS server (POST …/info/lfs/objects/batch), and is told
// addresses of the broker's own (…/lfs/{oid}) in place of those of the storage, whose addresses and headers are secrets. Where
// a file really is the broker asks upstream at the moment of its transfer: nothing is remembered between the two, so any
// replica can serve it, and nothing has expired meanwhile.

const (
	lfsType     = "application/vnd.git-lfs+json"
	lfsBatch    = "/info/lfs/objects/batch"
	lfsDownload = "download"
	lfsUpload   = "upload"
	lfsVerify   = "verify"

	maxLFSObjects = 1000    // in one batch; git-lfs asks for 100
	maxLFSRequest = 1 << 20 // a batch, either way, bytes
)

// lfsFile is a file in a batch, as it is asked for and as it is answered.
type lfsFile struct {
	OID           string               `json:"oid"` // its SHA-256, 64 hex digits
	Size          int64                `json:"size"`
	Authenticated bool                 `json:"authenticated,omitempty"`
	Actions       map[string]lfsAction `json:"actions,omitempty"`
	Error         *lfsError            `json:"error,omitempty"`
}

// lfsAction says where a file is transferred.
type lfsAction struct {
	Href   string            `json:"href"`
	Header map[string]string `json:"header,omitempty"`
}

type lfsError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

type lfsRequest struct {
	Operation string    `json:"operation"`
	Transfers []string  `json:"transfers,omitempty"`
	Objects   []lfsFile `json:"objects"`
	HashAlgo  string    `json:"hash_algo,omitempty"`
}

type lfsResponse struct {
	Transfer string    `json:"transfer,omitempty"`
	Objects  []lfsFile `json:"objects"`
}

// handleLFS adds the routes of one repository's files.
func (g *Git) handleLFS(mux *http.ServeMux, prefix string, granted func(gitHandler) http.Handler) {
	mux.Handle("POST "+prefix+lfsBatch, granted(g.lfsBatch))
	mux.Handle("GET "+prefix+"/lfs/{oid}", granted(g.lfsDownload))
	mux.Handle("PUT "+prefix+"/lfs/{oid}", granted(g.lfsUpload))
}

// lfsBatch says of each file whether it is there, and where to get it from or put it: at the broker.
func (g *Git) lfsBatch(w http.ResponseWriter, r *gitRequest) {
	var ask lfsRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLFSRequest)).Decode(&ask); err != nil {
		refuseLFS(w, http.StatusUnprocessableEntity, "this is no batch request of Git LFS: "+err.Error())
		return
	}
	if refused := r.lfsRefused(ask); refused != nil {
		refuseLFS(w, refused.Code, refused.Message)
		return
	}
	got, failed := g.askLFS(r, ask.Operation, ask.Objects)
	if failed != nil {
		r.log.Warn().Err(failed).Str("operation", ask.Operation).Msg("git lfs request failed upstream")
		refuseLFS(w, failed.status, failed.message)
		return
	}
	base := brokerAddress(r.Request) + strings.TrimSuffix(r.URL.Path, lfsBatch) + "/lfs/"
	answer := lfsResponse{Transfer: "basic", Objects: make([]lfsFile, 0, len(got))}
	for _, file := range got {
		told := lfsFile{OID: file.OID, Size: file.Size, Authenticated: true}
		if _, ok := file.Actions[ask.Operation]; ok {
			told.Actions = map[string]lfsAction{ask.Operation: {Href: base + file.OID + "?size=" + strconv.FormatInt(file.Size, 10)}}
		}
		if file.Error != nil {
			told.Error = &lfsError{Code: file.Error.Code, Message: oneLine(file.Error.Message)}
		}
		answer.Objects = append(answer.Objects, told)
	}
	w.Header().Set("Content-Type", lfsType)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		r.log.Debug().Err(err).Msg("a client of git lfs went away")
	}
}

// lfsRefused says why a batch is not asked for upstream, nil when it is.
func (r *gitRequest) lfsRefused(ask lfsRequest) *lfsError {
	switch {
	case ask.Operation != lfsDownload && ask.Operation != lfsUpload:
		return &lfsError{http.StatusUnprocessableEntity, fmt.Sprintf("SAM knows no operation %q of Git LFS", oneLine(ask.Operation))}
	case ask.Operation == lfsUpload && r.sub != nil:
		return &lfsError{http.StatusForbidden, onlyFetched(r.sub.FullName)}
	case ask.HashAlgo != "" && ask.HashAlgo != "sha256":
		return &lfsError{http.StatusConflict, "SAM knows files of Git LFS by SHA-256 only"}
	case len(ask.Objects) == 0 || len(ask.Objects) > maxLFSObjects:
		return &lfsError{http.StatusUnprocessableEntity, fmt.Sprintf("a batch holds between 1 and %d files", maxLFSObjects)}
	}
	for _, file := range ask.Objects {
		switch {
		case !isSHA256(file.OID) || file.Size < 0:
			return &lfsError{http.StatusUnprocessableEntity, "a file of Git LFS is named by its SHA-256 and its size"}
		case ask.Operation == lfsUpload && file.Size > r.limits.PackBytes:
			return &lfsError{http.StatusRequestEntityTooLarge, lfsTooLarge(file, r.limits)}
		}
	}
	return nil
}

func lfsTooLarge(file lfsFile, limits GitLimits) string {
	return fmt.Sprintf("the file %.10s has %d bytes and SAM's limit is %d; leave it out, or ask whoever runs SAM to raise git.max_pack", file.OID, file.Size, limits.PackBytes)
}

// askLFS asks upstream for files.
func (g *Git) askLFS(r *gitRequest, operation string, files []lfsFile) (got []lfsFile, _ *upstreamError) {
	bare := make([]lfsFile, len(files))
	for i, file := range files {
		bare[i] = lfsFile{OID: file.OID, Size: file.Size}
	}
	body, err := json.Marshal(lfsRequest{Operation: operation, Transfers: []string{"basic"}, Objects: bare})
	if err != nil {
		return nil, asUpstreamError(err, "")
	}
	service := uploadPackService
	if operation == lfsUpload {
		service = receivePackService
	}
	m := g.remote(r, service)
	failed := g.exchanges(r.Context(), m, nil, func(token string) error {
		req, err := upstreamRequest(r.Context(), m.url, http.MethodPost, lfsBatch, strings.NewReader(string(body)), token)
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", lfsType)
		req.Header.Set("Accept", lfsType)
		resp, err := g.client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return answeredBadly(resp)
		}
		var answer lfsResponse
		if err := json.NewDecoder(io.LimitReader(resp.Body, 8*maxLFSRequest)).Decode(&answer); err != nil {
			return fmt.Errorf("read upstream's answer to a batch: %w", err)
		}
		got = answer.Objects
		return nil
	})
	if failed != nil {
		return nil, failed
	}
	return got, nil
}

// lfsActions asks upstream where one file is transferred. No actions and no error: it is there already.
func (g *Git) lfsActions(r *gitRequest, operation string, file lfsFile) (map[string]lfsAction, *upstreamError) {
	got, failed := g.askLFS(r, operation, []lfsFile{file})
	if failed != nil {
		return nil, failed
	}
	if len(got) != 1 || got[0].OID != file.OID {
		return nil, asUpstreamError(errors.New("upstream's answer to a batch is about another file"), "")
	}
	if e := got[0].Error; e != nil {
		status := http.StatusBadGateway
		if e.Code == http.StatusNotFound || e.Code == http.StatusGone {
			status = http.StatusNotFound
		}
		return nil, &upstreamError{status: status, message: oneLine(e.Message)}
	}
	return got[0].Actions, nil
}

// brokerAddress is where a client says that it reaches the broker. It can mislead itself only.
func brokerAddress(r *http.Request) string {
	said := r.Header.Get(wire.BrokerAddressHeader)
	if u, err := url.Parse(said); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && said == u.Scheme+"://"+u.Host {
		return said
	}
	return "http://" + r.Host
}

func isSHA256(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}

// refuseLFS answers as git-lfs wants it: it shows the message.
func refuseLFS(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", lfsType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message}) // a client that is gone needs no answer
}
