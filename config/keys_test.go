package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sam/config"
)

func TestKeysAreFoundFromTheConfigurationsFolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sam.yml")
	text := "github:\n  app_id: 1\n  private_key_file: k\n  webhook_secret_file: s\nkeys:\n  files: [a.key, /etc/sam/b.key]\n  dir: keys\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Keys.Files, []string{filepath.Join(dir, "a.key"), "/etc/sam/b.key"}) || c.Keys.Dir != filepath.Join(dir, "keys") || c.Keys.None() {
		t.Errorf("read %+v", c.Keys)
	}
	if without := config.Defaults(); !without.Keys.None() {
		t.Errorf("by default %+v", without.Keys)
	}
}
