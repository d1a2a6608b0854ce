package simulation

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1" // git names objects so
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"sam/agent/wire"
)

// object is one of git's, of a kind by its number in a pack: 1 commit, 2 tree, 3 blob.
type object struct {
	kind int
	body []byte
}

func (o object) id() [sha1.Size]byte {
	name := [...]string{1: "commit", 2: "tree", 3: "blob"}[o.kind]
	return sha1.Sum(append(fmt.Appendf(nil, "%s %d\x00", name, len(o.body)), o.body...))
}

// packOf is a pack of some objects.
func packOf(objects ...object) []byte {
	var b bytes.Buffer
	b.WriteString("PACK")
	_ = binary.Write(&b, binary.BigEndian, [2]uint32{2, uint32(len(objects))})
	for _, o := range objects {
		size := len(o.body)
		first := byte(o.kind<<4 | size&15)
		for size >>= 4; size > 0; size >>= 7 {
			b.WriteByte(first | 0x80)
			first = byte(size & 127)
		}
		b.WriteByte(first)
		z := zlib.NewWriter(&b)
		_, _ = z.Write(o.body)
		_ = z.Close()
	}
	sum := sha1.Sum(b.Bytes())
	b.Write(sum[:])
	return b.Bytes()
}

// commit is a commit on a parent, whose tree is one file with the message in it, and its pack.
func commit(parent, author, message string, at time.Time) (id string, pack []byte) {
	file := object{3, []byte(message + "\n")}
	name := file.id()
	tree := object{2, append([]byte("100644 work.txt\x00"), name[:]...)}
	who := fmt.Sprintf("%s %d +0000", author, at.Unix())
	c := object{1, fmt.Appendf(nil, "tree %x\nparent %s\nauthor %s\ncommitter %s\n\n%s\n", tree.id(), parent, who, who, message)}
	sum := c.id()
	return hex.EncodeToString(sum[:]), packOf(file, tree, c)
}

const noCommit = "0000000000000000000000000000000000000000"

// refused is the broker's answer that will be no other the next time.
type refused struct{ why string }

func (r refused) Error() string { return r.why }

// push commits the message on the task's branch and pushes it through the git broker. A try that failed is made again by
// the caller; the commit is the same when at is.
func (n *node) push(ctx context.Context, s wire.Start, token, message string, at time.Time) error {
	refs, err := n.git(ctx, s, token, http.MethodGet, "/info/refs?service=git-receive-pack", nil)
	if err != nil {
		return err
	}
	tips := map[string]string{}
	for line := range strings.SplitSeq(string(refs), "\n") {
		line, _, _ = strings.Cut(line, "\x00")
		if fields := strings.Fields(line); len(fields) == 2 && len(fields[0]) >= 40 {
			tips[fields[1]] = fields[0][len(fields[0])-40:]
		}
	}
	branch := "refs/heads/" + s.Branch
	before, parent := noCommit, tips["refs/heads/"+s.Base]
	if tip := tips[branch]; tip != "" {
		before, parent = tip, tip
	}
	if before != noCommit && n.tip(s.Ref, "") == before {
		return nil // an earlier try has landed
	}
	if parent == "" {
		return refused{"neither " + s.Branch + " nor " + s.Base + " is there"}
	}
	after, pack := commit(parent, fmt.Sprintf("%s <%s>", s.AuthorName, s.AuthorEmail), message, at)
	n.tip(s.Ref, after)
	command := fmt.Sprintf("%s %s %s\x00 report-status", before, after, branch)
	body := append(fmt.Appendf(nil, "%04x%s0000", len(command)+4, command), pack...)
	answer, err := n.git(ctx, s, token, http.MethodPost, "/git-receive-pack", body)
	if err != nil {
		return err
	}
	if !strings.Contains(string(answer), "ok "+branch) {
		return fmt.Errorf("push: %q", answer)
	}
	return nil
}

func (n *node) git(ctx context.Context, s wire.Start, token, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, addressOfGateway+wire.GitPath+s.Task+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+n.token)
	r.Header.Set(wire.TaskTokenHeader, token)
	if body != nil {
		r.Header.Set("Content-Type", "application/x-git-receive-pack-request")
	}
	res, err := n.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	switch {
	case res.StatusCode == http.StatusForbidden, res.StatusCode == http.StatusUnauthorized:
		return nil, refused{fmt.Sprintf("%s: %s", res.Status, answer)}
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s", res.Status, answer)
	}
	return answer, nil
}

// tip is what an attempt pushed last; a new one, when not empty, is noted.
func (n *node) tip(ref wire.Ref, pushed string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if pushed != "" {
		n.tips[ref] = pushed
	}
	return n.tips[ref]
}
