package hostile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"sam/sandbox/hostile/orders"
)

// events are as Redis has them.
func events(t *testing.T, lines ...string) []event {
	t.Helper()
	var all []event
	for _, line := range lines {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func TestAPageTellsByNoticesStepsAndEndsThatNameWhatWasRefusedAndNotByAnAgentsWords(t *testing.T) {
	r := &record{events: events(t,
		`{"kind":"said","text":"push_refused refs/heads/main"}`,
		`{"kind":"noticed","text":"Of refs/heads/victim too.","notice":{"code":"push_refused","subject":"refs/tags/v666"}}`,
		`{"kind":"stepped","step":{"name":"workspace","note":"kept on the node"}}`,
		`{"kind":"finished","end":{"outcome":"gaveup","reason":"The workspace took 300 MiB of the node's disk."}}`)}
	for _, row := range []struct {
		of   telling
		want bool
	}{
		{noticed("push_refused", "refs/tags/v666"), true},
		{noticed("push_refused", ""), true},
		{noticed("push_refused", "refs/heads/main"), false},
		{noticed("push_refused", "refs/heads/victim"), false}, // by name is in the subject
		{noticed("host_refused", ""), false},
		{telling{code: "workspace", names: "kept on the node"}, true},
		{telling{code: "environment", names: ""}, false},
		{telling{code: "finished", names: "of the node's disk"}, true},
		{telling{code: "finished", names: "was closed"}, false},
		{unheard("nothing was asked for"), false},
	} {
		if got := r.tells(row.of); got != row.want {
			t.Errorf("%+v: %t", row.of, got)
		}
	}
}

func TestAnAttemptThatIsHeldAndNotToldFailsTheRunUnlessThereIsNobodyToTell(t *testing.T) {
	task := taskThatSaid(orders.Report{Attempt: "push-main", Ran: true})
	refused := func(context.Context, *scene, said) (Verdict, string) { return Refused, "" }
	for _, row := range []struct {
		told telling
		held bool
	}{{noticed("push_refused", "refs/heads/main"), false}, {unheard(unasked), true}} {
		report := &Report{}
		report.add(attempt{name: "push-main", told: row.told, judge: refused}.judged(t.Context(), &scene{task: task}))
		if report.Held() != row.held || report.Refused != 1 || slices.Contains(report.Untold(), "push-main") == row.held {
			t.Errorf("%+v: held is %t", row.told, report.Held())
		}
		var lines strings.Builder
		report.Print(&lines)
		if strings.Contains(lines.String(), "UNTOLD") == row.held {
			t.Errorf("it prints %s", lines.String())
		}
	}
}

func TestEveryAttemptHasSomethingToTellOrAReasonNotTo(t *testing.T) {
	w := &world{targets: map[string]string{"port-gateway": "127.0.0.1:1"}}
	all := slices.Concat(w.attempts(nil), w.baits(), w.composes())
	for name, g := range w.greedy() {
		all = append(all, attempt{name: name, told: g.told})
	}
	for _, a := range all {
		if (a.told.code == "") == (a.told.nobody == "") {
			t.Errorf("%s is told by %+v", a.name, a.told)
		}
	}
}

// frames are a server's, each a text of a length of its own.
func frames(texts ...string) []byte {
	var all bytes.Buffer
	for _, text := range texts {
		all.WriteByte(0x81)
		switch n := len(text); {
		case n < 126:
			all.WriteByte(byte(n))
		case n < 1<<16:
			all.Write([]byte{126, byte(n >> 8), byte(n)})
		default:
			all.Write([]byte{127, 0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		}
		all.WriteString(text)
	}
	return all.Bytes()
}

func TestOnlyAStartInThePoisonedRepositoryIsMarkedAndAllElsePassesAsItIs(t *testing.T) {
	start := func(repository, rest string) string {
		return `{"type":"start","start":{"task":"t1","full_name":"` + owner + "/" + repository + `"` + rest + `}}`
	}
	long := func(n int) string { return `,"prompt":"` + strings.Repeat("x", n) + `"` }
	texts := []string{`{"type":"ack"}`, start(repository, ""), start(composed, ""), start(composed, long(1000)), start(composed, long(70_000)), ""}
	marked := slices.Clone(texts)
	for _, i := range []int{2, 3, 4} {
		marked[i] = strings.Replace(marked[i], `"start":{`, `"start":{"untrusted":true,`, 1)
	}
	for _, on := range []bool{false, true} {
		d := &doubt{}
		d.on.Store(on)
		server, client := net.Pipe()
		c := &doubted{ReadWriteCloser: client, from: bufio.NewReader(client), doubt: d}
		sent := make(chan error, 1)
		go func() {
			_, err := server.Write(frames(texts...))
			sent <- err
			_ = server.Close()
		}()
		got, err := io.ReadAll(c)
		if wrote := <-sent; wrote != nil || err != nil {
			t.Fatal(wrote, err)
		}
		want := frames(texts...)
		if on {
			want = frames(marked...)
		}
		if !bytes.Equal(got, want) || d.marked.Load() != map[bool]int64{false: 0, true: 3}[on] {
			t.Errorf("on is %t: %d bytes came, %d were marked", on, len(got), d.marked.Load())
		}
		_ = client.Close()
	}
}
