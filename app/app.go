// Package app is the commands of sam and all the wiring. It is the only room that knows every other.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"sam/config"
)

// version is set by the linker to what git describes.
var version string

// Version is the release: the linker's word, else that of the module.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}

// Main runs one command until it ends, or SIGINT or SIGTERM asks it to. It returns the exit code: 0 for success, 1 for an
// error, which it has written to stderr, and a command's own otherwise.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var code exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "sam: told to stop before it was done")
		return 1
	default:
		fmt.Fprintln(stderr, "sam: "+err.Error())
		return 1
	}
}

// exitError ends a command that has said all there is to say.
type exitError int

func (c exitError) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "sam",
		Short: "From a comment on GitHub to a pull request, on a machine of your own",
		Long: "SAM is a self-hosted GitHub App. Someone with write access comments \"/sam add rate limiting\" on an issue;\n" +
			"SAM runs a coding agent on a clone of the repository and answers with a pull request.\n\n" +
			"To see it work without an account, a key or the internet: sam demo",
		Version:       Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newServe(), newNode(), newKeys(), newSecret(), newAccount(), newDemo(), newSimulate(), newSandbox(), newBoot(), newDemoAgent(), newShim())
	explain(root)
	return root
}

// newLog returns the logger that a configuration asks for.
func newLog(c config.Log, w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	zerolog.TimeFieldFormat = time.RFC3339Nano // a setting of the library's for the whole process; every command sets the same
	if c.Format == "console" {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000", NoColor: os.Getenv("NO_COLOR") != "" || !isTerminal(w)}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// isTerminal reports whether a person reads w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
