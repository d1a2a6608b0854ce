package seal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sam/seal"
)

func TestAKeyThatIsMadeIsItsOwnersAloneAndCanBeLoaded(t *testing.T) {
	dir := t.TempDir()
	first, path, err := seal.Create(dir, noon)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || filepath.Base(path) != first.ID+".key" {
		t.Errorf("%s: %v, %v", path, info.Mode(), err)
	}
	elsewhere := filepath.Join(t.TempDir(), "spare")
	second, _, err := seal.Create(elsewhere, noon.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.Load([]string{elsewhere}, dir)
	if err != nil || ring.Newest() != second.ID || len(ring.IDs()) != 2 {
		t.Errorf("loaded %v, %v", ring.IDs(), err)
	}
}

func TestAKeyIsNeverWrittenOverAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := seal.Create(path, noon); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "precious" {
		t.Errorf("it holds %q now, %v", data, err)
	}
}

func TestAKeyFileThatCannotBeTrustedIsRefusedByName(t *testing.T) {
	good, err := seal.NewKey(noon)
	if err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]struct {
		mode  os.FileMode
		text  string
		words string
	}{
		"readable by all":    {0o644, good.Line(), "0644"},
		"writable by group":  {0o620, good.Line(), "0620"},
		"cut short":          {0o600, good.Line()[:60], "base64"},
		"of another program": {0o600, "-----BEGIN PRIVATE KEY-----", "sam keys new"},
		"empty":              {0o600, "", "sam keys new"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "the.key")
			if err := os.WriteFile(path, []byte(one.text), one.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, one.mode); err != nil {
				t.Fatal(err)
			}
			_, err := seal.Load(nil, filepath.Dir(path))
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), one.words) {
				t.Errorf("%v", err)
			}
			if err != nil && one.text != "" && strings.Contains(err.Error(), strings.Fields(good.Line())[2]) {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
	t.Run("readable by its group", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "the.key")
		if err := os.WriteFile(path, []byte(good.Line()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o440); err != nil {
			t.Fatal(err)
		}
		if ring, err := seal.Load([]string{path}, ""); err != nil || ring.Newest() != good.ID {
			t.Errorf("%v", err)
		}
	})
	t.Run("a file for a folder", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys")
		if _, _, err := seal.Create(path, noon); err != nil {
			t.Fatal(err)
		}
		if _, err := seal.Load(nil, path); err == nil || !strings.Contains(err.Error(), path+" is a file") || !strings.Contains(err.Error(), "keys.files") {
			t.Errorf("%v", err)
		}
	})
	for name, load := range map[string]func(string) (seal.Ring, error){
		"a file that is not there": func(dir string) (seal.Ring, error) { return seal.Load([]string{filepath.Join(dir, "none.key")}, "") },
		"a folder without a key":   func(dir string) (seal.Ring, error) { return seal.Load(nil, dir) },
		"a folder for a file":      func(dir string) (seal.Ring, error) { return seal.Load([]string{dir}, "") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := load(dir); err == nil || !strings.Contains(err.Error(), dir) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAKeyIsNewerThanThoseOfItsFolderWhateverTheClockSays(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 23, 12, 0, 0, 999_900_000, time.UTC)
	for _, at := range []time.Time{now, now, now.Add(-time.Hour), now.Add(time.Minute)} {
		k, _, err := seal.Create(dir, at)
		if err != nil {
			t.Fatal(err)
		}
		ring, err := seal.Load(nil, dir)
		if err != nil || ring.Newest() != k.ID {
			t.Errorf("made at %v is %s, and the newest of %v: %v", at, k.ID, ring.IDs(), err)
		}
	}
}
