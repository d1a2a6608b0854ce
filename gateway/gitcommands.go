package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

// gitCommand is one line of a push: make Ref, which was Old, be New. Ids are forty hex digits.
type gitCommand struct {
	Push
}

func (c gitCommand) deletes() bool { return c.New == plumbing.ZeroHash.String() }
func (c gitCommand) creates() bool { return c.Old == plumbing.ZeroHash.String() }

// commandList is what stands before the pack in a push. An empty one is git's probe: before it sends a large body in
// chunks it posts a lone flush to see whether it is let in.
type commandList struct {
	commands     []gitCommand
	shallow      []string // commits that the client has without their parents
	capabilities []string
}

func (l commandList) has(capability string) bool {
	for _, c := range l.capabilities {
		if c == capability {
			return true
		}
	}
	return false
}

var (
	errTooManyCommands = errors.New("too many ref updates in one push")
	errSignedPush      = errors.New("signed pushes are not passed on; push with --no-signed")
	errObjectFormat    = errors.New("only SHA-1 repositories are served")
)

// readCommands reads from r exactly the command list, so that the pack is what r has next. It is strict where git is
// lenient, because what is sent upstream is written anew from what was understood here: a line that two readers could
// take differently never gets through. Errors are errTooManyCommands, errSignedPush, errObjectFormat,
// io.ErrUnexpectedEOF, or say what was malformed.
func readCommands(r io.Reader, maxCommands int, maxBytes int64) (commandList, error) {
	var list commandList
	limited := &io.LimitedReader{R: r, N: maxBytes}
	s := pktline.NewScanner(limited)
	for s.Scan() {
		line := s.Bytes()
		if len(line) == 0 {
			if len(list.commands) == 0 && len(list.shallow) > 0 {
				return commandList{}, errors.New("shallow lines without a ref update")
			}
			return list, nil
		}
		if err := list.add(line, maxCommands); err != nil {
			return commandList{}, err
		}
	}
	if limited.N == 0 {
		return commandList{}, fmt.Errorf("the command list is longer than %d bytes", maxBytes)
	}
	if err := s.Err(); err != nil {
		return commandList{}, fmt.Errorf("read command list: %w", err)
	}
	return commandList{}, fmt.Errorf("read command list: %w", io.ErrUnexpectedEOF)
}

func (l *commandList) add(line []byte, maxCommands int) error {
	line = bytes.TrimSuffix(line, []byte("\n"))
	if id, ok := bytes.CutPrefix(line, []byte("shallow ")); ok {
		if len(l.commands) > 0 || !isSHA1(string(id)) {
			return errors.New("malformed shallow line")
		}
		l.shallow = append(l.shallow, string(id))
		return nil
	}
	command, capabilities, hasCapabilities := strings.Cut(string(line), "\x00")
	if strings.HasPrefix(command, "push-cert") {
		return errSignedPush
	}
	if hasCapabilities != (len(l.commands) == 0) {
		return errors.New("capabilities must stand on the first ref update and only there")
	}
	if hasCapabilities {
		if strings.ContainsAny(capabilities, "\x00\n") {
			return errors.New("malformed capabilities")
		}
		l.capabilities = strings.Fields(capabilities)
		for _, c := range l.capabilities {
			if format, ok := strings.CutPrefix(c, "object-format="); ok && format != "sha1" {
				return errObjectFormat
			}
			if strings.HasPrefix(c, "push-cert") {
				return errSignedPush
			}
		}
	}
	if len(l.commands) == maxCommands {
		return errTooManyCommands
	}
	parts := strings.SplitN(command, " ", 3)
	if len(parts) != 3 || !isSHA1(parts[0]) || !isSHA1(parts[1]) || !isRefName(parts[2]) {
		return errors.New("malformed ref update")
	}
	l.commands = append(l.commands, gitCommand{Push{Old: parts[0], New: parts[1], Ref: parts[2]}})
	return nil
}

// isSHA1 wants lower case, as git writes it.
func isSHA1(id string) bool {
	return len(id) == 40 && plumbing.IsHash(id) && id == strings.ToLower(id)
}

// isRefName admits what can be repeated in a report, whose lines are packets, and a log. Whether the ref may be pushed
// is decided by comparing it with the grant.
func isRefName(ref string) bool {
	return len(ref) <= 1024 && strings.HasPrefix(ref, "refs/") && !strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\uFFFD' })
}

// upstreamCommands is the command list that goes upstream: one update, and only capabilities that the broker
// understands. It always asks for a report in the plain form, whatever the client asked for, and for the side band that
// carries progress.
func upstreamCommands(shallow []string, c gitCommand, client commandList) []byte {
	capabilities := "report-status side-band-64k object-format=sha1 agent=sam"
	for _, optional := range []string{"quiet", "atomic"} {
		if client.has(optional) {
			capabilities += " " + optional
		}
	}
	var out bytes.Buffer
	e := pktline.NewEncoder(&out)
	for _, id := range shallow {
		_ = e.Encodef("shallow %s\n", id) // a Buffer does not fail, and every line is far below a packet's size
	}
	_ = e.Encodef("%s %s %s\x00 %s\n", c.Old, c.New, c.Ref, capabilities)
	_ = e.Flush()
	return out.Bytes()
}
