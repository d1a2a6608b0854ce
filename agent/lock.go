package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// locks is one lock for each name, for as long as somebody holds it or waits.
type locks struct {
	mu   sync.Mutex
	held map[string]*namedLock
}

type namedLock struct {
	users int
	turn  chan struct{}
}

// lock waits for the name to be free, or for ctx to end. The caller calls unlock once.
func (l *locks) lock(ctx context.Context, name string) (unlock func(), err error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*namedLock{}
	}
	one := l.held[name]
	if one == nil {
		one = &namedLock{turn: make(chan struct{}, 1)}
		l.held[name] = one
	}
	one.users++
	l.mu.Unlock()

	select {
	case one.turn <- struct{}{}:
		return func() { <-one.turn; l.leave(name, one) }, nil
	case <-ctx.Done():
		l.leave(name, one)
		return nil, context.Cause(ctx)
	}
}

// try locks the name if nobody holds it or waits for it.
func (l *locks) try(name string) (unlock func(), locked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[name] != nil {
		return nil, false
	}
	if l.held == nil {
		l.held = map[string]*namedLock{}
	}
	one := &namedLock{users: 1, turn: make(chan struct{}, 1)}
	one.turn <- struct{}{}
	l.held[name] = one
	return func() { <-one.turn; l.leave(name, one) }, true
}

func (l *locks) leave(name string, one *namedLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(l.held, name)
	}
}

// lockFolder makes sure that no other node agent works in dir until unlock is called.
func lockFolder(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the node's folder: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return func() {
			// A program that is being started has a copy of the file for a moment, and with it the lock: closing ours is not enough.
			_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
			_ = file.Close()
		}, nil
	}
	_ = file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("another sam node uses %s: stop it, or give this one a folder of its own", dir)
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}
