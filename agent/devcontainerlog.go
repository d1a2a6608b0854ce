package agent

import (
	"fmt"
	"os"
	"path/filepath"
)

// maxEnvironmentLog bounds what is kept of what a build and lifecycle commands print, in bytes.
const maxEnvironmentLog = 4 << 20

// environmentLog keeps what making a thread's newest environment printed, in a file of the node's, and its end for a
// notice, and passes all on to who watches. What is beyond its limit is not in the file; the end is always the end.
type environmentLog struct {
	path  string
	file  *os.File
	left  int
	end   tail
	watch *environmentProgress
}

// environmentLogOf is where a node in dir keeps it. It goes with the thread's workspace.
func environmentLogOf(dir, thread string) string {
	return filepath.Join(dir, "environments", thread+".log")
}

func openEnvironmentLog(dir, thread string, watch *environmentProgress) (*environmentLog, error) {
	path := environmentLogOf(dir, thread)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of environments' logs: %w", err)
	}
	l := &environmentLog{path: path, left: maxEnvironmentLog, end: tail{max: 16 << 10}, watch: watch}
	var err error
	if l.file, err = os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		return nil, fmt.Errorf("keep the log of an environment: %w", err)
	}
	return l, nil
}

// Write never fails: a log that cannot be kept is no reason to end what it is of.
func (l *environmentLog) Write(p []byte) (int, error) {
	_, _ = l.end.Write(p)
	_, _ = l.watch.Write(p)
	if l.left > 0 {
		head := p[:min(len(p), l.left)]
		l.left -= len(head)
		_, _ = l.file.Write(head)
		if l.left == 0 {
			_, _ = fmt.Fprintf(l.file, "\n(more was printed, and is not kept)\n")
		}
	}
	return len(p), nil
}

// begin starts the part of a log whose end is worth telling, of what is done from now on.
func (l *environmentLog) begin(what string) {
	l.watch.begin(what)
	l.end.kept = nil
	if l.left > 0 {
		_, _ = fmt.Fprintf(l.file, "== %s\n", what)
	}
}

func (l *environmentLog) lastLines(n int) string {
	return keepEnd(printableLines(l.end.lastLines(n)), 8<<10)
}
func (l *environmentLog) name() string { return filepath.Join("environments", filepath.Base(l.path)) }
func (l *environmentLog) close()       { _ = l.file.Close() }
