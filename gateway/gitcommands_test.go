package gateway

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

const (
	idA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// packets writes lines as packets; an empty one is a flush.
func packets(lines ...string) []byte {
	var b bytes.Buffer
	_ = pktline.NewEncoder(&b).EncodeString(lines...)
	return b.Bytes()
}

func TestACommandListIsReadUpToThePack(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{
		"one update":            {idA + " " + idB + " refs/heads/x\x00 report-status\n", ""},
		"without newlines":      {idA + " " + idB + " refs/heads/x\x00report-status", ""},
		"after shallow lines":   {"shallow " + idA + "\n", "shallow " + idB, idA + " " + idB + " refs/heads/x\x00report-status", ""},
		"with more, other refs": {idA + " " + idB + " refs/heads/x\x00report-status", idA + " " + zeroID + " refs/tags/v\n", ""},
		"the probe":             {""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := bytes.NewReader(append(packets(lines...), "PACK rest"...))
			list, err := readCommands(r, 10, 4096)
			if err != nil {
				t.Fatal(err)
			}
			if rest, _ := io.ReadAll(r); string(rest) != "PACK rest" {
				t.Errorf("the pack begins at %q", rest)
			}
			if len(list.commands) > 0 && (list.commands[0].Push != Push{"refs/heads/x", idA, idB} || !list.has("report-status")) {
				t.Errorf("read %+v", list)
			}
		})
	}
}

func TestACommandListThatTwoReadersCouldTakeDifferentlyIsRefused(t *testing.T) {
	t.Parallel()
	const good = idA + " " + idB + " refs/heads/x\x00report-status"
	for name, body := range map[string][]byte{
		"no end":                           packets(good),
		"a cut packet":                     []byte("00ff" + idA),
		"a length that is no number":       []byte("zzzz"),
		"a delimiter packet":               append(packets(good), "00010000"...),
		"a second list of capabilities":    packets(good, idA+" "+idB+" refs/heads/y\x00atomic", ""),
		"no capabilities":                  packets(idA+" "+idB+" refs/heads/x", ""),
		"a second NUL":                     packets(good+"\x00refs/heads/y", ""),
		"a newline within":                 packets(idA+" "+idB+" refs/heads/x\nrefs/heads/y\x00report-status", ""),
		"a space in the name":              packets(idA+" "+idB+" refs/heads/x y\x00report-status", ""),
		"a name that is not a ref":         packets(idA+" "+idB+" HEAD\x00report-status", ""),
		"bytes that are not UTF-8":         packets(idA+" "+idB+" refs/heads/\xff\x00report-status", ""),
		"a very long name":                 packets(idA+" "+idB+" refs/heads/"+strings.Repeat("x", 2000)+"\x00report-status", ""),
		"a short id":                       packets(idA[1:]+" "+idB+" refs/heads/x\x00report-status", ""),
		"an id in capitals":                packets(strings.ToUpper(idA)+" "+idB+" refs/heads/x\x00report-status", ""),
		"a shallow line after a command":   packets(good, "shallow "+idA, ""),
		"a shallow line and no command":    packets("shallow "+idA, ""),
		"a shallow line of something else": packets("shallow refs/heads/x", good, ""),
		"a certificate":                    packets("push-cert\x00report-status\n", "certificate version 0.1\n", ""),
		"a certificate's nonce":            packets(good+" push-cert=abc", ""),
		"SHA-256":                          packets(good+" object-format=sha256", ""),
		"an error line":                    packets("ERR no", ""),
		"too long":                         packets(append(repeat("shallow "+idA, 100), good, "")...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if list, err := readCommands(bytes.NewReader(body), 10, 4096); err == nil {
				t.Errorf("read %+v", list)
			}
		})
	}
}

func repeat(s string, n int) (all []string) {
	for range n {
		all = append(all, s)
	}
	return all
}

func TestAGrantWithoutABranchAdmitsNothing(t *testing.T) {
	t.Parallel()
	for _, branch := range []string{"", "refs/heads/", "main", "refs/tags/v1"} {
		list := commandList{commands: []gitCommand{{Push{"refs/tags/v1", idA, idB}}}}
		if branch != "" {
			list.commands[0].Ref = branch
		}
		if refuse(Grant{Branch: branch, Rewrite: true}, list) == nil {
			t.Errorf("%q is admitted", branch)
		}
	}
}

func TestWhatGoesUpstreamIsWrittenAnew(t *testing.T) {
	t.Parallel()
	client := commandList{
		shallow:      []string{idA},
		commands:     []gitCommand{{Push{samBranch, idA, idB}}},
		capabilities: []string{"report-status-v2", "atomic", "agent=git/2.39", "session-id=x", "something-new"},
	}
	want := packets("shallow "+idA+"\n", idA+" "+idB+" "+samBranch+"\x00 report-status side-band-64k object-format=sha1 agent=sam atomic\n", "")
	if got := upstreamCommands(client.shallow, client.commands[0], client); !bytes.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// FuzzReadCommands: whatever comes in, what would go upstream reads back as the very same single update, and the reader
// never takes a byte of the pack.
func FuzzReadCommands(f *testing.F) {
	f.Add(packets(idA+" "+idB+" "+samBranch+"\x00 report-status-v2 side-band-64k object-format=sha1 agent=git/2.39.5\n", ""))
	f.Add(packets(zeroID+" "+idB+" "+samBranch+"\x00report-status", idA+" "+idB+" refs/heads/main", ""))
	f.Add(packets("shallow "+idA+"\n", idA+" "+idB+" "+samBranch+"\x00report-status atomic quiet push-options", ""))
	f.Add(packets(idA+" "+zeroID+" refs/tags/v1\x00report-status delete-refs", ""))
	f.Add(packets("push-cert\x00report-status", "pusher a", "push-cert-end", ""))
	f.Add([]byte("0000"))
	f.Add([]byte("0004000100020003fff0"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := bytes.NewReader(body)
		list, err := readCommands(r, 4, 1024)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(body[:len(body)-r.Len()], pktline.FlushPkt) {
			t.Fatal("reading did not stop at the flush")
		}
		if len(list.commands) == 0 {
			return
		}
		grant := Grant{Branch: samBranch, Rewrite: true}
		if refusal := refuse(grant, list); refusal != nil {
			for _, c := range list.commands {
				if refusal(c) == "" {
					t.Fatalf("%+v is refused without a reason", c)
				}
			}
			return
		}
		out := upstreamCommands(list.shallow, list.commands[0], list)
		again, err := readCommands(bytes.NewReader(out), 1, 1<<20)
		if err != nil || len(again.commands) != 1 || again.commands[0] != list.commands[0] || again.commands[0].Ref != samBranch || again.commands[0].deletes() {
			t.Fatalf("%q reads back as %+v, %v", out, again, err)
		}
	})
}
