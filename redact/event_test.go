package redact_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sam/redact"
)

func TestASecretIsTakenOutOfEveryFieldOfAnEvent(t *testing.T) {
	const value = "hunter2hunter2"
	event := `{"seq":3,"at":"2026-11-23T10:00:00Z","kind":"tool_finished","text":"a hunter2hunter2","step":{"name":"agent","ms":1,"note":"hunter2hunter2"},` +
		`"tool":{"id":"hunter2hunter2","name":"Bash","title":"echo \"hunter2hunter2\"","output":"x\nhunter2hunter2\u003c","diff":"+hunter2hunter2"},` +
		`"plan":[{"text":"hunter2hunter2","status":"done"}],"ask":{"id":"q","options":["hunter2hunter2"]},"notice":{"code":"c","subject":"hunter2hunter2"},` +
		`"end":{"outcome":"done","headline":"hunter2hunter2","summary":"hunter2hunter2","reason":"hunter2hunter2"},` +
		`"raw":{"hunter2hunter2":{"a":["hunter2hunter2"]}},"of a newer release":"hunter2hunter2"}`
	got := one(value).Event([]byte(event), 1<<16)
	if bytes.Contains(got, []byte("hunter2")) || !json.Valid(got) {
		t.Errorf("it became %s", got)
	}
	want := strings.ReplaceAll(strings.ReplaceAll(event, value, "«TOKEN»"), `\u003c`, "<")
	if string(got) != want {
		t.Errorf("it became\n%s and not\n%s", got, want)
	}
}

func TestWhatTheProtocolReadsIsNeverTakenForASecret(t *testing.T) {
	event := `{"seq":12345678,"kind":"tool_finished","at":"2026-11-23T10:00:00Z","step":{"name":"workspace"},"tool":{"id":"t","location":"a"},` +
		`"end":{"outcome":"stoppedxyz","headline":"b"},"ask":{"id":"question"},"notice":{"code":"host_refused"},"usage":{"input":12345678}}`
	r := redact.New([]redact.Secret{
		{"A", "12345678"}, {"B", "finished"}, {"C", "workspace"}, {"D", "location"}, {"E", "headline"}, {"F", "question"},
		{"G", "2026-11-23T10:00:00Z"}, {"H", "host_refused"}, {"I", "stoppedxyz"},
	})
	if got := r.Event([]byte(event), 1<<16); string(got) != event {
		t.Errorf("it became %s", got)
	}
}

func TestANumberOfTheAgentsOwnLineMayBeASecret(t *testing.T) {
	got := one("12345678").Event([]byte(`{"kind":"said","raw":{"pin":12345678,"n":1234567,"list":[-12345678.5e3]},"cut":12345678}`), 1<<16)
	if string(got) != `{"kind":"said","raw":{"pin":"«TOKEN»","n":1234567,"list":["-«TOKEN».5e3"]},"cut":12345678}` {
		t.Errorf("it became %s", got)
	}
}

func TestAnEventDoesNotGrowBeyondItsLimit(t *testing.T) {
	r := redact.New([]redact.Secret{{strings.Repeat("N", 64), "12345678"}})
	event := []byte(`{"kind":"said","text":"` + strings.Repeat("12345678,", 100) + `"}`)
	if got := r.Event(event, 1<<16); len(got) <= len(event) || !bytes.Contains(got, []byte("NNN")) {
		t.Errorf("with room: %d bytes of %d", len(got), len(event))
	}
	got := r.Event(event, len(event)+10)
	if len(got) > len(event) || bytes.Contains(got, []byte("12345678")) || !bytes.Contains(got, []byte("«*»")) {
		t.Errorf("without room: %d bytes: %s", len(got), got)
	}
}

func FuzzEvent(f *testing.F) {
	r := redact.New([]redact.Secret{{"A", "abcdefgh"}, {"B", `"\\/1234`}, {"C", "12345678"}})
	f.Add(`{"kind":"said","text":"abcdefgh"}`)
	f.Add(`{"raw":[{"a":12345678,"\u0061bcdefgh":"\"\\\\/1234"}],"kind":"x"}`)
	f.Add(`[[[{}]],"\ud800abcdefgh"]`)
	f.Fuzz(func(t *testing.T, text string) {
		got := r.Event([]byte(text), 1<<20)
		if !json.Valid([]byte(text)) {
			return // it must only not panic
		}
		if !json.Valid(got) {
			t.Fatalf("%q became %q, which is no JSON", text, got)
		}
		if again := r.Event(got, 1<<20); !bytes.Equal(again, got) {
			t.Errorf("%q became %q and then %q", text, got, again)
		}
	})
}

// BenchmarkEvent is an event of 2 KB with 20 secrets to look for; the aim is under 20 µs.
func BenchmarkEvent(b *testing.B) {
	var secrets []redact.Secret
	for i := range 20 {
		secrets = append(secrets, redact.Secret{Name: fmt.Sprint("S", i), Value: fmt.Sprintf("%dsecret/of some+length%d", i*7919, i)})
	}
	r := redact.New(secrets)
	text := strings.Repeat("The quick brown fox jumps over the lazy dog;\n", 19)
	for name, words := range map[string]string{"none": "", "two found": secrets[3].Value + " " + secrets[19].Value} {
		event, err := json.Marshal(map[string]any{"kind": "said", "seq": 7, "text": text + words, "raw": map[string]any{"line": text}})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			for b.Loop() {
				r.Event(event, 64<<10)
			}
		})
	}
}
