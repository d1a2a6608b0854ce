// Package redis gives the demo and the tests a Redis of their own: the installed redis-server, set up to keep what it
// acknowledges, or where none is installed an embedded one that forgets everything when the process ends.
package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// Server is a running Redis.
type Server struct {
	Address string // the path of a unix socket, or host:port for the embedded one
	Name    string // "redis-server 7.0.15", or "miniredis (embedded, not durable)"
	Durable bool   // what it acknowledged survives it

	process  *exec.Cmd
	exited   chan struct{}
	embedded *miniredis.Miniredis
}

// startWithin bounds how long redis-server may take to answer.
const startWithin = 10 * time.Second

// Start starts redis-server with its files in dir, or an embedded Redis when none is installed.
func Start(ctx context.Context, dir string) (*Server, error) {
	path, err := exec.LookPath("redis-server")
	if errors.Is(err, exec.ErrNotFound) {
		return startEmbedded()
	}
	if err != nil {
		return nil, fmt.Errorf("find redis-server: %w", err)
	}
	return startReal(ctx, path, dir)
}

func startEmbedded() (*Server, error) {
	m := miniredis.NewMiniRedis()
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start the embedded Redis: %w", err)
	}
	return &Server{Address: m.Addr(), Name: "miniredis (embedded, not durable)", embedded: m}, nil
}

func startReal(ctx context.Context, path, dir string) (*Server, error) {
	name, err := describe(ctx, path)
	if err != nil {
		return nil, err
	}
	// A socket's path holds 107 bytes, and a test's folder may be longer.
	sockets, err := os.MkdirTemp("", "sam-redis-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for Redis's socket: %w", err)
	}
	s := &Server{Address: filepath.Join(sockets, "socket"), Name: name, Durable: true, exited: make(chan struct{})}
	s.process = exec.Command(path, "--port", "0", "--unixsocket", s.Address, "--dir", dir, "--save", "", //nolint:noctx // Stop ends it, with time to write
		"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--daemonize", "no")
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	output, err := s.process.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("read redis-server's output: %w", err)
	}
	if err := s.process.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start redis-server: %w", err), os.RemoveAll(sockets))
	}
	up := make(chan struct{})
	var tail []string // read only after exited is closed
	go func() {
		defer close(s.exited)
		var once sync.Once
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			tail = append(tail[max(0, len(tail)-5):], lines.Text())
			if strings.Contains(lines.Text(), "eady to accept connections") {
				once.Do(func() { close(up) })
			}
		}
		_ = s.process.Wait() // its exit code is no news: Stop asked for it, or tail says why
	}()
	timer := time.NewTimer(startWithin)
	defer timer.Stop()
	select {
	case <-up:
		return s, nil
	case <-s.exited:
		return nil, errors.Join(fmt.Errorf("redis-server ended at once: %s", strings.Join(tail, " / ")), os.RemoveAll(sockets))
	case <-timer.C:
		return nil, errors.Join(fmt.Errorf("redis-server was not ready within %s", startWithin), s.Stop())
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), s.Stop())
	}
}

func describe(ctx context.Context, path string) (string, error) {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask redis-server for its version: %w", err)
	}
	for _, word := range strings.Fields(string(out)) {
		if v, ok := strings.CutPrefix(word, "v="); ok {
			return "redis-server " + v, nil
		}
	}
	return "redis-server", nil
}

// Stop ends it and waits for its end. Its files stay.
func (s *Server) Stop() error {
	if s.embedded != nil {
		s.embedded.Close()
		return nil
	}
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop redis-server: %w", err)
	}
	<-s.exited
	return os.RemoveAll(filepath.Dir(s.Address))
}
