package gateway

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxDepth is jsontext's own bound of arrays and objects in each other.
const maxDepth = 10_000

// passed walks over a text without looking into it.
func passed(text []byte) bool {
	return walkJSON(text, jsonText.skip) == nil
}

func TestWhatIsTakenForJSONIsWhatTheStandardTakesForIt(t *testing.T) {
	for _, text := range []string{
		"", " ", "{}", " [ ] ", "nul", "null", "truex", "true false", "-", "-0", "01", "1.", "1.5e", "1.5e-07", "1E+3", ".5", "+1", "NaN", "0x10",
		`"`, `"\`, `"\x"`, `"\u12"`, `"\u12G4"`, `"\ud800"`, `"\/"`, "\"\n\"", "\"\x1f\"", "\"\x7f\"", "\"\x80\"", "\"é\"", "\"1234567\n\"", `"1234567\\"`, `"12345678"`, `"1234567"x`,
		`{"a":1,}`, `{"a"}`, `{"a" : 1 , "a":2}`, `{a:1}`, `{"a":1`, `[1,]`, `[1 2]`, `[1}`, `]`, "\ufeff{}", "{}\x00", "{}\x0b", `[[[]],[{"":[]}]]`,
		claudeAsks,
	} {
		if got, want := passed([]byte(text)), json.Valid([]byte(text)) && utf8.ValidString(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
	if deep := strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1); passed([]byte(deep)) || !passed([]byte(deep[1:len(deep)-1])) {
		t.Errorf("%d brackets in each other pass, or one less does not", maxDepth+1)
	}
}

func FuzzWhatIsTakenForJSONIsWhatTheStandardTakesForIt(f *testing.F) {
	f.Add([]byte(claudeAsks))
	f.Add(typical()[:2000])
	f.Add([]byte(`[-1.5e+7,"\u00e9\\\"",{"a":[true,false,null]}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		want := json.Valid(text) && utf8.Valid(text)
		if want && strings.Count(string(text), "[")+strings.Count(string(text), "{") > maxDepth {
			return
		}
		if got := passed(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	})
}

// What one reader takes for a field and another does not is the way around a check.
func TestAFieldThatReadersCouldReadDifferentlyIsRefused(t *testing.T) {
	const out = `{"type":"url","url":"https://collector.example/"}`
	for name, text := range map[string]string{
		"capitals":                       `"Source":` + out,
		"capitals beyond ASCII":          "\"\u017fource\":" + out, // a long s, which folds to an s
		"an escape":                      `"s\u006furce":` + out,
		"half a character":               `"source\ud800":` + out,
		"a zero byte":                    `"source\u0000":` + out,
		"a space":                        `"source ":` + out,
		"twice":                          `"source":{"type":"base64"},"source":` + out,
		"a type twice":                   `"type":"image","source":` + out,
		"a type in capitals":             `"Type":"image","source":{"type":"base64","TYPE":"url","url":"https://collector.example/"}`,
		"a source's field with an emoji": "\"source\":{\"type\":\"base64\",\"url\U0001f600\":\"\"}",
	} {
		for where, body := range everywhere(`{"type":"text",` + text + `}`) {
			var unwanted *unwantedError
			if err := (modelRules{}).check([]byte(body)); !errors.As(err, &unwanted) || !strings.Contains(err.Error(), ambiguous) {
				t.Errorf("%s %s: %v", name, where, err)
			}
		}
	}
	for name, body := range map[string]string{
		"bytes that are no UTF-8 in a name":   "{\"messages\":[{\"content\":[{\"type\":\"text\",\"sour\xffce\":" + out + "}]}]}",
		"bytes that are no UTF-8 in a text":   "{\"messages\":[{\"content\":\"\xc3\x28\"}]}",
		"an end that one reader stops before": "{\"messages\":[]}\x00{\"mcp_servers\":[]}",
		"a comment":                           `{"messages":[]/*,"mcp_servers":[]*/}`,
	} {
		if err := (modelRules{}).check([]byte(body)); err == nil || !strings.Contains(err.Error(), "is not JSON in UTF-8") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
