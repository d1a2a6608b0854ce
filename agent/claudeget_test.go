package agent

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhereThereIsNoNPMTheRegistryIsAskedAndWhatItSendsIsCheckedAllTheSame(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	good := packed(t, packedEntry{name: "package/agent", content: "the program"})
	sent := good
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/@harbour/agent/-/agent-1.2.3.tgz" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(sent)
	}))
	defer registry.Close()
	one := releaseOf(good)
	installed := &releases{dir: t.TempDir(), registry: registry.URL}
	sent = packed(t, packedEntry{name: "package/agent", content: "another"})
	if err := installed.ensure(t.Context(), one); err == nil || !strings.Contains(err.Error(), "its SHA-512 is another") {
		t.Errorf("of another package: %v", err)
	}
	other := one
	other.version = "1.2.4"
	if err := installed.ensure(t.Context(), other); err == nil || !strings.Contains(err.Error(), "404") || !strings.Contains(err.Error(), "The node must reach it, or have npm") {
		t.Errorf("of one that is not there: %v", err)
	}
	sent = good
	if err := installed.ensure(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(installed.dir, "agent-1.2.3", "agent")); err != nil || string(text) != "the program" {
		t.Errorf("%q, %v", text, err)
	}
}
