package app

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"sam/agent/boot"
	"sam/config"
)

func TestTheNodeReadsTheConfigurationThatTheBootWrites(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	m := boot.Machine{
		Root: root, Memory: 8 << 30,
		Run:     func(context.Context, string, string, ...string) error { return nil },
		Free:    func(string) (int64, error) { return 20 << 30, nil },
		Mounted: func() ([]string, error) { return nil, nil },
	}
	order := boot.Order{Node: "sam-1", Gateway: "https://sam.example.com", Token: "a-bootstrap-token", Memory: 4 << 30, Image: "ghcr.io/acme/workspace:1"}
	if _, err := m.Boot(t.Context(), order, time.Now()); err != nil {
		t.Fatal(err)
	}
	got, err := config.LoadAgent(filepath.Join(root, "etc/sam/node.yml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "sam-1" || got.BootReport != "/var/lib/sam/boot-report.json" || got.Memory != 4<<30 || got.Slots != 1 || got.Workspace != "docker" || got.Image != order.Image {
		t.Errorf("it reads %+v", got)
	}
}
