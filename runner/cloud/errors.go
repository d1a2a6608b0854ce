package cloud

import (
	"fmt"
	"strings"
)

// Errors of a provider that a person is told: each text says what happened, why, and what to do. Compare with errors.As.

// CapacityError says: none of the candidates is to be had now. Trying again later may help.
type CapacityError struct{ Tried []Refusal }

// Refusal is why a candidate was not to be had.
type Refusal struct {
	Candidate
	Why string
}

func (e CapacityError) Error() string {
	tried := make([]string, len(e.Tried))
	for i, r := range e.Tried {
		tried[i] = fmt.Sprintf("%s (%s)", r.Candidate, r.Why)
	}
	return "no machine is to be had now: " + strings.Join(tried, ", ") +
		". It is tried again by itself; more types or locations in `hetzner.machines` make it likelier"
}

// NoCandidateError says: what is configured cannot be had at all, now or later.
type NoCandidateError struct{ Tried []Refusal }

func (e NoCandidateError) Error() string {
	tried := make([]string, len(e.Tried))
	for i, r := range e.Tried {
		tried[i] = fmt.Sprintf("%s: %s", r.Candidate, r.Why)
	}
	return "the configured machines do not exist: " + strings.Join(tried, "; ") + ". Name others in `hetzner.machines`; `hcloud server-type list` shows what there is"
}

// QuotaError says: the account may not have more. It does not mend itself.
type QuotaError struct{ Why string }

func (e QuotaError) Error() string {
	return "the account's limit at the provider is reached: " + e.Why + ". Delete what is not needed, or ask the provider for a higher limit (Hetzner: Cloud Console, Limits)"
}

// CredentialError says: the token is refused, or may only read.
type CredentialError struct {
	Readonly bool
	Why      string
}

func (e CredentialError) Error() string {
	if e.Readonly {
		return "the provider's token may only read: " + e.Why + ". Make one with read and write access (Hetzner: Cloud Console, Security, API tokens) and set it with `sam account set`"
	}
	return "the provider refuses the token: " + e.Why + ". Make a new one with read and write access (Hetzner: Cloud Console, Security, API tokens) and set it with `sam account set`"
}

// ForeignError says: something of that name is there, and it is not ours by its labels. It is not touched.
type ForeignError struct{ What, Name string }

func (e ForeignError) Error() string {
	return fmt.Sprintf("the provider has a %s %s that bears no label of this installation, so it is left alone. Rename or delete it, if it is not needed", e.What, e.Name)
}

// UserDataError says: what a machine would be told at its first boot is too large.
type UserDataError struct{ Bytes int }

func (e UserDataError) Error() string {
	return fmt.Sprintf("what a new machine is told at its first boot has %d bytes and may have %d. Shorten what the configuration adds to it", e.Bytes, MaxUserData)
}

// StandingError says: the provider makes no machines.
type StandingError struct{}

func (StandingError) Error() string {
	return "the local provider makes no machines: start `sam node` on one more, or configure Hetzner"
}
