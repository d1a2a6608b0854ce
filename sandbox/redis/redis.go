// Package redis gives the demo and the tests a Redis of their own: the installed redis-server, set up to keep what it
// acknowledges, or where none is installed an embedded one that forgets everything when the process ends. Tests also get
// a master with replicas under Sentinel, a Cluster, servers that are killed and come back, and a proxy that loses
// replies.
package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/alicebob/miniredis/v2"
)

// Server is a Redis that runs, or was killed and may be restarted.
type Server struct {
	Address string // the path of a unix socket, or host:port
	Name    string // "redis-server 7.0.15", or "miniredis (embedded, not durable)"
	Durable bool   // what it acknowledged survives it

	process  *process
	embedded *miniredis.Miniredis
	sockets  string // the folder of its unix socket, when that is not among its files
}

// errEmbedded is what the embedded Redis says to violence: it lives in the process of who asks.
var errEmbedded = errors.New("the embedded Redis can only be stopped: install redis-server to have one that is killed and comes back")

// Start starts redis-server with its files in dir, or an embedded Redis when none is installed. Stop it.
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

// durable is what makes redis-server keep what it acknowledges.
func durable(dir string) []string {
	return []string{"--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
		"--maxmemory-policy", "noeviction", "--daemonize", "no"}
}

// maxSocket is how long the path of a unix socket may be, bytes. A test's folder may be longer.
const maxSocket = 107

func startReal(ctx context.Context, path, dir string) (*Server, error) {
	name, err := describe(ctx, path)
	if err != nil {
		return nil, err
	}
	s := &Server{Address: filepath.Join(dir, "redis.sock"), Name: name, Durable: true}
	if len(s.Address) > maxSocket {
		if s.sockets, err = os.MkdirTemp("", "sam-redis-"); err != nil {
			return nil, fmt.Errorf("make a folder for Redis's socket: %w", err)
		}
		s.Address = filepath.Join(s.sockets, "redis.sock")
	}
	s.process = newProcess(path, append(durable(dir), "--port", "0", "--unixsocket", s.Address)...)
	if err := s.process.start(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.sockets))
	}
	return s, nil
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

// Kill ends it with SIGKILL, as a crash of its machine would, and waits for its end. Its files stay.
func (s *Server) Kill() error {
	if s.embedded != nil {
		return errEmbedded
	}
	return s.process.end(syscall.SIGKILL)
}

// Restart starts one that was killed again, at the same address with the same files, and waits until it answers.
func (s *Server) Restart(ctx context.Context) error {
	if s.embedded != nil {
		return errEmbedded
	}
	return s.process.start(ctx)
}

// Pause stops its process with SIGSTOP: connections stay open and nobody answers. Resume lets it go on.
func (s *Server) Pause() error {
	if s.embedded != nil {
		return errEmbedded
	}
	return s.process.signal(syscall.SIGSTOP)
}

// Resume lets one that was paused go on.
func (s *Server) Resume() error {
	if s.embedded != nil {
		return errEmbedded
	}
	return s.process.signal(syscall.SIGCONT)
}

// Stop ends it with time to write, and waits for its end. It may have been killed, or stopped, before. Its files stay.
func (s *Server) Stop() error {
	if s.embedded != nil {
		s.embedded.Close()
		return nil
	}
	if err := s.process.end(syscall.SIGTERM); err != nil {
		return err
	}
	if s.sockets == "" {
		return nil
	}
	return os.RemoveAll(s.sockets)
}
