// Command sam is a self-hosted GitHub App: a comment becomes a pull request, made by a coding agent on a machine of
// your own. See README.md.
package main

import (
	"os"

	"sam/app"
)

func main() { os.Exit(app.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
