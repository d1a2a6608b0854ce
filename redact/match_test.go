package redact_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sam/redact"
)

const long = "postgres://app:9f8Zr2kQvT7+wLxY/4nC@db.internal.example:5432/production"

// fold breaks a text's lines as base64, fold and terminals do.
func fold(text string, width int, end string) string {
	var lines []string
	for ; len(text) > width; text = text[width:] {
		lines = append(lines, text[:width])
	}
	return strings.Join(append(lines, text), end)
}

func TestAValueIsFoundOverTheLinesThatItWasBrokenInto(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte("DATABASE_URL=" + long + "\nNEXT=1\n"))
	for name, text := range map[string]string{
		"base64 in lines of 76":      fold(encoded, 76, "\n"),
		"base64 in lines of 20":      fold(encoded, 20, "\r\n"),
		"a terminal's width":         "The value is " + fold(long, 30, "\n") + " as it seems",
		"an indented block":          fold(long, 25, "\n    "),
		"a diff":                     "+x: |\n+  " + fold(long, 25, "\n+  ") + "\n+y: 1",
		"a break soon":               long[:3] + "\n" + long[3:] + "\n",
		"a break late":               long[:len(long)-3] + "\n" + long[len(long)-3:],
		"breaks in JSON within JSON": fold(long, 25, `\n`),
		"a colour":                   long[:20] + "\x1b[01;31m\x1b[K" + long[20:24] + "\x1b[m\x1b[K" + long[24:] + "!",
		"a colour soon":              long[:5] + "\x1b[31m" + long[5:],
	} {
		t.Run(name, func(t *testing.T) {
			got := one(long).Text("a" + text + "z")
			if strings.Count(got, "«TOKEN»") != 1 || len(got) > len("a«TOKEN»z")+len(text)-len(long) {
				t.Errorf("%q became %q", text, got)
			}
		})
	}
}

func TestWhatStandsBesideAValueInTheNextLineStays(t *testing.T) {
	for text, want := range map[string]string{
		"x " + long + "\n- next":           "x «TOKEN»\n- next",
		"+a\n+" + long + "\n+b":            "+a\n+«TOKEN»\n+b",
		"\x1b[1m" + long + "\x1b[m, right": "\x1b[1m«TOKEN»\x1b[m, right",
	} {
		if got := one(long).Text(text); got != want {
			t.Errorf("%q became %q and not %q", text, got, want)
		}
	}
}

func TestOfAValueThatATextEndsOrBeginsInTheLargerHalfIsHidden(t *testing.T) {
	for text, want := range map[string]string{
		"it is " + long[:40]:                               "it is «TOKEN»",
		"it is " + long[:40] + " …":                        "it is «TOKEN» …",
		"it is " + long[:40] + "\n":                        "it is «TOKEN»\n",
		long[30:] + " it is":                               "«TOKEN» it is",
		"…" + fold(long[30:], 16, "\n") + " it is":         "…«TOKEN» it is",
		"I take postgres":                                  "I take postgres",
		"production is where it runs":                      "production is where it runs",
		"I take " + long[:20]:                              "I take " + long[:20],
		"cut " + long[:50] + " in the middle of the words": "cut " + long[:50] + " in the middle of the words",
	} {
		if got := one(long).Text(text); got != want {
			t.Errorf("%q became %q and not %q", text, got, want)
		}
	}
}

func TestANumberIsNoPartOfAValue(t *testing.T) {
	r := redact.New([]redact.Secret{{"PIN", "1234567890123"}})
	const event = `{"kind":"used","raw":{"tokens":1234567890}}`
	if got := r.Event([]byte(event), 1<<16); string(got) != event {
		t.Errorf("it became %s", got)
	}
}

// An agent's words come in events, and what is said in one event may go on in the next.
func TestAValueInTwoEventsLosesMoreThanHalf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[A-Za-z0-9/+]{16,60}`).Draw(t, "value")
		at := rapid.IntRange(0, len(value)).Draw(t, "at")
		r := redact.New([]redact.Secret{{"TOKEN", value}})
		before := rapid.StringMatching(`([ -~]{0,20}: )?`).Draw(t, "before")
		after := rapid.StringMatching(`( [ -~]{0,20})?`).Draw(t, "after")
		hidden := func(text string) string {
			return string(r.Event([]byte(fmt.Sprintf(`{"kind":"said","text":%q}`, text)), 1<<16))
		}
		first, second := hidden(before+value[:at]), hidden(value[at:]+after)
		if 2*at >= len(value) && !strings.Contains(first, "«TOKEN»") {
			t.Errorf("%d of %q are left in %s", at, value, first)
		}
		if 2*(len(value)-at) >= len(value) && !strings.Contains(second, "«TOKEN»") {
			t.Errorf("%d of %q are left in %s", len(value)-at, value, second)
		}
	})
}
