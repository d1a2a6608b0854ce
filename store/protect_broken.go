//go:build broken

package store

import (
	"os"
	"strings"
)

// broken is the protection that is taken away, from the environment: see protect.go. The variable is none of the
// configuration's, which would refuse it, so it is taken out of the environment.
var broken = func() string {
	const variable = "SAM_BREAK"
	name := os.Getenv(variable)
	if err := os.Unsetenv(variable); err != nil {
		panic(err)
	}
	return name
}()

func protects(name string) bool { return name != broken }

// protected leaves out the lines that are the broken protection's.
func protected(script string) string {
	if broken == "" {
		return script
	}
	var kept []string
	for line := range strings.Lines(script) {
		if !strings.HasSuffix(strings.TrimSpace(line), "-- protects: "+broken) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}
