package github

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Git LFS, as GitHub has it: a batch says where files are, and the files are in a
// storage of their own, whose addresses hold no name and are good for an hour to
// whoever has the header that comes with them. No locks.

const (
	lfsType  = "application/vnd.git-lfs+json"
	lfsPath  = "/_lfs/objects/"
	leaseAge = time.Hour
	maxLFS   = 2 << 30 // bytes of one file
)

// lfsLease is the right to one transfer.
type lfsLease struct {
	repo      int64
	oid       string
	size      int64
	operation string
	expires   time.Time
}

type lfsObject struct {
	OID  string `json:"oid"`
	Size int64  `json:"size"`
}

// serveLFSBatch says where files are, or are to be put.
func (s *Server) serveLFSBatch(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Operation string      `json:"operation"`
		Transfers []string    `json:"transfers"`
		Objects   []lfsObject `json:"objects"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&ask); err != nil || ask.Operation != "download" && ask.Operation != "upload" {
		lfsAnswer(w, http.StatusUnprocessableEntity, object{"message": "Invalid request."})
		return
	}
	repo, _, _, refusal := s.admit(r.Clone(r.Context()), ask.Operation == "upload")
	if refusal != nil {
		if refusal.Status == http.StatusUnauthorized {
			w.Header().Set("LFS-Authenticate", `Basic realm="GitHub"`)
		}
		lfsAnswer(w, refusal.Status, object{"message": refusal.Message, "documentation_url": "https://git-lfs.com"})
		return
	}
	s.forgetLeases()
	answers := make([]object, 0, len(ask.Objects))
	for _, o := range ask.Objects {
		answers = append(answers, s.lfsObject(repo, ask.Operation, o))
	}
	lfsAnswer(w, http.StatusOK, object{"transfer": "basic", "objects": answers})
}

// lfsObject is a batch's answer for one file.
func (s *Server) lfsObject(repo *repository, operation string, o lfsObject) object {
	answer := object{"oid": o.OID, "size": o.Size}
	refused := func(code int, message string) object {
		answer["error"] = object{"code": code, "message": message}
		return answer
	}
	if !isOID(o.OID) || o.Size < 0 {
		return refused(http.StatusUnprocessableEntity, "Object ID or size is not valid")
	}
	if o.Size > maxLFS {
		return refused(http.StatusUnprocessableEntity, "Size must be less than or equal to "+strconv.Itoa(maxLFS))
	}
	info, err := os.Stat(s.lfsFile(repo.id, o.OID))
	has := err == nil && info.Size() == o.Size
	switch {
	case operation == "download" && !has:
		return refused(http.StatusNotFound, "Object does not exist on the server or you don't have permissions to access it")
	case operation == "upload" && has:
		return answer
	}
	actions := object{operation: s.lfsAction(repo, operation, o)}
	if operation == "upload" {
		actions["verify"] = s.lfsAction(repo, "verify", o)
	}
	answer["authenticated"], answer["actions"] = true, actions
	return answer
}

// lfsAction leases one transfer.
func (s *Server) lfsAction(repo *repository, operation string, o lfsObject) object {
	secret := randomText(40)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases[secret] = lfsLease{repo: repo.id, oid: o.OID, size: o.Size, operation: operation, expires: s.now().Add(leaseAge)}
	return object{
		"href": s.url + lfsPath + operation + "/" + o.OID, "header": object{"Authorization": "RemoteAuth " + secret},
		"expires_at": stamp(s.moment().Add(leaseAge)), "expires_in": int(leaseAge.Seconds()),
	}
}

// forgetLeases drops the rights that are over.
func (s *Server) forgetLeases() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	maps.DeleteFunc(s.leases, func(_ string, one lfsLease) bool { return !now.Before(one.expires) })
}

// lease finds the right to a transfer; not found is told to who has none.
func (s *Server) lease(w http.ResponseWriter, r *http.Request, operation string) (lfsLease, bool) {
	secret, _ := strings.CutPrefix(r.Header.Get("Authorization"), "RemoteAuth ")
	s.mu.Lock()
	lease, ok := s.leases[secret]
	fresh := s.now().Before(lease.expires)
	s.mu.Unlock()
	if !ok || !fresh || lease.operation != operation || lease.oid != r.PathValue("oid") {
		lfsAnswer(w, http.StatusForbidden, object{"message": "Forbidden"})
		return lfsLease{}, false
	}
	return lease, true
}

func (s *Server) serveLFSDownload(w http.ResponseWriter, r *http.Request) {
	lease, ok := s.lease(w, r, "download")
	if !ok {
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeFile(w, r, s.lfsFile(lease.repo, lease.oid)) // serves parts as well
}

func (s *Server) serveLFSUpload(w http.ResponseWriter, r *http.Request) {
	lease, ok := s.lease(w, r, "upload")
	if !ok {
		return
	}
	status, err := s.keepLFS(lease, http.MaxBytesReader(w, r.Body, lease.size))
	if err != nil {
		s.log.Info().Err(err).Str("oid", lease.oid).Msg("file of git lfs not taken")
		lfsAnswer(w, status, object{"message": "The file is not what its name says"})
		return
	}
	w.WriteHeader(http.StatusOK)
}

// keepLFS writes a file under its name once it is known to be that file.
func (s *Server) keepLFS(lease lfsLease, body io.Reader) (status int, err error) {
	to := s.lfsFile(lease.repo, lease.oid)
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		return http.StatusInternalServerError, fmt.Errorf("make room for files of git lfs: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(to), "upload-")
	if err != nil {
		return http.StatusInternalServerError, fmt.Errorf("make room for a file of git lfs: %w", err)
	}
	defer func() {
		if gone := os.Remove(f.Name()); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), body)
	if err = errors.Join(err, f.Close()); err != nil {
		return http.StatusBadRequest, fmt.Errorf("read a file of git lfs: %w", err)
	}
	if n != lease.size || hex.EncodeToString(sum.Sum(nil)) != lease.oid {
		return http.StatusUnprocessableEntity, errors.New("its content does not match its name")
	}
	if err := os.Rename(f.Name(), to); err != nil {
		return http.StatusInternalServerError, fmt.Errorf("keep a file of git lfs: %w", err)
	}
	return http.StatusOK, nil
}

func (s *Server) serveLFSVerify(w http.ResponseWriter, r *http.Request) {
	lease, ok := s.lease(w, r, "verify")
	if !ok {
		return
	}
	if info, err := os.Stat(s.lfsFile(lease.repo, lease.oid)); err != nil || info.Size() != lease.size {
		lfsAnswer(w, http.StatusNotFound, object{"message": "Object does not exist on the server"})
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (s *Server) lfsFile(repo int64, oid string) string {
	return filepath.Join(s.dir, "lfs", strconv.FormatInt(repo, 10), oid)
}

func isOID(id string) bool { return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == "" }

func lfsAnswer(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Content-Type", lfsType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone needs no answer
}
