package store_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sam/sandbox/redis"
)

// A binary built to show what a protection is for leaves out the lines that are marked with its name: see protect.go.
func TestAScriptWithoutOneOfItsProtectionsIsAScriptStill(t *testing.T) {
	server, err := redis.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	prelude, err := os.ReadFile("lua/prelude.lua")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("lua/*.lua")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"dedupe", "lease", "fence", "owed", "ack"}
	marked := map[string]int{}
	for _, path := range files {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			var kept []string
			left := 0
			for line := range strings.Lines(string(body)) {
				if _, mark, ok := strings.Cut(line, "-- protects: "); ok && !slices.Contains(names, strings.TrimSpace(mark)) {
					t.Errorf("%s names a protection that there is not: %s", path, line)
				}
				if strings.HasSuffix(strings.TrimSpace(line), "-- protects: "+name) {
					left++
					continue
				}
				kept = append(kept, line)
			}
			if left == 0 {
				continue
			}
			marked[name] += left
			if _, err := server.Do(t.Context(), "SCRIPT", "LOAD", string(prelude)+strings.Join(kept, "")); err != nil {
				t.Errorf("%s without its lines of %s: %v", path, name, err)
			}
		}
	}
	if marked["dedupe"] < 2 || marked["lease"] < 1 || marked["fence"] < 6 {
		t.Errorf("lines are marked %v", marked)
	}
}
