package contract

import (
	"fmt"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
)

// amend mends the places where the description contradicts its own words or
// what GitHub has been seen to do. Each is a line here, with its reason; an
// operation that is gone is an error, so that the list cannot rot.
func amend(doc *openapi3.T) error {
	// "You can also pass an array of labels directly": the prose allows it, go-github
	// does it, GitHub takes it, and the schema forgets it.
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		if err := alsoAccept(doc, method, "/repos/{owner}/{repo}/issues/{issue_number}/labels", stringArray()); err != nil {
			return err
		}
	}
	// An account of the list is a person AND an enterprise at once (allOf), where the
	// installation by its id has it right (anyOf), and GitHub answers one of the two.
	return eitherOf(doc, http.MethodGet, "/app/installations", "account")
}

// eitherOf makes a field of a list's elements be one of the forms that the
// description wants it to be all of.
func eitherOf(doc *openapi3.T, method, path, field string) error {
	item := doc.Paths.Value(path)
	if item == nil || item.GetOperation(method) == nil {
		return fmt.Errorf("%s %s is not described", method, path)
	}
	response := item.GetOperation(method).Responses.Status(http.StatusOK)
	if response == nil || response.Value == nil || response.Value.Content.Get("application/json") == nil {
		return fmt.Errorf("%s %s answers no JSON", method, path)
	}
	list := response.Value.Content.Get("application/json").Schema.Value
	if list.Items == nil || list.Items.Value.Properties[field] == nil || len(list.Items.Value.Properties[field].Value.AllOf) == 0 {
		return fmt.Errorf("%s %s: %s is not all of several forms: is the description mended?", method, path, field)
	}
	schema := list.Items.Value.Properties[field].Value
	schema.AnyOf, schema.AllOf = schema.AllOf, nil
	return nil
}

func stringArray() *openapi3.Schema {
	return openapi3.NewArraySchema().WithItems(openapi3.NewStringSchema())
}

// alsoAccept adds one more form to what an operation takes as its JSON body.
func alsoAccept(doc *openapi3.T, method, path string, form *openapi3.Schema) error {
	item := doc.Paths.Value(path)
	if item == nil || item.GetOperation(method) == nil || item.GetOperation(method).RequestBody == nil {
		return fmt.Errorf("%s %s with a body is not described", method, path)
	}
	media := item.GetOperation(method).RequestBody.Value.GetMediaType("application/json")
	if media == nil {
		return fmt.Errorf("%s %s takes no JSON", method, path)
	}
	media.Schema = openapi3.NewSchemaRef("", &openapi3.Schema{
		AnyOf: openapi3.SchemaRefs{media.Schema, openapi3.NewSchemaRef("", form)},
	})
	return nil
}
