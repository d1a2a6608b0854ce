package app

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rooms says which of our rooms a room may import, itself and its subfolders aside. A room that is not here may import
// none. docs/architecture.md draws the same. Only app may import everything.
var rooms = map[string][]string{
	"sam":                     {"app"},
	"task":                    {},
	"agent/wire":              {},
	"config":                  {},
	"store":                   {"task"},
	"store/blob":              {},
	"forge":                   {"task"},
	"handlers":                {"task"},
	"runner":                  {"task", "runner/policy", "runner/cloud"},
	"runner/pool":             {"task", "runner/policy", "runner/cloud"},
	"runner/policy":           {"task"},
	"runner/policy/simulator": {"task", "runner/policy"},
	"runner/cloud":            {"task"},
	"runner/cloud/local":      {"task", "runner/cloud"},
	"runner/cloud/hetzner":    {"task", "runner/cloud"},
	"runner/cloud/cloudinit":  {"runner/cloud"},
	"gateway":                 {"task", "agent/wire", "redact"},
	"dashboard":               {"task"},
	"agent":                   {"task", "agent/wire", "redact"},
	"redact":                  {},
	"seal":                    {},
	"agent/demo":              {},
	"agent/shim":              {},
	"agent/boot":              {"agent/wire"},
	"agent/egress":            {},
	"agent/devcontainer":      {},
	"sandbox/dice":            {},
	"sandbox/github":          {"sandbox/dice"},
	"sandbox/redis":           {},
	"sandbox/model":           {},
	"sandbox/hetzner":         {"sandbox/dice"},
	"sandbox/chaos":           {"sandbox/github", "sandbox/hetzner", "sandbox/redis", "sandbox/seed"},
	"sandbox/seed":            {},
	"sandbox/hostile":         {"sandbox/github", "sandbox/redis", "sandbox/model", "sandbox/seed"},
	"sandbox/hostile/orders":  {},
	// A program of its own, for containers.
	"sandbox/hostile/intruder":  {"sandbox/hostile/orders"},
	"sandbox/github/contract":   {},
	"sandbox/hetzner/container": {"sandbox/hetzner"},
	"simulation":                {}, // its tests alone import rooms: all of them
}

// pure rooms import the standard library only; a prefix of another module may be named as an exception.
var pure = map[string][]string{
	"task": nil, "agent/wire": nil, "runner/policy": nil, "runner/policy/simulator": nil, "runner/cloud/local": nil, "agent/demo": nil, "agent/boot": nil, "redact": nil, "seal": nil, "sandbox/dice": nil,
	"agent/egress":       {"golang.org/x/net/idna"},
	"agent/devcontainer": {"github.com/tailscale/hujson", "github.com/goccy/go-yaml"},
	"config":             {"github.com/goccy/go-yaml"},
}

// homes says which rooms may import an SDK.
var homes = map[string][]string{
	"github.com/redis/go-redis":         {"store"},
	"github.com/google/go-github":       {"forge", "handlers", "sandbox/github"},
	"github.com/palantir/go-githubapp":  {"forge", "handlers", "app"},
	"github.com/hetznercloud/hcloud-go": {"runner/cloud/hetzner", "sandbox/hetzner"},
	"github.com/docker/docker":          {"agent"},
	"github.com/alicebob/miniredis":     {"sandbox/redis"},
	"github.com/coder/websocket":        {"gateway", "agent"},
	"github.com/minio/minio-go":         {"store/blob"},
}

type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

func TestImportsPointTheWayTheHouseIsBuilt(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Standard,Imports", "sam/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	standard := map[string]bool{}
	var ours []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		standard[p.ImportPath] = p.Standard
		if p.ImportPath == "sam" || strings.HasPrefix(p.ImportPath, "sam/") {
			ours = append(ours, p)
		}
	}
	if len(ours) < len(rooms)/2 {
		t.Fatalf("go list named only %d of our packages", len(ours))
	}
	for _, p := range ours {
		room := strings.TrimPrefix(p.ImportPath, "sam/")
		if room == "app" {
			continue
		}
		allowed, known := rooms[room]
		if !known {
			t.Errorf("%s is a room that the house does not know: say here and in docs/architecture.md what it may import", room)
			continue
		}
		for _, path := range p.Imports {
			other, own := strings.CutPrefix(path, "sam/")
			switch exceptions, isPure := pure[room]; {
			case own && !slices.Contains(allowed, other) && !strings.HasPrefix(other, room+"/"):
				t.Errorf("%s imports %s, which is against the house", room, other)
			case !own && isPure && !standard[path] && !within(path, exceptions):
				t.Errorf("%s imports %s: it is to be pure", room, path)
			}
			for sdk, home := range homes {
				if within(path, []string{sdk}) && !slices.Contains(home, room) {
					t.Errorf("%s imports %s, which lives in %v", room, path, home)
				}
			}
		}
	}
}

func within(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}
