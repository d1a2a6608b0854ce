package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
)

func options() *openapi3filter.Options {
	return &openapi3filter.Options{
		MultiError:            true,
		IncludeResponseStatus: true,
		SkipSettingDefaults:   true,
		AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
	}
}

// differences lists in words where an exchange departs from the description.
func (d *Description) differences(asked *http.Request, body []byte, got *recorder) []string {
	route, params, err := d.route(asked)
	if err != nil {
		return []string{fmt.Sprintf("the description knows no such operation: %v", err)}
	}
	request := &openapi3filter.RequestValidationInput{
		Request: asked, PathParams: params, Route: route, Options: options(),
	}
	// A null body is no body: GitHub takes it so, and ghinstallation sends it.
	if string(bytes.TrimSpace(body)) == "null" {
		asked.Body, asked.ContentLength = http.NoBody, 0
	}
	found := explain("request", openapi3filter.ValidateRequest(asked.Context(), request))

	documented := route.Operation.Responses.Status(got.status) != nil
	switch {
	case asked.Method == http.MethodHead:
		if !documented && !generic(got.status) {
			found = append(found, "response: the status is not documented")
		}
		return found
	case got.status == http.StatusNotModified:
		if got.body.Len() > 0 {
			found = append(found, "response: a 304 has a body")
		}
		return found
	case redirect(got.status):
		if got.Header().Get("Location") == "" {
			found = append(found, "response: a redirect without Location")
		}
		return found
	case documented || !generic(got.status):
		response := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: request,
			Status:                 got.status,
			Header:                 got.Header(),
			Body:                   io.NopCloser(bytes.NewReader(got.body.Bytes())),
			Options:                options(),
		}
		found = append(found, explain("response", openapi3filter.ValidateResponse(asked.Context(), response))...)
	}
	if got.status >= 400 && (documented || generic(got.status)) {
		found = append(found, basicError(got)...)
	}
	return found
}

// generic says whether GitHub may answer any operation so, whether or not the
// operation's own description lists it: unparsable JSON, no or wrong
// credentials, no right, not visible, deleted, over a limit, or out of order.
func generic(status int) bool {
	switch status {
	case http.StatusNotModified, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden,
		http.StatusNotFound, http.StatusGone, http.StatusTooManyRequests:
		return true
	}
	return status >= 500 || redirect(status)
}

func redirect(status int) bool {
	return status == http.StatusMovedPermanently || status == http.StatusTemporaryRedirect
}

// basicError checks the shape that all of GitHub's errors share. The
// description calls it basic-error and requires none of its fields, but clients
// live by the message.
func basicError(got *recorder) []string {
	if kind := got.Header().Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		return []string{fmt.Sprintf("response: an error of content type %q, want application/json", kind)}
	}
	var fields map[string]any
	if err := json.Unmarshal(got.body.Bytes(), &fields); err != nil {
		return []string{fmt.Sprintf("response body: not a JSON object: %v", err)}
	}
	var found []string
	if message, _ := fields["message"].(string); message == "" {
		found = append(found, "response body at /message: an error needs a message")
	}
	for _, name := range []string{"documentation_url", "status"} {
		if value, has := fields[name]; has {
			if _, ok := value.(string); !ok {
				found = append(found, fmt.Sprintf("response body at /%s: must be a string", name))
			}
		}
	}
	return found
}

// explain turns the validator's nested errors into one line per difference.
func explain(side string, err error) []string {
	if err == nil {
		return nil
	}
	if many, ok := err.(openapi3.MultiError); ok { //nolint:errorlint // this level alone is taken apart
		var lines []string
		for _, one := range many {
			lines = append(lines, explain(side, one)...)
		}
		return lines
	}
	var request *openapi3filter.RequestError
	if errors.As(err, &request) && request.Err != nil {
		switch {
		case request.Parameter != nil:
			return explain(fmt.Sprintf("request %s parameter %q", request.Parameter.In, request.Parameter.Name), request.Err)
		case request.RequestBody != nil:
			return explain("request body", request.Err)
		}
	}
	var response *openapi3filter.ResponseError
	if errors.As(err, &response) && response.Err != nil {
		return explain("response body", response.Err)
	}
	var schema *openapi3.SchemaError
	if errors.As(err, &schema) {
		line := side + " at /" + pointer(schema.JSONPointer()) + ": " + schema.Reason
		if schema.Origin != nil {
			line += ": " + strings.Join(explain("", schema.Origin), "; ")
		}
		return []string{line}
	}
	return []string{strings.TrimPrefix(side+": "+err.Error(), ": ")}
}

// pointer writes a JSON pointer (RFC 6901) without its leading slash.
func pointer(keys []string) string {
	escaped := make([]string, len(keys))
	for i, key := range keys {
		escaped[i] = strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
	}
	return strings.Join(escaped, "/")
}
