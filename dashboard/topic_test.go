package dashboard

import (
	"strings"
	"testing"
)

func TestAVectorIsReadAsItWasWritten(t *testing.T) {
	topics, err := parseTopics("task:tabc,conv:7,task:tabc")
	if err != nil || len(topics) != 2 {
		t.Fatalf("topics %v, %v", topics, err)
	}
	written := vector{topics[0]: {12, 0}, topics[1]: {1_763_892_000_000, 3}}.format(topics)
	if written != "task:tabc=12-0,conv:7=1763892000000-3" {
		t.Errorf("written %q", written)
	}
	read, err := parseVector(written)
	if err != nil || read.format(topics) != written {
		t.Errorf("read %v, %v", read, err)
	}
	if empty, err := parseVector(""); err != nil || empty.format(topics) != "task:tabc=0-0,conv:7=0-0" {
		t.Errorf("an empty vector is %v, %v", empty, err)
	}
}

func TestWhatIsNoVectorIsRefused(t *testing.T) {
	for _, s := range []string{"x", "task:tabc", "task:tabc=", "task:tabc=-1-0", "task:tabc=1-x", "task:=1-0", "node:1=1-0", "conv:7=1-0,",
		"conv:7=99999999999999999999999-0", "task:a b=1-0", strings.Repeat("conv:7=1-0,", maxTopics) + "x=1"} {
		if v, err := parseVector(s); err == nil {
			t.Errorf("%q was read as %v", s, v)
		}
	}
}

func TestPositionsCompareAsRedisComparesThem(t *testing.T) {
	inOrder := []position{{}, {0, 1}, {1, 0}, {1, 9}, {1, 10}, {2, 0}, {10, 0}}
	for i, p := range inOrder {
		for j, q := range inOrder {
			if got := p.compare(q); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%v compared with %v: %d", p, q, got)
			}
		}
	}
}

func FuzzParseVector(f *testing.F) {
	f.Add("task:tabc=12-0,conv:7=1763892000000-3")
	f.Add("conv:-1=0-0")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseVector(s)
		if err != nil {
			return
		}
		var topics []topic
		for one := range v {
			topics = append(topics, one)
		}
		written := v.format(topics)
		again, err := parseVector(written)
		if err != nil || again.format(topics) != written {
			t.Errorf("%q was read as %q, and that as %v, %v", s, written, again, err)
		}
	})
}
