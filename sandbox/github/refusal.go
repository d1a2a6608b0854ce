package github

import (
	"fmt"
	"net/http"
	"strings"
)

// Error is a refusal as GitHub words it. Every method of Server that refuses
// returns one, so that pages can show Message and answer Status.
type Error struct {
	// Status is the HTTP status that the API answers.
	Status int
	// Message is GitHub's own sentence.
	Message string
	// Fields says what is wrong with which field; only with status 422.
	Fields []FieldError

	docs   string            // documentation_url; empty: the API's front page
	header map[string]string // more of the answer
	more   object            // more of the answer's body
}

// FieldError is one entry of a refusal's "errors".
type FieldError struct {
	Resource string `json:"resource"`
	Field    string `json:"field,omitempty"`
	Code     string `json:"code"`
	Message  string `json:"message,omitempty"`
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%d %s", e.Status, strings.ReplaceAll(e.Message, "\n", " "))
	for _, f := range e.Fields {
		detail := f.Message
		if detail == "" {
			detail = f.Field + " " + f.Code
		}
		text += ": " + f.Resource + ": " + detail
	}
	return text
}

func refuse(status int, message string) *Error { return &Error{Status: status, Message: message} }

func notFound() *Error { return refuse(http.StatusNotFound, "Not Found") }

func notAccessible() *Error {
	return refuse(http.StatusForbidden, "Resource not accessible by integration")
}

func invalid(fields ...FieldError) *Error {
	return &Error{Status: http.StatusUnprocessableEntity, Message: "Validation Failed", Fields: fields}
}

// malformed is what GitHub answers when a body does not fit its JSON schema.
func malformed(detail string) *Error {
	return refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n"+detail)
}

func missing(field string) *Error { return malformed(fmt.Sprintf("%q wasn't supplied.", field)) }
