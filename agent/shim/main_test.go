package shim

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets this test binary be `sam shim`, which the tests start as the first process of a namespace.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "shim" {
		os.Exit(Main(os.Args[2:], os.Stderr))
	}
	goleak.VerifyTestMain(m)
}
