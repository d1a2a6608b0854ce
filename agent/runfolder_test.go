package agent

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"sam/agent/shim"
)

func TestTheShimsSocketIsNotFollowedElsewhere(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "sam-run-") //nolint:usetesting // the name of a socket in it holds 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	run := runFolder(filepath.Join(dir, "run"))
	if err := run.make(); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := os.Symlink(elsewhere, filepath.Join(run.shim(), shim.Socket)); err != nil {
		t.Fatal(err)
	}
	if conn, err := run.dial(t.Context()); err == nil {
		_ = conn.Close()
		t.Error("a link to another socket was followed")
	}
}
