package gateway

import (
	"bytes"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

func TestProgressPassesAndTheReportIsHeldBack(t *testing.T) {
	t.Parallel()
	report := string(packets("unpack ok\n", "ok "+samBranch+"\n", ""))
	long := strings.Repeat("p", pktline.MaxPayloadSize-1)
	upstream := packets("\x02"+long, "\x01"+report[:10], "\x01", "\x01"+report[10:], "\x02done\n", "")
	for name, early := range map[string]bool{"once the pack is read": false, "while the pack is being read": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			packRead := make(chan struct{})
			if !early {
				close(packRead)
			}
			w := httptest.NewRecorder()
			to := newReply(w, commandList{capabilities: []string{"side-band-64k"}}, packRead)
			rs, err := relay(bytes.NewReader(upstream), to)
			if err != nil || rs.Error() != nil || len(rs.CommandStatuses) != 1 {
				t.Fatalf("%+v, %v", rs, err)
			}
			if early {
				if w.Body.Len() > 0 {
					t.Error("the answer began before the pack was read")
				}
				close(packRead)
			}
			if strings.Contains(w.Body.String(), "unpack") {
				t.Error("the report passed")
			}
			to.report(statusOK, []gitCommand{{Push{Ref: samBranch}}}, func(gitCommand) string { return "line one\nline two" })
			want := string(packets("\x02"+long, "\x01", "\x02done\n", "\x01"+string(packets("unpack ok\n", "ng "+samBranch+" line one line two\n", "")), ""))
			if got := w.Body.String(); got != want && !early || !strings.HasSuffix(got, want[len(want)-60:]) {
				t.Errorf("%q", got[max(0, len(got)-200):])
			}
		})
	}
}

func TestAnAnswerThatSettlesNothingIsAnError(t *testing.T) {
	t.Parallel()
	for name, upstream := range map[string][]byte{
		"nothing":            nil,
		"a flush":            packets(""),
		"a fatal error":      packets("\x03out of disk", ""),
		"a cut report":       packets("\x01"+string(packets("unpack ok\n")), ""),
		"an unknown band":    packets("\x07x", ""),
		"a cut packet":       []byte("00ff\x01"),
		"no side band":       packets("unpack ok\n", "ok "+samBranch+"\n", ""),
		"an endless report":  packets(repeat("\x01"+strings.Repeat("x", 60000), 3)...),
		"a malformed report": packets("\x01"+string(packets("unpack ok\n", "maybe "+samBranch+"\n", "")), ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if rs, err := relay(bytes.NewReader(upstream), newReply(httptest.NewRecorder(), commandList{}, nil)); err == nil {
				t.Errorf("%+v", rs)
			}
		})
	}
}

func TestARefIsAbsentOnlyWhenTheAdvertisementIsWhole(t *testing.T) {
	t.Parallel()
	const announce = "# service=git-receive-pack\n"
	for name, c := range map[string]struct {
		advertisement []byte
		want          string
		err           bool
	}{
		"first, with capabilities":   {packets(announce, "", idA+" "+samBranch+"\x00report-status", idB+" refs/heads/z", ""), idA, false},
		"later":                      {packets(announce, "", idB+" refs/heads/a\x00report-status", idA+" "+samBranch+"\n", ""), idA, false},
		"absent":                     {packets(announce, "", idB+" refs/heads/a\x00report-status", idB+" "+samBranch+"0", ""), zeroID, false},
		"an empty repository":        {packets(announce, "", zeroID+" capabilities^{}\x00report-status", ""), zeroID, false},
		"cut before the end":         {packets(announce, "", idB+" refs/heads/a\x00report-status"), "", true},
		"cut within a packet":        {packets(announce, "", idB+" refs/heads/a\x00report-status", "")[:60], "", true},
		"an error":                   {packets("ERR access denied", ""), "", true},
		"ids of another object hash": {packets(announce, "", idA+idA[:24]+" "+samBranch+"\x00report-status", ""), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := findRef(bytes.NewReader(c.advertisement), samBranch)
			if got != c.want || (err != nil) != c.err {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestAnUploadEndsAtItsLimitOrWhenStopped(t *testing.T) {
	t.Parallel()
	exact := newUpload(strings.NewReader("12345"), 5)
	if b, err := io.ReadAll(exact); string(b) != "12345" || err != nil || !errors.Is(exact.stop(), io.EOF) {
		t.Errorf("%q, %v", b, err)
	}
	over := newUpload(strings.NewReader("123456"), 5)
	if b, err := io.ReadAll(over); string(b) != "12345" || !errors.Is(err, errUploadTooLarge) || !errors.Is(over.stop(), errUploadTooLarge) {
		t.Errorf("%q, %v", b, err)
	}
	stopped := newUpload(strings.NewReader("123456"), 5)
	if stopped.stop() != nil {
		t.Error("it had not ended")
	}
	if _, err := stopped.Read(make([]byte, 1)); !errors.Is(err, errUploadStopped) {
		t.Errorf("%v", err)
	}
}
