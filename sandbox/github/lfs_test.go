package github_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v62/github"
)

// lfsOf is what a batch answers for one file.
type lfsOf struct {
	Actions map[string]struct {
		Href   string
		Header map[string]string
	}
	Error *struct {
		Code    int
		Message string
	}
}

// batch asks for one file of secret.
func (w *world) batch(token, operation, oid string, size int) (lfsOf, int) {
	w.t.Helper()
	got := w.ask("POST", w.loose+"/octo/secret.git/info/lfs/objects/batch",
		fmt.Sprintf(`{"operation":%q,"objects":[{"oid":%q,"size":%d}]}`, operation, oid, size),
		"Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("x-access-token:"+token)))
	var answer struct{ Objects []lfsOf }
	if got.status == 200 {
		w.check(json.Unmarshal(got.body, &answer))
		return answer.Objects[0], 200
	}
	return lfsOf{}, got.status
}

const (
	helloOID  = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03" // of hello and a newline
	helloText = "hello\n"
)

func TestAFileOfLFSIsWhereItsLeaseSaysAndOnlyForAnHour(t *testing.T) {
	w := newWorld(t)
	write := w.token(nil)
	read := w.token(&gogithub.InstallationTokenOptions{Permissions: &gogithub.InstallationPermissions{Contents: ptr("read")}})
	if _, status := w.batch(read, "upload", helloOID, 6); status != 403 {
		t.Errorf("an upload by who may only read: %d", status)
	}
	if got, _ := w.batch(read, "download", helloOID, 6); got.Error == nil || got.Error.Code != 404 {
		t.Errorf("a file that is not there: %+v", got)
	}
	if _, status := w.batch("ghs_madeup", "download", helloOID, 6); status != 401 {
		t.Errorf("a made-up token: %d", status)
	}
	up, _ := w.batch(write, "upload", helloOID, 6)
	put, header := up.Actions["upload"], "Authorization: "+up.Actions["upload"].Header["Authorization"]
	if got := w.ask("PUT", put.Href, "jello\n", header); got.status != 422 {
		t.Errorf("another content: %d", got.status)
	}
	if got := w.ask("PUT", put.Href, helloText); got.status != 403 {
		t.Errorf("without the header: %d", got.status)
	}
	verify := up.Actions["verify"]
	proof := "Authorization: " + verify.Header["Authorization"]
	if got := w.ask("POST", verify.Href, "{}", proof); got.status != 404 {
		t.Errorf("verified before it was there: %d", got.status)
	}
	if got := w.ask("PUT", put.Href, helloText, header); got.status != 200 {
		t.Fatalf("the upload: %d %s", got.status, got.body)
	}
	if got := w.ask("POST", verify.Href, "{}", proof); got.status != 200 {
		t.Errorf("verifying: %d", got.status)
	}
	if again, _ := w.batch(write, "upload", helloOID, 6); len(again.Actions) != 0 || again.Error != nil {
		t.Errorf("what is there is asked for again: %+v", again)
	}
	down, _ := w.batch(read, "download", helloOID, 6)
	get, header := down.Actions["download"], "Authorization: "+down.Actions["download"].Header["Authorization"]
	if got := w.ask("GET", get.Href, "", header); got.status != 200 || string(got.body) != helloText {
		t.Errorf("%d %q", got.status, got.body)
	}
	if got := w.ask("GET", get.Href, "", header, "Range: bytes=1-2"); got.status != 206 || string(got.body) != "el" {
		t.Errorf("a part: %d %q", got.status, got.body)
	}
	w.clock.advance(61 * time.Minute)
	if got := w.ask("GET", get.Href, "", header); got.status != 403 {
		t.Errorf("after an hour: %d", got.status)
	}
}

func TestGitLFSPushesAndClones(t *testing.T) {
	if _, err := exec.LookPath("git-lfs"); err != nil {
		t.Skip("git-lfs is not installed: its own client goes untested against the stand-in")
	}
	w := newWorld(t)
	remote := w.remote("secret", w.token(nil))
	dir := w.clone("secret", w.token(nil))
	w.mustGit(dir, "lfs", "install", "--local")
	w.mustGit(dir, "lfs", "track", "*.bin")
	w.mustGit(dir, "checkout", "--quiet", "-b", "large")
	w.mustGit(dir, "add", ".gitattributes")
	w.commit(dir, "data.bin", strings.Repeat("data\n", 1000))
	w.mustGit(dir, "push", "--quiet", "origin", "large")
	if text := w.mustGit(dir, "show", "HEAD:data.bin"); !strings.HasPrefix(text, "version https://git-lfs.github.com/spec/v1") {
		t.Fatalf("the repository holds the file itself: %.60s", text)
	}
	other := t.TempDir()
	w.mustGit(other, "init", "--quiet", ".")
	w.mustGit(other, "lfs", "install", "--local")
	w.mustGit(other, "remote", "add", "origin", remote)
	w.mustGit(other, "fetch", "--quiet", "origin", "large")
	w.mustGit(other, "checkout", "--quiet", "large")
	if text, err := os.ReadFile(filepath.Join(other, "data.bin")); err != nil || string(text) != strings.Repeat("data\n", 1000) {
		t.Errorf("%v %.60q", err, text)
	}
}
