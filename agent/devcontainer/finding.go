package devcontainer

import "fmt"

// Code says what became of something in a configuration. It is the code of the notice that a person sees.
type Code string

// The codes.
const (
	Refused Code = "devcontainer_refused" // left out, because it would reach beyond the container
	Ignored Code = "devcontainer_ignored" // left out, because it means nothing here or is not understood
	Failed  Code = "devcontainer_failed"  // tried, and failed
	// LeftOut is a part that is not to be had, as a feature that is not there: the rest is done without it. A page that does not
	// know the code yet shows it as it is, so it reads as what happened.
	LeftOut Code = "devcontainer_left_out"
)

// Finding is something in a configuration that is not done as it says.
type Finding struct {
	Code     Code
	Property string // as it is written, with its source when that is not devcontainer.json
	Text     string // what, why, and what to do
}

// UnusableError says that a configuration as a whole cannot be used.
type UnusableError struct {
	Code     Code   // Refused or Failed; LeftOut of a part
	Property string // empty when it is the file as a whole
	Text     string
}

func (u *UnusableError) Error() string { return u.Text }

func refusedWhole(property, format string, args ...any) error {
	return &UnusableError{Refused, property, fmt.Sprintf(format, args...)}
}

func failedWhole(property, format string, args ...any) error {
	return &UnusableError{Failed, property, fmt.Sprintf(format, args...)}
}

func leftOut(property, format string, args ...any) error {
	return &UnusableError{LeftOut, property, fmt.Sprintf(format, args...)}
}
