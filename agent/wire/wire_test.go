package wire_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sam/agent/wire"
)

var at = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// every is one frame of each type, with something in every body.
var every = []wire.Frame{
	{Type: wire.TypeHello, Hello: &wire.Hello{Protocols: []int{1}, Node: "local", Spools: []wire.Ref{{Task: "ta", Epoch: 2}}, Held: wire.Held{Mirrors: []int64{7}, Built: []int64{7}},
		Boot: &wire.Boot{Made: at, Began: at, Steps: []wire.BootStep{{Name: "disk", MS: 40, Note: "XFS"}, {Name: "swap", Error: "no mkswap"}}}}},
	{Type: wire.TypeWelcome, Welcome: &wire.Welcome{Protocol: 1, BeatSeconds: 10, Resume: []wire.Resume{{Ref: wire.Ref{Task: "ta", Epoch: 2}, After: 7}}}},
	{Type: wire.TypeEvents, Events: &wire.Events{Ref: wire.Ref{Task: "ta", Epoch: 2}, Items: []json.RawMessage{[]byte(`{"seq":8}`)}}},
	{Type: wire.TypeBeat, Beat: &wire.Beat{Running: []wire.Ref{{Task: "ta", Epoch: 2}}, Load1: 0.5, Disk: 1 << 40, Held: &wire.Held{Mirrors: []int64{}, Built: []int64{7}}}},
	{Type: wire.TypeDone, Done: &wire.Done{Command: "5-0"}},
	{Type: wire.TypeStart, Start: &wire.Start{Command: "5-0", Ref: wire.Ref{Task: "ta", Epoch: 2}, After: 7, Branch: "sam/issue-1"}},
	{Type: wire.TypeAnswer, Answer: &wire.Answer{Command: "7-0", Ref: wire.Ref{Task: "ta", Epoch: 2}, Ask: "toolu_1", Text: "green"}},
	{Type: wire.TypeStop, Stop: &wire.Stop{Command: "6-0", Ref: wire.Ref{Task: "ta", Epoch: 2}, Reason: "asked to"}},
	{Type: wire.TypeNotice, Notice: &wire.Notice{Ref: wire.Ref{Task: "ta", Epoch: 2}, Refused: wire.Refused{Code: "token_refused", Subject: "elsewhere", Text: "no"}}},
	{Type: wire.TypeCredential, Credential: &wire.Credential{Value: "m-1~9.mac", Seconds: 3600}},
	{Type: wire.TypeAck, Ack: &wire.Ack{Ref: wire.Ref{Task: "ta", Epoch: 2}, Seq: 8}},
	{Type: wire.TypeDrop, Drop: &wire.Drop{Ref: wire.Ref{Task: "ta", Epoch: 2}, Reason: "final"}},
}

func TestEveryFrameArrivesAsItWasSent(t *testing.T) {
	for _, want := range every {
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := wire.Decode(data)
		if err != nil {
			t.Errorf("%s: %v", want.Type, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s arrives as %s", want.Type, data)
		}
	}
	if bodies := reflect.TypeFor[wire.Frame]().NumField() - 1; bodies != len(every) {
		t.Errorf("%d bodies and %d types: Decode and this test know too few", bodies, len(every))
	}
}

func TestNodesAndGatewaysOfOlderReleasesUnderstandEachOther(t *testing.T) {
	hello, err := wire.Decode([]byte(`{"type":"hello","hello":{"protocols":[3],"node":"local","slots":2,"mirrors":[7],"spools":[],"later":{"a":1}}}`))
	if err != nil || !slices.Equal(hello.Hello.Mirrors, []int64{7}) || hello.Hello.Built != nil || hello.Hello.Boot != nil {
		t.Errorf("a hello is %+v, %v", hello.Hello, err)
	}
	beat, err := wire.Decode([]byte(`{"type":"beat","beat":{"running":[],"load1":0.5,"mem_free":1,"disk_free":2,"later":[1]}}`))
	if b := beat.Beat; err != nil || b.Held != nil || b.Disk != 0 || b.Memory != 0 || b.DiskFree != 2 {
		t.Errorf("a beat is %+v, %v", b, err)
	}
	data, err := json.Marshal(every[0]) // as an older gateway looks for it
	if err != nil || !strings.Contains(string(data), `"mirrors":[7]`) {
		t.Errorf("a hello is sent as %s, %v", data, err)
	}
}

func TestDecodeWantsTheOneBodyThatTheTypeNames(t *testing.T) {
	for name, c := range map[string]struct{ json, why string }{
		"empty":                   {``, "unexpected end of JSON input"},
		"not an object":           {`[1]`, "cannot unmarshal array"},
		"cut off":                 {`{"type":"ack","ack":{"task":"t`, "unexpected end of JSON input"},
		"a body of another shape": {`{"type":"ack","ack":"yes"}`, "cannot unmarshal string"},
		"no type":                 {`{}`, `type ""`},
		"null":                    {`null`, `type ""`},
		"a type of a later node":  {`{"type":"shell","shell":{}}`, `type "shell"`},
		"without its body":        {`{"type":"ack"}`, "ack without its body"},
		"with null for a body":    {`{"type":"ack","ack":null}`, "ack without its body"},
		"with another's body":     {`{"type":"ack","stop":{"reason":"x"}}`, "ack with a body of stop"},
		"with its and another's":  {`{"type":"ack","ack":{"seq":1},"drop":{}}`, "ack with a body of drop"},
		"with its own, whatever else of a later version": {`{"type":"ack","ack":{"seq":1},"later":{}}`, ""},
	} {
		_, err := wire.Decode([]byte(c.json))
		switch {
		case c.why == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.why != "" && (!errors.Is(err, wire.ErrFrame) || !strings.Contains(err.Error(), c.why)):
			t.Errorf("%s: %v, want an ErrFrame that says %q", name, err, c.why)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, frame := range every {
		data, err := json.Marshal(frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"type":"ack","ack":{},"beat":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := wire.Decode(data)
		if err != nil {
			if !errors.Is(err, wire.ErrFrame) {
				t.Fatalf("%v is no ErrFrame", err)
			}
			return
		}
		again, err := json.Marshal(frame)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		if same, err := wire.Decode(again); err != nil || same.Type != frame.Type {
			t.Fatalf("%s was decoded once, but not again: %v", again, err)
		}
	})
}

func TestTheNewestCommonProtocolIsChosen(t *testing.T) {
	for name, c := range map[string]struct {
		theirs []int
		want   int // 0: none
	}{
		"the same":              {[]int{wire.Version}, wire.Version},
		"in any order":          {[]int{wire.Oldest, wire.Version}, wire.Version},
		"a newer node":          {[]int{wire.Version + 1, wire.Version}, wire.Version},
		"the oldest":            {[]int{wire.Oldest}, wire.Oldest},
		"a node too new":        {[]int{wire.Version + 1}, 0},
		"a node too old":        {[]int{wire.Oldest - 1}, 0},
		"a node that says none": {nil, 0},
	} {
		got, err := wire.Choose(c.theirs)
		if got != c.want || (err == nil) != (c.want != 0) {
			t.Errorf("%s: %d, %v; want %d", name, got, err, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), "install the same release on both") {
			t.Errorf("%s: %v does not say what to do", name, err)
		}
	}
}
