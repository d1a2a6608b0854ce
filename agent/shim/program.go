package shim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// program is one that was started, and may have ended.
type program struct {
	pid    int
	output *output

	input chan *os.File // holds the one end of its input, for whoever writes; empty while somebody does
	taken int64         // bytes of input written; whoever holds input may touch it

	flow    *flow
	printed [2]*os.File    // its stdout and stderr, until they are read to their end
	pipes   sync.WaitGroup // readers of what it prints

	mu    sync.Mutex
	dead  bool // reaped: its number may be another's
	leave bool // what is left of its group when it ends goes on
	words string
	ended chan struct{} // closed when its Exit is in output
}

// begin starts the program. The caller holds the reaper's lock, so that it is not reaped before it is known.
func begin(dir string, p Program) (started *program, err error) {
	if len(p.Args) == 0 {
		return nil, errors.New("no program named")
	}
	env := merged(os.Environ(), p.Env)
	path, err := find(p.Args[0], env)
	if err != nil {
		return nil, err
	}
	out, err := newOutput(dir)
	if err != nil {
		return nil, err
	}
	made := &program{output: out, leave: p.Leaves, input: make(chan *os.File, 1), ended: make(chan struct{})}
	var theirs []int // ends of pipes that are the program's
	var ours [3]*os.File
	defer func() {
		for _, fd := range theirs {
			_ = syscall.Close(fd)
		}
		if err != nil {
			out.close()
			for _, file := range ours {
				_ = file.Close() // a nil one says so
			}
		}
	}()
	fds := [3]int{}
	for i := range fds {
		if i == 0 && !p.Input {
			if fds[0], err = syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err != nil {
				return nil, fmt.Errorf("open %s: %w", os.DevNull, err)
			}
			theirs = append(theirs, fds[0])
			continue
		}
		var ends [2]int
		if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
			return nil, fmt.Errorf("make a pipe: %w", err)
		}
		own, other := ends[0], ends[1]
		if i == 0 {
			own, other = other, own
		}
		theirs = append(theirs, other)
		fds[i] = other
		if err := syscall.SetNonblock(own, true); err != nil { // so that a deadline can end it
			_ = syscall.Close(own)
			return nil, fmt.Errorf("make a pipe: %w", err)
		}
		ours[i] = os.NewFile(uintptr(own), "pipe")
	}
	made.pid, err = syscall.ForkExec(path, p.Args, &syscall.ProcAttr{
		Dir: p.Dir, Env: env, Files: []uintptr{uintptr(fds[0]), uintptr(fds[1]), uintptr(fds[2])},
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return nil, startError(path, err)
	}
	made.input <- ours[0] // nil when it has none
	made.flow = newFlow(time.Now, out.add, func(err error) { made.giveUp(err.Error()) })
	made.printed = [2]*os.File{ours[1], ours[2]}
	made.pipes.Go(func() { made.keep(Stdout, ours[1]) })
	made.pipes.Go(func() { made.keep(Stderr, ours[2]) })
	return made, nil
}

// startError says what the kernel's word does not: a program that is there and "not found" lacks its loader.
func startError(path string, err error) error {
	switch _, there := os.Stat(path); {
	case errors.Is(err, syscall.ENOENT) && there == nil:
		return fmt.Errorf("start %s: it is there, but the program that loads it is not: it was built for another libc than is here", path)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("start %s: it is not a program for this kind of machine", path)
	}
	return fmt.Errorf("start %s: %w", path, err)
}

// keep reads one of the program's pipes to its end. What cannot be kept ends the program.
func (p *program) keep(kind Kind, pipe *os.File) {
	defer pipe.Close()
	piece := make([]byte, MaxFrame)
	for {
		n, err := pipe.Read(piece)
		if n > 0 {
			p.flow.put(kind, piece[:n])
			if p.flow.tooMuch() {
				p.giveUp(fmt.Sprintf("it printed more than %d MiB, and did not leave off", hardOutput>>20))
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// giveUp ends the program for a reason of the shim's.
func (p *program) giveUp(words string) {
	p.mu.Lock()
	if p.words == "" {
		p.words = words
	}
	p.mu.Unlock()
	p.signal(syscall.SIGKILL)
}

// signal reaches the program's whole group, as long as it lives.
func (p *program) signal(number syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave = false
	if !p.dead {
		_ = syscall.Kill(-p.pid, number) // a group that is gone already is as good
	}
}

// reaped is called once the program's leader is dead and before its number is free; release frees it.
func (p *program) reaped(release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.leave {
		_ = syscall.Kill(-p.pid, syscall.SIGKILL) // whatever is left of its group
	}
	p.dead = true
	release()
}

// finish waits for the rest of the output and records the end.
func (p *program) finish(status syscall.WaitStatus) {
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		p.pipes.Wait()
	}()
	timer := time.NewTimer(AfterExit)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C: // something outside its group holds a pipe
		for _, pipe := range p.printed {
			_ = pipe.SetReadDeadline(time.Unix(1, 0)) // ends the reads
		}
		<-drained
	}
	p.flow.close()
	exit := exitOf(status)
	p.mu.Lock()
	exit.Words = p.words
	p.mu.Unlock()
	if data, err := json.Marshal(exit); err == nil {
		// A disk that is full has room for the few bytes of an end as soon as anything else is removed; there is nobody to
		// tell but the reader, whose stream ends without one.
		_ = p.output.end(data)
	}
	close(p.ended)
}

func exitOf(status syscall.WaitStatus) Exit {
	exit := Exit{Code: status.ExitStatus()}
	if status.Signaled() {
		exit.Signal = int(status.Signal())
	}
	return exit
}

// write gives the program the bytes of its input that begin at an offset, and closes it after the last. What was given
// before is passed over. It waits until the program has taken them or ctx ends.
func (p *program) write(ctx context.Context, at int64, data []byte, end bool) (Taken, error) {
	var pipe *os.File
	select {
	case pipe = <-p.input:
	case <-ctx.Done():
		return Taken{}, ctx.Err()
	}
	defer func() { p.input <- pipe }()
	if pipe == nil {
		return Taken{Bytes: p.taken, Closed: true}, nil
	}
	if at > p.taken {
		return Taken{}, fmt.Errorf("its input is at byte %d, not %d", p.taken, at)
	}
	data = data[min(p.taken-at, int64(len(data))):]
	written := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-ctx.Done():
		case <-p.ended:
		case <-written:
			return
		}
		_ = pipe.SetWriteDeadline(time.Unix(1, 0)) // ends the write below
	}()
	n, err := pipe.Write(data)
	close(written)
	<-watched
	p.taken += int64(n)
	if err != nil && ctx.Err() != nil {
		_ = pipe.SetWriteDeadline(time.Time{})
		return Taken{Bytes: p.taken}, ctx.Err()
	}
	if err != nil || end { // a program that has closed its input, or has ended, takes no more
		_ = pipe.Close()
		pipe = nil
	}
	return Taken{Bytes: p.taken, Closed: pipe == nil}, nil
}

// close gives back what an ended program holds.
func (p *program) close() {
	if pipe := <-p.input; pipe != nil {
		_ = pipe.Close()
	}
	p.input <- nil
	p.output.close()
}

// readAll reads at most limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return data, err
}
