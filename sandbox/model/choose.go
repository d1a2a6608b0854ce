package model

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

var (
	naming = regexp.MustCompile(`(?i)\bscenario[ :=]+["'“\x60]?([\pL\pN]+(?:[-_][\pL\pN]+)*)`)
	number = regexp.MustCompile(`\d+`)
	wanted = wantedWords()
)

// wantedWords match a request for the one change that there is a script for, whole: a model that found these words in a
// longer request would do half of what is asked, or the contrary, and call it done. The title of the demo's issue asks for the
// same; it is what SAM makes of the label.
func wantedWords() *regexp.Regexp {
	const (
		signs  = `[\s\pP\pS]*`
		polite = `(?:please[\s,]+|(?:can|could|would) you[\s,]+)*`
		limits = `rate[ -]?limit(?:s|er|ing)?`
		target = `(?:the\s+)?["'\x60]?(?:POST\s+)?(?:/api/upload|uploads?)["'\x60]?(?:\s+(?:endpoint|route|handler|path))?`
		change = `(?:add|implement|introduce|set up)\s+(?:an?\s+|some\s+)?` + limits + `(?:\s+(?:to|for|on)\s+` + target + `)?|rate[ -]?limit\s+` + target
	)
	return regexp.MustCompile(`(?i)^` + signs + polite + `(?:` + change + `|uploads can be flooded)(?:[\s,]+please)?` + signs + `$`)
}

// named is the scenario that the text names last, whether there is one of that name or not, or empty.
func named(text string) (name Scenario, known bool) {
	all := naming.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return "", false
	}
	name = Scenario(strings.ToLower(all[len(all)-1][1]))
	return name, slices.Contains(Scenarios(), name)
}

// choose picks the scenario of the latest request; empty: none fits.
func (t *turn) choose() Scenario {
	name, known := named(t.request)
	switch {
	case known:
		return name
	case name != "":
		return "" // another that would fit as well is not what was asked for
	case strings.Contains(t.asked, question):
		return Ask
	case wanted.MatchString(t.request):
		return Work
	}
	return ""
}

// unknown says that there is no script for the request, and for what there is one.
func (t *turn) unknown() string {
	name, _ := named(t.request)
	if name == "" {
		return "I am a scripted stand-in for a model: I understand nothing and have no script for this request, so I have changed nothing.\n\n" + known()
	}
	return fmt.Sprintf("I am a scripted stand-in for a model and have no scenario `%s`; the nearest name is `%s`. I have changed nothing.\n\n%s",
		head(string(name), 20), nearest(name), known())
}

// known lists what there are scripts for.
func known() string {
	var b strings.Builder
	b.WriteString("What I can do is add rate limiting to `/api/upload` in the demo repository: ask for that and nothing else. " +
		"To see how SAM behaves, say “scenario NAME”, with one of:\n\n")
	for _, s := range Scenarios() {
		fmt.Fprintf(&b, "- `%s` %s\n", s, s.Does())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// nearest is the scenario whose name is the fewest letters away, the first of several.
func nearest(name Scenario) Scenario {
	return slices.MinFunc(Scenarios(), func(a, b Scenario) int {
		return levenshtein.ComputeDistance(string(name), string(a)) - levenshtein.ComputeDistance(string(name), string(b))
	})
}
