package blob_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"go.uber.org/goleak"

	"sam/store/blob"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newDir(t *testing.T) (*blob.Dir, string) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "blobs")
	d, err := blob.OpenDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d, folder
}

// newS3 is a bucket at an S3 in memory, seen over HTTP as any other.
func newS3(t *testing.T) (*blob.S3, blob.S3Options) {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("sam"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	o := blob.S3Options{Endpoint: server.URL, Region: "us-east-1", Bucket: "sam", Prefix: "prod/", AccessKey: "key", SecretKey: "secret", Transport: transport}
	s, err := blob.OpenS3(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s, o
}

// everywhere runs a test on each kind of store.
func everywhere(t *testing.T, test func(*testing.T, blob.Store)) {
	t.Run("directory", func(t *testing.T) {
		d, _ := newDir(t)
		test(t, d)
	})
	t.Run("S3", func(t *testing.T) {
		s, _ := newS3(t)
		test(t, s)
	})
}

func TestWhatWasPutIsReadWhole(t *testing.T) {
	everywhere(t, func(t *testing.T, s blob.Store) {
		large := bytes.Repeat([]byte("0123456789"), 1<<19) // 5 MiB
		for key, data := range map[string][]byte{"a": {0}, "events/t1/0.gz": {0, 255, '\n'}, "bodies/x": large} {
			if err := s.Put(t.Context(), key, data); err != nil {
				t.Fatal(err)
			}
			got, err := s.Get(t.Context(), key)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %d bytes of %d, %v", key, len(got), len(data), err)
			}
		}
	})
}

func TestAStepThatIsRepeatedLeavesOneObject(t *testing.T) {
	everywhere(t, func(t *testing.T, s blob.Store) {
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if err := s.Put(t.Context(), "events/t1/0.gz", []byte("same")); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if got, err := s.Get(t.Context(), "events/t1/0.gz"); err != nil || string(got) != "same" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestWhatIsGoneIsSaidToBeGone(t *testing.T) {
	everywhere(t, func(t *testing.T, s blob.Store) {
		if _, err := s.Get(t.Context(), "never"); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("what never was: %v", err)
		}
		if err := s.Put(t.Context(), "once", []byte("x")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Delete(t.Context(), "once"); err != nil {
				t.Errorf("delete: %v", err)
			}
		}
		if _, err := s.Get(t.Context(), "once"); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("what was deleted: %v", err)
		}
	})
}

func TestKeysThatLeadElsewhereAreRefused(t *testing.T) {
	everywhere(t, func(t *testing.T, s blob.Store) {
		for _, key := range []string{"", "/", "../x", "a/../b", "a//b", "/etc/passwd", "a/", "A", "a b", "a\x00b", strings.Repeat("a/", 9) + "a", strings.Repeat("a", 101)} {
			if err := s.Put(t.Context(), key, []byte{0}); err == nil {
				t.Errorf("put %q was taken", key)
			}
			if _, err := s.Get(t.Context(), key); err == nil || errors.Is(err, blob.ErrNotFound) {
				t.Errorf("get %q: %v", key, err)
			}
			if err := s.Delete(t.Context(), key); err == nil {
				t.Errorf("delete %q was taken", key)
			}
		}
	})
}

func TestAnObjectThatIsEmptyOrTooLargeIsRefused(t *testing.T) {
	everywhere(t, func(t *testing.T, s blob.Store) {
		if err := s.Put(t.Context(), "empty", nil); err == nil || !strings.Contains(err.Error(), "is empty") {
			t.Errorf("put nothing: %v", err)
		}
		if err := s.Put(t.Context(), "large", make([]byte, blob.MaxObject+1)); err == nil || !strings.Contains(err.Error(), "at most") {
			t.Errorf("put: %v", err)
		}
	})
}

func TestADirectoryHoldsNoDraftsAndNothingOutsideIsReachedByALink(t *testing.T) {
	d, folder := newDir(t)
	if err := d.Put(t.Context(), "a/b", []byte("x")); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(folder, "a", "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Get(t.Context(), "link"); err == nil {
		t.Errorf("a link out of the folder was followed: %q", got)
	}
}

func TestAnS3ThatCannotBeUsedIsRefusedAtTheStart(t *testing.T) {
	_, good := newS3(t)
	for name, change := range map[string]func(*blob.S3Options){
		"not the address": func(o *blob.S3Options) { o.Endpoint = "s3.example.com" },
		"no bucket":       func(o *blob.S3Options) { o.Bucket = "another" },
		"look for bucket": func(o *blob.S3Options) { o.Endpoint = "http://127.0.0.1:1" },
	} {
		o := good
		change(&o)
		within := 20 * time.Second
		if name == "look for bucket" { // it is tried until then
			within = 2 * time.Second
		}
		ctx, cancel := context.WithTimeout(t.Context(), within)
		if _, err := blob.OpenS3(ctx, o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}
