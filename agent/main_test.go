package agent

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"sam/agent/demo"
	"sam/agent/shim"
)

// TestMain lets this test binary be `sam demo-agent`, which is how the demo driver calls it, the guard of a process, and
// the first process of another kernel.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "shim" {
		os.Exit(shim.Main(os.Args[2:], os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == "demo-agent" {
		os.Exit(demo.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == "boot" && os.Getpid() == 1 {
		boot(os.Args[2:])
		return
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if built.path != "" {
			_ = os.RemoveAll(filepath.Dir(built.path))
		}
		os.Exit(code)
	}))
}
