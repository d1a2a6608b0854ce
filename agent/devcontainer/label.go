package devcontainer

import (
	"bytes"
	"encoding/json"
)

// Label is the label in which an image carries configuration of its own.
const Label = "devcontainer.metadata"

// CheckLabel reads an image's label as Check reads a file. A label that is broken is a finding, not an error: the image may
// be good all the same.
func CheckLabel(label string, vars Variables) (Config, []Finding) {
	c := &checker{source: "the image's label", vars: vars}
	if label == "" {
		return Config{}, nil
	}
	var entries []properties
	data := bytes.TrimSpace([]byte(label))
	if len(data) > 0 && data[0] == '{' {
		data = append(append([]byte{'['}, data...), ']')
	}
	if len(data) > maxFile || json.Unmarshal(data, &entries) != nil {
		c.find(Ignored, Label, "What the image says in its label %s is broken and ignored. Have the image mended, or use another.", Label)
		return Config{}, c.findings
	}
	var config Config
	for _, said := range entries {
		var upper Config
		c.common(said, &upper)
		config = upper.Under(config) // later entries count before earlier ones
	}
	return config, once(c.findings)
}

// once leaves out what was found before: an image's label repeats itself.
func once(findings []Finding) []Finding {
	seen := map[Finding]bool{}
	var kept []Finding
	for _, one := range findings {
		if !seen[one] {
			seen[one] = true
			kept = append(kept, one)
		}
	}
	return kept
}
