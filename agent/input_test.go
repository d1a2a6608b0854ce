package agent

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestEachLineReachesAnAgentThatReadsLate(t *testing.T) {
	t.Parallel()
	in := newAgentInput([]byte("prompt"), func(err error) { t.Error(err) })
	defer in.close()
	const lines = 1000 // many more than an agent asks for at once
	for i := range lines {
		in.send(fmt.Appendf(nil, "answer %d", i))
	}
	in.end()
	in.send([]byte("too late"))
	reader := bufio.NewScanner(in.reader)
	for i := -1; i < lines; i++ {
		want := fmt.Sprintf("answer %d", i)
		if i < 0 {
			want = "prompt"
		}
		if !reader.Scan() || reader.Text() != want {
			t.Fatalf("line %d is %q", i, reader.Text())
		}
	}
	if rest, err := io.ReadAll(in.reader); err != nil || len(rest) > 0 {
		t.Errorf("after the last comes %q, %v", rest, err)
	}
}

func TestAnAgentThatReadsNothingIsToldOnceAndTakesBoundedMemory(t *testing.T) {
	t.Parallel()
	var told []error
	in := newAgentInput([]byte("prompt"), func(err error) { told = append(told, err) })
	defer in.close()
	line := bytes.Repeat([]byte("x"), 1<<20)
	for range 100 {
		in.send(line)
	}
	if len(told) != 1 || !errors.Is(told[0], errDeafAgent) {
		t.Errorf("told is %v", told)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.bytes > maxInput {
		t.Errorf("%d bytes wait", in.bytes)
	}
}
