package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// reach lets a machine reach listeners of the host's loopback under their own
// addresses, through its own loopback. What it opens there comes to the host from
// the machine's public address, which is one of the host's loopback too: so a
// server that looks at where a call comes from sees what it would see at Hetzner.
type reach struct {
	listeners []net.Listener
	going     sync.WaitGroup
	end       context.CancelFunc
}

// open begins to listen in the network namespace of a process. from is the address
// that calls come from; nil: the host's own.
func open(ctx context.Context, pid int, addresses []string, from net.IP) (*reach, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it is there until it is closed
	r := &reach{end: cancel}
	for _, address := range addresses {
		l, err := listenIn(ctx, pid, address)
		if err != nil {
			r.close()
			return nil, fmt.Errorf("listen on %s in the machine: %w", address, err)
		}
		r.listeners = append(r.listeners, l)
		r.going.Go(func() { r.accept(ctx, l, address, from) })
	}
	return r, nil
}

// listenIn listens in another network namespace. A socket stays in the one in which
// it was made, so only the thread that makes it has to go there.
func listenIn(ctx context.Context, pid int, address string) (l net.Listener, err error) {
	err = inNetworkOf(pid, func() error {
		var listen net.ListenConfig
		l, err = listen.Listen(ctx, "tcp", address)
		return err
	})
	return l, err
}

// inNetworkOf does something in the network namespace of a process, on a thread of
// its own, which then comes back: one that ended instead would take along what it
// happened to have started to go with its parent, such as a Redis.
func inNetworkOf(pid int, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			home, err := os.Open("/proc/thread-self/ns/net")
			if err != nil {
				runtime.UnlockOSThread()
				return err
			}
			defer func() { _ = home.Close() }()
			there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
			if err != nil {
				runtime.UnlockOSThread()
				return err
			}
			defer func() { _ = there.Close() }()
			if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
				runtime.UnlockOSThread()
				return fmt.Errorf("enter the network namespace: %w", err)
			}
			err = do()
			if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
				return errors.Join(err, fmt.Errorf("leave the network namespace: %w", back)) // the thread stays locked, and ends
			}
			runtime.UnlockOSThread()
			return err
		}()
	}()
	return <-done
}

func (r *reach) accept(ctx context.Context, l net.Listener, address string, from net.IP) {
	for {
		inner, err := l.Accept()
		if err != nil {
			return // it was closed
		}
		r.going.Go(func() { carry(ctx, inner, address, from) })
	}
}

// carry joins a connection of the machine with one of the host.
func carry(ctx context.Context, inner net.Conn, address string, from net.IP) {
	defer func() { _ = inner.Close() }()
	dial := net.Dialer{}
	if from != nil {
		dial.LocalAddr = &net.TCPAddr{IP: from}
	}
	outer, err := dial.DialContext(ctx, "tcp", address)
	if err != nil {
		return // nobody listens: the machine finds its connection closed
	}
	defer func() { _ = outer.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = errors.Join(inner.Close(), outer.Close()) })
	defer stop()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{inner, outer}, {outer, inner}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // ends when either side does
			if half, ok := way[0].(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
		})
	}
	both.Wait()
}

// close ends all connections, and waits for them. A nil reach is closed.
func (r *reach) close() {
	if r == nil {
		return
	}
	r.end()
	for _, l := range r.listeners {
		_ = l.Close()
	}
	r.going.Wait()
}
