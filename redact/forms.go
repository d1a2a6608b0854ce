package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
)

// longLine is how long a line of a value of several must be to be looked for by itself, bytes: keys are printed line by line, and
// short lines are no secret.
const longLine = 16

// forms are the texts in which a value may appear, some of them twice.
func forms(value, name string) []form {
	texts := encoded(value)
	if strings.ContainsAny(value, "\r\n") {
		if trimmed := strings.TrimSpace(value); trimmed != value {
			texts = append(texts, encoded(trimmed)...)
		}
		for line := range strings.SplitSeq(strings.ReplaceAll(value, "\r", "\n"), "\n") {
			if line = strings.TrimSpace(line); len(line) >= longLine && !strings.HasPrefix(line, "-----") {
				texts = append(texts, encoded(line)...)
			}
		}
	}
	all := make([]form, len(texts))
	for i, text := range texts {
		all[i] = form{[]byte(text), name}
	}
	return all
}

func encoded(value string) []string {
	all := []string{value, hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value)))}
	for _, html := range []bool{false, true} {
		once := escaped(value, html)
		all = append(all, once, escaped(once, false))
	}
	for _, percent := range []string{url.QueryEscape(value), url.PathEscape(value), component(value), strictly(value)} {
		all = append(all, percent, lowerPercent(percent))
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			all = append(all, aligned(encoding, value, shift))
		}
	}
	return all
}

// escaped is the text as within a JSON string, with < > & escaped or not.
func escaped(text string, html bool) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(html)
	if encoder.Encode(text) != nil {
		return text
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(out.String(), "\n"), `"`), `"`)
}

// aligned is what is sure of a value's base64 when shift bytes more than a multiple of three stand before it, whatever they are
// and whatever follows.
func aligned(encoding *base64.Encoding, value string, shift int) string {
	text := encoding.EncodeToString(append(make([]byte, shift), value...))
	first := (shift*8 + 5) / 6 // characters that hold a bit of what is before
	last := (shift + len(value)) * 8 / 6
	return text[first:last]
}

const upperHex = "0123456789ABCDEF"

// component is JavaScript's encodeURIComponent; strictly escapes whatever RFC 3986 does not leave unreserved.
func component(value string) string { return percent(value, "-_.!~*'()") }
func strictly(value string) string  { return percent(value, "-_.~") }

func percent(value, plain string) string {
	var out strings.Builder
	for i := range len(value) {
		c := value[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(plain, c) >= 0 {
			out.WriteByte(c)
			continue
		}
		out.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
	}
	return out.String()
}

// lowerPercent writes the hexadecimal of percent signs in small letters.
func lowerPercent(text string) string {
	out := []byte(text)
	for i := 0; i+2 < len(out); i++ {
		if out[i] == '%' {
			copy(out[i+1:], strings.ToLower(string(out[i+1:i+3])))
		}
	}
	return string(out)
}
