package app

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sam/agent/boot"
	"sam/runner/cloud"
	"sam/runner/cloud/cloudinit"
)

func TestWhatAMachineIsToldIsWhatItsBootReads(t *testing.T) {
	wanted := boot.Order{
		Node: "sam-1", Gateway: "https://sam.example.com", Token: strings.Repeat("t", 40), Memory: 4 << 30, Image: "ghcr.io/acme/workspace:1",
		Made: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
	}
	data, err := cloudinit.Config{
		Boot:     cloudinit.Boot{Node: wanted.Node, Gateway: wanted.Gateway, Token: wanted.Token, Memory: wanted.Memory, Image: wanted.Image, Made: wanted.Made},
		Programs: map[cloud.Architecture]cloudinit.Download{cloud.AMD64: {URL: "https://sam.example.com/sam", SHA256: strings.Repeat("0a", 32)}},
	}.UserData(cloud.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	var told struct {
		Files []struct{ Path, Permissions, Content string } `json:"write_files"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(data, "#cloud-config\n")), &told); err != nil {
		t.Fatal(err)
	}
	if f := told.Files[0]; f.Path != cloudinit.BootFile || f.Permissions != "0600" {
		t.Fatalf("the first file is %+v", f)
	}
	path := filepath.Join(t.TempDir(), "boot.json")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(told.Files[0].Content)
	if got, err := readOrder(path); err != nil || got != wanted {
		t.Errorf("read is %+v, %v", got, err)
	}
	for text, words := range map[string]string{`{}`: "names no node", `{"node": "x", "more": 1}`: "unknown field", `half`: "invalid character"} {
		write(text)
		if _, err := readOrder(path); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
