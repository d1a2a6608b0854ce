package hetzner

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

var (
	labelName   = regexp.MustCompile(`^[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$`)
	labelPrefix = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$`)
)

// validKey says whether something may be a label's key: a name, with a DNS
// subdomain before it and a slash at will.
func validKey(key string) bool {
	prefix, name, prefixed := strings.Cut(key, "/")
	if !prefixed {
		return labelName.MatchString(key)
	}
	return len(prefix) <= 253 && labelPrefix.MatchString(prefix) && labelName.MatchString(name)
}

func validValue(value string) bool { return value == "" || labelName.MatchString(value) }

// checkLabels refuses what Hetzner does not take, and returns a copy that is the
// thing's own. Nil labels are none.
func checkLabels(labels *map[string]string) (map[string]string, error) {
	if labels == nil {
		return map[string]string{}, nil
	}
	for _, key := range slices.Sorted(maps.Keys(*labels)) {
		switch {
		case !validKey(key):
			return nil, invalid("labels", "label key '"+key+"' is not correctly formatted")
		case strings.HasPrefix(key, "hetzner.cloud/"):
			return nil, invalid("labels", "label key '"+key+"' has a reserved prefix")
		case !validValue((*labels)[key]):
			return nil, invalid("labels", "label value '"+(*labels)[key]+"' (key: "+key+") is not correctly formatted")
		}
	}
	if *labels == nil {
		return map[string]string{}, nil
	}
	return maps.Clone(*labels), nil
}

var hostname = regexp.MustCompile(`^[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)*$`)

// checkServerName refuses what is no hostname.
func checkServerName(name string) error {
	if len(name) > 253 || !hostname.MatchString(name) {
		return invalid("name", "invalid hostname")
	}
	return nil
}
