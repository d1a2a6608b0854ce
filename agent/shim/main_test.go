package shim

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets this test binary be `sam shim`, which the tests start as the first process of a namespace, and a program
// that would change what its files count for.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "shim" {
		os.Exit(Main(os.Args[2:], os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == "attributes" {
		changeAttributes(os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}
