package model

import "encoding/json"

// schema is as much of JSON Schema as an instance needs.
type schema struct {
	Type       json.RawMessage            `json:"type"` // a name or a list of names
	Properties map[string]json.RawMessage `json:"properties"`
	Required   []string                   `json:"required"`
	Items      json.RawMessage            `json:"items"`
	MinItems   int                        `json:"minItems"`
	Minimum    *float64                   `json:"minimum"`
	Enum       []any                      `json:"enum"`
	Const      any                        `json:"const"`
	AnyOf      []json.RawMessage          `json:"anyOf"`
	OneOf      []json.RawMessage          `json:"oneOf"`
}

func properties(raw json.RawMessage) map[string]json.RawMessage {
	var s schema
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	return s.Properties
}

// maxDepth bounds schemas that nest without end.
const maxDepth = 12

// instance makes the smallest value that fits the schema: what is required and no more. Texts are the given one.
func instance(raw json.RawMessage, text string) any { return smallest(raw, text, maxDepth) }

func smallest(raw json.RawMessage, text string, depth int) any {
	var s schema
	if depth == 0 || json.Unmarshal(raw, &s) != nil {
		return nil
	}
	switch {
	case s.Const != nil:
		return s.Const
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.AnyOf) > 0:
		return smallest(s.AnyOf[0], text, depth-1)
	case len(s.OneOf) > 0:
		return smallest(s.OneOf[0], text, depth-1)
	}
	switch s.kind() {
	case "object":
		object := map[string]any{}
		for _, name := range s.Required {
			object[name] = smallest(s.Properties[name], text, depth-1)
		}
		return object
	case "array":
		list := []any{}
		for len(list) < min(s.MinItems, 16) {
			list = append(list, smallest(s.Items, text, depth-1))
		}
		return list
	case "boolean":
		return false
	case "integer", "number":
		if s.Minimum != nil {
			return *s.Minimum
		}
		return 0
	case "null":
		return nil
	}
	return text
}

// kind is the schema's type, the first if it has several; a schema with properties is an object's.
func (s *schema) kind() string {
	var one string
	if json.Unmarshal(s.Type, &one) == nil && one != "" {
		return one
	}
	var several []string
	if json.Unmarshal(s.Type, &several) == nil && len(several) > 0 {
		return several[0]
	}
	if s.Properties != nil {
		return "object"
	}
	return "string"
}
