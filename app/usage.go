package app

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// explain has a command, and all below it, say how it is called when it was called wrongly.
func explain(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err != nil {
				err = miscalled(cmd, args, err)
			}
			return err
		}
	}
	cmd.SetFlagErrorFunc(misflagged)
	cmd.SuggestionsMinimumDistance = 2 // letters; cobra's own default is for its own message
	for _, below := range cmd.Commands() {
		explain(below)
	}
}

// miscalled is what is said of arguments that a command does not take. It repeats none but the first, and that only where
// a word of the command line is expected: a secret may have been typed.
func miscalled(cmd *cobra.Command, args []string, err error) error {
	help := fmt.Sprintf("`%s --help`", cmd.CommandPath())
	if !cmd.HasAvailableSubCommands() {
		return fmt.Errorf("%w: call it as `%s`; %s says more", err, cmd.UseLine(), help)
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("%w; did you mean %s? %s lists the commands", err, strings.Join(near, " or "), help)
	}
	return fmt.Errorf("%w; %s lists the commands", err, help)
}

// misflagged is what is said of a flag that there is not, or that cannot have the value which it was given.
func misflagged(cmd *cobra.Command, err error) error {
	text := err.Error()
	if num := new(strconv.NumError); errors.As(err, &num) {
		why := "it is to be a number"
		if errors.Is(num.Err, strconv.ErrRange) {
			why = "the number is too large"
		}
		text = strings.TrimSuffix(text, num.Error()) + why
	}
	return fmt.Errorf("%s; `%s --help` lists the flags", text, cmd.CommandPath())
}
