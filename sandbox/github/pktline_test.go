package github

import "testing"

func TestARefusalIsExplainedInTheReport(t *testing.T) {
	reasons := map[string]string{"refs/heads/main": "protected branch hook declined"}
	report := string(writePackets([]string{"unpack ok\n", "ng refs/heads/main hook declined\n", "ok refs/heads/x\n"}))
	want := string(writePackets([]string{"unpack ok\n", "ng refs/heads/main protected branch hook declined\n", "ok refs/heads/x\n"}))
	if got := string(explain([]byte(report), reasons)); got != want {
		t.Errorf("plain: %q", got)
	}
	// In the side band the report may be cut anywhere.
	banded := writePackets([]string{"\x02error: GH006\n", "\x01" + report[:30], "\x01" + report[30:]})
	if got, want := string(explain(banded, reasons)), string(writePackets([]string{"\x02error: GH006\n", "\x01" + want})); got != want {
		t.Errorf("banded: %q", got)
	}
}

func FuzzExplainLeavesAloneWhatIsNoReport(f *testing.F) {
	f.Add([]byte("0000"))
	f.Add([]byte("0006\x010000"))
	f.Add(writePackets([]string{"\x01" + string(writePackets([]string{"ng a b\n"}))}))
	f.Fuzz(func(t *testing.T, answer []byte) {
		out := explain(answer, map[string]string{"a": "because"})
		if _, ok := readPackets(answer); !ok && string(out) != string(answer) {
			t.Errorf("%q became %q", answer, out)
		}
		if _, ok := readPackets(out); !ok && string(out) != string(answer) {
			t.Errorf("%q became unreadable: %q", answer, out)
		}
	})
}
