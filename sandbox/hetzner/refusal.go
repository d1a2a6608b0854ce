package hetzner

import (
	"fmt"
	"net/http"
)

// Error is a refusal with Hetzner's own code and words.
type Error struct {
	Status  int
	Code    string
	Message string
	// Details depend on the code; nil: none.
	Details any
}

func (e *Error) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return fmt.Sprintf("%s (%s)", e.Message, e.Code)
}

// object is JSON that is made on the spot.
type object = map[string]any

func refuse(status int, code, message string) *Error {
	return &Error{Status: status, Code: code, Message: message}
}

func unauthorized() *Error {
	return refuse(http.StatusUnauthorized, "unauthorized", "unable to authenticate")
}

// readOnly has the code that Hetzner answers since it gave up token_readonly.
func readOnly() *Error {
	return refuse(http.StatusForbidden, "forbidden", "token is only allowed to perform GET requests")
}

func notFound(what string, id int64) *Error {
	return refuse(http.StatusNotFound, "not_found", fmt.Sprintf("%s with ID '%d' not found", what, id))
}

func noSuchPath() *Error { return refuse(http.StatusNotFound, "not_found", "path not found") }

func noJSON() *Error {
	return refuse(http.StatusBadRequest, "json_error", "invalid JSON in request body")
}

// invalid says what is wrong with a field.
func invalid(field, why string) *Error {
	e := refuse(http.StatusUnprocessableEntity, "invalid_input", fmt.Sprintf("invalid input in field '%s': %s", field, why))
	e.Details = object{"fields": []object{{"name": field, "messages": []string{why}}}}
	return e
}

// unfit is invalid input that Hetzner does not blame on a field.
func unfit(message string) *Error {
	e := refuse(http.StatusUnprocessableEntity, "invalid_input", message)
	e.Details = object{}
	return e
}

func taken(message, field string) *Error {
	e := refuse(http.StatusConflict, "uniqueness_error", message)
	e.Details = object{"fields": []object{{"name": field}}}
	return e
}

func overLimit(message, limit string) *Error {
	e := refuse(http.StatusForbidden, "resource_limit_exceeded", message)
	e.Details = object{"limits": []object{{"name": limit}}}
	return e
}

func noPlace() *Error {
	return refuse(http.StatusPreconditionFailed, "resource_unavailable", "error during placement")
}

func wrongLocation() *Error { return unfit("unsupported location for server type") }

func locked(what string) *Error {
	return refuse(http.StatusLocked, "locked", what+" is locked")
}

func protected(what string) *Error {
	return refuse(http.StatusLocked, "protected", what+" is protected from deletion")
}

func inUse(message string) *Error {
	return refuse(http.StatusConflict, "resource_in_use", message)
}
