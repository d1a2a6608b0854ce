package redact_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sam/redact"
)

// odd is a value that every encoding changes.
const odd = `p/"w\d+<é>&?: 7=`

func one(value string) *redact.Redactor {
	return redact.New([]redact.Secret{{Name: "TOKEN", Value: value}})
}

func TestAValueIsFoundInEveryFormThatToolsPrint(t *testing.T) {
	quote := func(text string) string {
		out, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	std, raw := base64.StdEncoding, base64.RawURLEncoding
	for name, text := range map[string]string{
		"as it is":               "token: " + odd + ".",
		"JSON":                   quote(odd),
		"JSON in JSON":           quote(quote(odd)),
		"hexadecimal":            hex.EncodeToString([]byte(odd)),
		"hexadecimal, capitals":  strings.ToUpper(hex.EncodeToString([]byte("x" + odd))),
		"a query":                "https://example.com/?a=" + url.QueryEscape(odd) + "&b=1",
		"a path":                 "https://example.com/" + url.PathEscape(odd),
		"percent, small letters": strings.ToLower(url.QueryEscape(odd)),
		"base64":                 std.EncodeToString([]byte(odd)),
		"base64 behind one":      std.EncodeToString([]byte(":" + odd + "\n")),
		"base64 behind two":      std.EncodeToString([]byte("u:" + odd + "tail")),
		"base64 of a user's":     std.EncodeToString([]byte("user:" + odd)),
		"base64 for addresses":   raw.EncodeToString([]byte("abcd" + odd + "e")),
	} {
		t.Run(name, func(t *testing.T) {
			if got := one(odd).Text(text); !strings.Contains(got, "«TOKEN»") {
				t.Errorf("%s became %s", text, got)
			}
		})
	}
}

func TestALongLineOfAValueIsFoundByItself(t *testing.T) {
	key := "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nshort\nAASCBKcwggSjAgEAAoIB\n-----END KEY-----\n"
	got := one(key).Text("+-----BEGIN KEY-----\n+MIIEvQIBADANBgkqhkiG\n+short\n  2 AASCBKcwggSjAgEAAoIB")
	if got != "+-----BEGIN KEY-----\n+«TOKEN»\n+short\n  2 «TOKEN»" {
		t.Errorf("it became %q", got)
	}
	if got := one(key).Text("x" + strings.TrimSpace(key)); got != "x«TOKEN»" {
		t.Errorf("without its last line's end it became %q", got)
	}
}

func TestOfSecretsThatOverlapNothingIsLeft(t *testing.T) {
	r := redact.New([]redact.Secret{{"A", "abcdefgh"}, {"LONG", "abcdefghijklmnop"}, {"B", "efghijkl"}, {"SHORT", "abc"}})
	for text, want := range map[string]string{
		"abcdefghijkl.x":           "«A».x",
		"abcdefghijkl":             "«LONG»", // or what was left of it
		"abcdefghijklmnop.":        "«LONG».",
		"abcdefghijklmno;x":        "«A»mno;x",
		"..efghijkl":               "..«B»",
		"abcdefghabcdefgh":         "«A»«A»",
		"abcdefg":                  "abcdefg",
		"abc":                      "abc",
		"":                         "",
		"abcdefghijklmnopabcdefgh": "«LONG»«A»",
	} {
		if got := r.Text(text); got != want {
			t.Errorf("%s became %s and not %s", text, got, want)
		}
	}
}

func TestNoSecretsChangeNothing(t *testing.T) {
	for _, r := range []*redact.Redactor{nil, redact.New(nil), redact.New([]redact.Secret{{"A", "short"}})} {
		if r.Text("short and long") != "short and long" || string(r.Event([]byte(`{"text":"short"}`), 100)) != `{"text":"short"}` {
			t.Error("something changed")
		}
	}
}

func TestWhateverStandsAroundAValueItIsGone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.StringMatching(`[ -~]{8,40}`), 1, 5).Draw(t, "values")
		var secrets []redact.Secret
		for i, v := range values {
			secrets = append(secrets, redact.Secret{Name: fmt.Sprint("N", i), Value: v})
		}
		text := ""
		for range rapid.IntRange(1, 6).Draw(t, "pieces") {
			text += rapid.String().Draw(t, "between") + rapid.SampledFrom(values).Draw(t, "value")
		}
		r := redact.New(secrets)
		got := r.Text(text)
		for _, v := range values {
			if strings.Contains(got, v) {
				t.Fatalf("%q is left in %q", v, got)
			}
		}
		event, err := json.Marshal(map[string]any{"kind": "said", "text": text, "raw": map[string]any{text: []string{text}}})
		if err != nil {
			t.Fatal(err)
		}
		var back struct {
			Text string              `json:"text"`
			Raw  map[string][]string `json:"raw"`
		}
		if err := json.Unmarshal(r.Event(event, 1<<20), &back); err != nil {
			t.Fatal(err)
		}
		want := r.Text(strings.ToValidUTF8(text, "\ufffd"))
		if back.Text != want || len(back.Raw[want]) != 1 || back.Raw[want][0] != want {
			t.Fatalf("an event has %q and %q, a text %q", back.Text, back.Raw, want)
		}
	})
}
