package hetzner

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// selector is a label selector: all of its terms must hold.
type selector []term

// term is one of k, !k, k=v, k!=v, k in (v, …), k notin (v, …).
type term struct {
	key    string
	values []string // nil: any, the key is enough
	not    bool
}

var (
	setTerm   = regexp.MustCompile(`^(\S+)\s+(in|notin)\s*\(([^()]*)\)$`)
	equalTerm = regexp.MustCompile(`^([^=!\s]+)\s*(==|=|!=)\s*([^=!\s]*)$`)
)

// parseSelector reads a label selector. An empty one selects everything.
func parseSelector(text string) (selector, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var out selector
	for _, part := range split(text) {
		t, err := parseTerm(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// split cuts at commas outside of parentheses.
func split(text string) []string {
	var parts []string
	depth, from := 0, 0
	for i, r := range text {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, text[from:i])
				from = i + 1
			}
		}
	}
	return append(parts, text[from:])
}

func parseTerm(text string) (term, error) {
	var t term
	if m := setTerm.FindStringSubmatch(text); m != nil {
		t = term{key: m[1], not: m[2] == "notin"}
		for value := range strings.SplitSeq(m[3], ",") {
			t.values = append(t.values, strings.TrimSpace(value))
		}
	} else if m := equalTerm.FindStringSubmatch(text); m != nil {
		t = term{key: m[1], not: m[2] == "!=", values: []string{m[3]}}
	} else {
		t.key, t.not = strings.CutPrefix(text, "!")
	}
	if !validKey(t.key) {
		return t, fmt.Errorf("'%s' is no label selector", text)
	}
	if !slices.ContainsFunc(t.values, func(v string) bool { return !validValue(v) }) {
		return t, nil
	}
	return t, errors.New("a value in the label selector is not correctly formatted")
}

// match says whether labels have all that is selected. A key that is absent has
// no value, so k!=v and k notin (v) hold of it.
func (s selector) match(labels map[string]string) bool {
	for _, t := range s {
		value, has := labels[t.key]
		if t.values != nil {
			has = has && slices.Contains(t.values, value)
		}
		if has == t.not {
			return false
		}
	}
	return true
}
