package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// lfs sends a request as a client of Git LFS in the workspace would.
func (w *githubWorld) lfs(method, url, body string, header ...string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, url, strings.NewReader(body))
	w.check(err)
	req.Header.Set("Broker-Address", w.node.URL)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := w.node.Client().Do(req)
	w.check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	w.check(err)
	return resp.StatusCode, string(answer)
}

func (w *githubWorld) lfsBatch(remote, operation, oid string, size int) (int, string) {
	w.t.Helper()
	return w.lfs(http.MethodPost, remote+lfsBatch, fmt.Sprintf(`{"operation":%q,"objects":[{"oid":%q,"size":%d}]}`, operation, oid, size))
}

// href is the address that a batch answers for a file, with the action's headers left out as the broker has none.
func (w *githubWorld) href(operation, answer string) string {
	w.t.Helper()
	var got lfsResponse
	w.check(json.Unmarshal([]byte(answer), &got))
	if len(got.Objects) != 1 || got.Objects[0].Actions[operation].Href == "" || len(got.Objects[0].Actions) != 1 || got.Objects[0].Actions[operation].Header != nil {
		w.t.Fatalf("the batch answers %s", answer)
	}
	return got.Objects[0].Actions[operation].Href
}

func oidOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestOnlyTheTasksOwnRepositoryTakesFilesOfLFSAndOnlyWhatTheirNameSays(t *testing.T) {
	t.Parallel()
	w := newGithubWorld(t, GitPolicy{Repositories: map[string][]string{"octo": {"octo/lib"}}, MaxPack: 1 << 20}, contentsAlone)
	w.run(1, "sam/issue-1", "main")
	const text = "a file of some size\n"
	oid := oidOf(text)
	for name, c := range map[string]struct {
		remote, operation, oid string
		size, status           int
		says                   string
	}{
		"an upload to a listed repository": {w.remote() + "/sub/octo/lib", lfsUpload, oid, 20, 403, "SAM only fetches octo/lib"},
		"a repository that is not listed":  {w.remote() + "/sub/octo/data", lfsDownload, oid, 20, 403, "SAM fetches no further repository octo/data"},
		"another operation":                {w.remote(), "delete", oid, 20, 422, `no operation \"delete\"`},
		"a name that is none":              {w.remote(), lfsDownload, "../../etc/passwd", 20, 422, "named by its SHA-256"},
		"less than nothing":                {w.remote(), lfsUpload, oid, -1, 422, "named by its SHA-256"},
		"more than the limit":              {w.remote(), lfsUpload, oid, 2 << 20, 413, "SAM's limit is 1048576"},
		"another task's":                   {w.node.URL + "/git/other", lfsDownload, oid, 20, 401, ""},
	} {
		if status, answer := w.lfsBatch(c.remote, c.operation, c.oid, c.size); status != c.status || !strings.Contains(answer, c.says) {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if status, answer := w.lfs(http.MethodPost, w.remote()+lfsBatch, "no JSON"); status != 422 || !strings.Contains(answer, "no batch request") {
		t.Errorf("a body that is none: %d %s", status, answer)
	}
	if status, answer := w.lfsBatch(w.remote(), lfsDownload, oid, len(text)); status != 200 || !strings.Contains(answer, "does not exist on the server") {
		t.Errorf("a file that is not there: %d %s", status, answer)
	}

	status, answer := w.lfsBatch(w.remote(), lfsUpload, oid, len(text))
	put := w.href(lfsUpload, answer)
	if status != 200 || !strings.HasPrefix(put, w.remote()+"/lfs/"+oid) {
		t.Fatalf("%d %s", status, answer)
	}
	if status, answer := w.lfs(http.MethodPut, put, strings.ToUpper(text)); status != 422 || !strings.Contains(answer, "not the file that its name says") {
		t.Errorf("another content: %d %s", status, answer)
	}
	if status, _ := w.lfs(http.MethodPut, put, text+"and more"); status == 200 {
		t.Error("more than it said was taken")
	}
	if status, _ := w.lfs(http.MethodPut, put, text[:5]); status == 200 {
		t.Error("less than it said was taken")
	}
	if status, answer := w.lfs(http.MethodPut, w.remote()+"/lfs/"+oid+"?size=0", ""); status != 422 || !strings.Contains(answer, "not the file that its name says") {
		t.Errorf("nothing under its name: %d %s", status, answer)
	}
	if _, answer := w.lfsBatch(w.remote(), lfsDownload, oid, len(text)); !strings.Contains(answer, "does not exist") {
		t.Errorf("after bad uploads it is there: %s", answer)
	}
	if status, answer := w.lfs(http.MethodPut, put, text); status != 200 {
		t.Fatalf("the upload: %d %s", status, answer)
	}
	if status, answer := w.lfs(http.MethodPut, put, text); status != 200 {
		t.Errorf("the same once more: %d %s", status, answer)
	}
	_, answer = w.lfsBatch(w.remote(), lfsDownload, oid, len(text))
	get := w.href(lfsDownload, answer)
	if status, got := w.lfs(http.MethodGet, get, ""); status != 200 || got != text {
		t.Errorf("%d %q", status, got)
	}
	if status, got := w.lfs(http.MethodGet, get, "", "Range: bytes=2-5"); status != 206 || got != text[2:6] {
		t.Errorf("a part: %d %q", status, got)
	}
	if status, _ := w.lfs(http.MethodGet, w.remote()+"/sub/octo/lib/lfs/"+oid+"?size=20", ""); status != 404 {
		t.Errorf("another repository's: %d", status)
	}
	if status, _ := w.lfs(http.MethodPut, w.remote()+"/sub/octo/lib/lfs/"+oid+"?size=20", text); status != 403 {
		t.Errorf("an upload to a listed repository, past the batch: %d", status)
	}
}

func TestALyingBrokerAddressIsNotTakenForOne(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"http://127.0.0.1:4321": "http://127.0.0.1:4321", "https://broker.example": "https://broker.example", "": "http://sam.example",
		"javascript:alert(1)": "http://sam.example", "http://a/b": "http://sam.example", "http://u:p@a": "http://sam.example", "//a": "http://sam.example",
	} {
		r, err := http.NewRequest(http.MethodPost, "http://sam.example/git/t1/info/lfs/objects/batch", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Broker-Address", said)
		if got := brokerAddress(r); got != want {
			t.Errorf("%q is taken for %q", said, got)
		}
	}
}
