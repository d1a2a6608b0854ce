package app

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain lets the test binary stand in for sam: as the command of the scripts, and as the demo's agent, which a node
// starts by the path of its own executable.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == demoAgent {
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	testscript.Main(checked{m}, map[string]func(){
		"sam": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// checked runs the tests and fails when a goroutine is left over.
type checked struct{ *testing.M }

func (c checked) Run() int {
	code := c.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		os.Stderr.WriteString("leaked goroutines: " + err.Error() + "\n")
		return 1
	}
	return code
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/scripts"})
}
