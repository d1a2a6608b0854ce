package boot

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or in namespaces of its own the part of one that changes a machine; see apart.
func TestMain(m *testing.M) {
	if root := os.Getenv(rootVariable); root != "" {
		os.Exit(inside(root))
	}
	goleak.VerifyTestMain(m)
}
