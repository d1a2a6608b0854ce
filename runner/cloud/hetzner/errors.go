package hetzner

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"sam/runner/cloud"
)

// fault is what an error of Hetzner's means for a creation.
type fault int

const (
	final    fault = iota // not this way: tell it
	capacity              // none left: the next candidate
	unknown               // no such thing: the next candidate, and tell it
	taken                 // there is one of that name
	busy                  // again in a moment
	unwalled              // the firewall is gone
)

// codes that an action or a call may end with. The ones that hcloud-go has no name for are older forms.
var faults = map[hcloud.ErrorCode]fault{
	hcloud.ErrorCodeResourceUnavailable: capacity, hcloud.ErrorCodePlacementError: capacity,
	hcloud.ErrorCodeInvalidServerType: unknown,
	hcloud.ErrorCodeUniquenessError:   taken,
	hcloud.ErrorCodeLocked:            busy, hcloud.ErrorCodeConflict: busy,
	hcloud.ErrorCodeFirewallResourceNotFound: unwalled,
}

// faultOf classifies an error of a creation. why is Hetzner's own word.
func faultOf(err error) (what fault, why string) {
	code, message := codeOf(err)
	why = fmt.Sprintf("%s: %s", code, message)
	if what, known := faults[code]; known {
		return what, why
	}
	lower := strings.ToLower(message)
	switch code {
	case hcloud.ErrorCodeInvalidInput:
		// Capacity, in other words: the type is not sold there now.
		if strings.Contains(lower, "unsupported location for server type") {
			return capacity, why
		}
		if concerns(err, "server_type") || concerns(err, "location") || isOfCandidate(lower) {
			return unknown, why
		}
	case hcloud.ErrorCodeNotFound:
		switch {
		case strings.Contains(lower, "firewall"):
			return unwalled, why
		case isOfCandidate(lower):
			return unknown, why
		}
	}
	return final, why
}

// isOfCandidate reports whether a message is about the type or the location: "server type cx22 not found".
func isOfCandidate(message string) bool {
	return strings.HasPrefix(message, "server type") || strings.HasPrefix(message, "server_type") || strings.HasPrefix(message, "location")
}

func codeOf(err error) (hcloud.ErrorCode, string) {
	var refused hcloud.Error
	var failed hcloud.ActionError
	switch {
	case errors.As(err, &refused):
		return refused.Code, refused.Message
	case errors.As(err, &failed):
		return hcloud.ErrorCode(failed.Code), failed.Message
	}
	return "", ""
}

// concerns reports whether invalid input was a field's.
func concerns(err error, field string) bool {
	var refused hcloud.Error
	if !errors.As(err, &refused) {
		return false
	}
	details, ok := refused.Details.(hcloud.ErrorDetailsInvalidInput)
	if !ok {
		return false
	}
	for _, one := range details.Fields {
		if one.Name == field {
			return true
		}
	}
	return false
}

// readonly is the older form of a refusal to write.
const readonly hcloud.ErrorCode = "token_readonly"

// explained makes an error of Hetzner's one that a person can act on. What is temporary stays as it is.
func explained(err error) error {
	code, message := codeOf(err)
	switch code {
	case "":
		return err
	case hcloud.ErrorCodeUnauthorized:
		return cloud.CredentialError{Why: message}
	case hcloud.ErrorCodeForbidden, readonly:
		return cloud.CredentialError{Readonly: true, Why: message}
	case hcloud.ErrorCodeResourceLimitExceeded:
		return cloud.QuotaError{Why: message}
	}
	return fmt.Errorf("ask Hetzner: %w", err)
}
