package cloudinit_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sam/runner/cloud"
	"sam/runner/cloud/cloudinit"
)

// fetchFrom runs the script with the machine's own curl, and its files in a folder of the test's.
func fetchFrom(t *testing.T, url, program string, change ...string) (said string, err error) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: how a machine fetches its program, for there is no curl here (apt-get install curl): %v", err)
	}
	sum := sha256.Sum256([]byte(program))
	c := config()
	c.Programs = map[cloud.Architecture]cloudinit.Download{cloud.AMD64: {URL: url, SHA256: hex.EncodeToString(sum[:])}}
	data, err := c.UserData(cloud.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Files []struct{ Content string } `json:"write_files"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(data, "#cloud-config\n")), &parsed); err != nil {
		t.Fatal(err)
	}
	script := strings.NewReplacer(append(change, cloudinit.Program, filepath.Join(t.TempDir(), "sam"))...).Replace(parsed.Files[1].Content)
	command := exec.CommandContext(t.Context(), "sh", "-c", script)
	command.Env = append(os.Environ(), "http_proxy=", "no_proxy=*")
	out, err := command.CombinedOutput()
	return string(out), err
}

const itRan = "#!/bin/sh\necho it ran\n"

func TestAMachineGetsItsProgramWhileReplicasComeAndGo(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	tries, from := 0, map[string]bool{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		tries++
		from[r.RemoteAddr] = true
		switch tries {
		case 1: // a replica of another release
			http.Error(w, "it is of another release", http.StatusNotFound)
		case 2: // one that is killed in the middle
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("#!/bin/sh\necho half of"))
			panic(http.ErrAbortHandler)
		case 3: // a proxy with none behind it
			http.Error(w, "", http.StatusBadGateway)
		default:
			if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				t.Error("it does not take what is packed")
			}
			w.Header().Set("Content-Encoding", "gzip")
			zipped := gzip.NewWriter(w)
			_, _ = zipped.Write([]byte(itRan))
			_ = zipped.Close()
		}
	}))
	defer s.Close()
	said, err := fetchFrom(t, s.URL, itRan)
	if err != nil || !strings.HasSuffix(said, "it ran\n") {
		t.Errorf("%v: %s", err, said)
	}
	mu.Lock()
	defer mu.Unlock()
	if tries != 4 || len(from) != 4 {
		t.Errorf("it took %d tries over %d connections: a kept connection leads to the same replica", tries, len(from))
	}
}

func TestAMachineGivesUpWhenNoReplicaHasItsProgram(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	if said, err := fetchFrom(t, s.URL, itRan, "--retry-max-time 180", "--retry-max-time 1"); err == nil || !strings.Contains(said, "404") || strings.Contains(said, "it ran") {
		t.Errorf("%v: %s", err, said)
	}
}
