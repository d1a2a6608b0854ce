package agent

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// packedEntry is a file of an npm package.
type packedEntry struct {
	name, content string
	kind          byte // 0: a regular file
}

func packed(t *testing.T, entries ...packedEntry) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(e.content))}
		if e.kind != 0 {
			header.Typeflag, header.Size, header.Linkname, e.content = e.kind, 0, e.content, ""
		}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func releaseOf(pack []byte) release {
	sum := sha512.Sum512(pack)
	return release{
		what: "An agent", pack: "@harbour/agent", version: "1.2.3", folder: "agent-1.2.3", program: "agent",
		integrity: base64.StdEncoding.EncodeToString(sum[:]), platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// npm puts a program of that name in the PATH. It packs what the registry would have sent, and counts its calls.
func npm(t *testing.T, pack []byte) (calls string) {
	t.Helper()
	dir := t.TempDir()
	calls = filepath.Join(dir, "calls")
	if err := os.WriteFile(filepath.Join(dir, "pack"), pack, 0o600); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho \"$1 $2\" >>" + calls + "\n[ \"$3\" = --pack-destination ] || exit 9\ncp " + dir + "/pack \"$4/harbour-agent-1.2.3.tgz\"\n"
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return calls
}

func TestAnAgentIsFetchedOnceAndItsProgramAloneIsUnpacked(t *testing.T) {
	pack := packed(t, packedEntry{name: "package/package.json", content: "{}"}, packedEntry{name: "../../evil", content: "x"},
		packedEntry{name: "package/agent", content: "the program"}, packedEntry{name: "package/agent", content: "a second one"})
	calls := npm(t, pack)
	installed := &releases{dir: t.TempDir()}
	one := releaseOf(pack)
	for range 3 {
		if err := installed.ensure(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(installed.dir, "agent-1.2.3", "agent")
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "the program" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o755 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if said, err := os.ReadFile(calls); err != nil || string(said) != "pack @harbour/agent@1.2.3\n" {
		t.Errorf("npm was called with %q, %v", said, err)
	}
	if left, err := filepath.Glob(filepath.Join(installed.dir, "*", "*")); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAFetchThatWasInterruptedIsBegunAgain(t *testing.T) {
	pack := packed(t, packedEntry{name: "package/agent", content: "the program"})
	npm(t, pack)
	installed := &releases{dir: t.TempDir()}
	scratch := filepath.Join(installed.dir, "agent-1.2.3", ".fetch")
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"agent", "half.tgz"} {
		if err := os.WriteFile(filepath.Join(scratch, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := installed.ensure(t.Context(), releaseOf(pack)); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNotTheReleaseIsNotUsed(t *testing.T) {
	good := packed(t, packedEntry{name: "package/agent", content: "the program"})
	for name, c := range map[string]struct {
		pack   []byte
		pinned bool // the package is the one that is pinned, as it is
		want   string
	}{
		"another package":         {packed(t, packedEntry{name: "package/agent", content: "another"}), false, "its SHA-512 is another"},
		"half a package":          {good[:60], true, "unexpected EOF"},
		"no package":              {[]byte("<html><body>Sign in</body></html>"), true, "invalid header"},
		"without the program":     {packed(t, packedEntry{name: "package/readme", content: "x"}), true, "holds no agent"},
		"a link for the program":  {packed(t, packedEntry{name: "package/agent", content: "/bin/sh", kind: tar.TypeSymlink}), true, "holds no agent"},
		"a folder of its name":    {packed(t, packedEntry{name: "package/agent/agent", content: "x"}), true, "holds no agent"},
		"of more than is allowed": {packedHeader(t, maxProgram+1), true, "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			npm(t, c.pack)
			installed := &releases{dir: t.TempDir()}
			one := releaseOf(good)
			if c.pinned {
				one = releaseOf(c.pack)
			}
			err := installed.ensure(t.Context(), one)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if left, err := filepath.Glob(filepath.Join(installed.dir, "agent-1.2.3", "*")); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// packedHeader is a package whose program says that it has a size, and ends there.
func packedHeader(t *testing.T, size int64) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	if err := archive.WriteHeader(&tar.Header{Name: "package/agent", Typeflag: tar.TypeReg, Mode: 0o755, Size: size}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(archive.Flush(), zipped.Close()); err == nil {
		t.Fatal("a half archive was taken for a whole one")
	}
	_ = zipped.Close()
	return out.Bytes()
}

func TestAnAgentThatCannotBeFetchedIsToldWithWhatToDo(t *testing.T) {
	one := releaseOf(nil)
	t.Run("without npm", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		nobody := httptest.NewServer(http.NotFoundHandler())
		nobody.Close()
		installed := &releases{dir: t.TempDir(), registry: nobody.URL}
		err := installed.ensure(t.Context(), one)
		if err == nil || !strings.Contains(err.Error(), "have npm, set up for another registry; or put the program at "+filepath.Join(installed.dir, "agent-1.2.3", "agent")) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("for another machine", func(t *testing.T) {
		other := one
		other.platform = "plan9/mips"
		installed := &releases{dir: t.TempDir()}
		if err := installed.ensure(t.Context(), other); err == nil || !strings.Contains(err.Error(), "for plan9/mips only") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("when npm fails", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "npm"), []byte("#!/bin/sh\necho 'npm error 404 Not Found' >&2\nexit 1\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		installed := &releases{dir: t.TempDir()}
		if err := installed.ensure(t.Context(), one); err == nil || !strings.Contains(err.Error(), "404 Not Found") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("when something else is in its place", func(t *testing.T) {
		installed := &releases{dir: t.TempDir()}
		if err := os.MkdirAll(filepath.Join(installed.dir, "agent-1.2.3", "agent"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := installed.ensure(t.Context(), one); err == nil || !strings.Contains(err.Error(), "is not a program") {
			t.Errorf("got %v", err)
		}
	})
}
