package gateway

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// A transport may go on reading a body after upstream has answered.
func TestWhatIsSentOnceMoreIsWholeWhileTheFirstSendingIsStillRead(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a pack of some size\n", 1000)
	held, err := spoolPack(t.TempDir(), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	asked, err := resendable(newUpload(io.NopCloser(strings.NewReader(text)), 1<<20), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	for name, sending := range map[string]func() io.Reader{"a pack": func() io.Reader { return held.reader() }, "a request to fetch": asked.reader} {
		first := sending()
		if err := iotest.TestReader(io.LimitReader(first, 5000), []byte(text[:5000])); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := iotest.TestReader(sending(), []byte(text)); err != nil {
			t.Errorf("%s, sent once more: %v", name, err)
		}
		if rest, err := io.ReadAll(first); err != nil || string(rest) != text[5000:] {
			t.Errorf("%s, the first sending: %d bytes more, %v", name, len(rest), err)
		}
	}
	if !held.again() || !asked.again() {
		t.Error("what is held whole can be sent once more")
	}
}
