package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Ports of servers that must be reached over TCP are taken from below the range that the system gives to outgoing
// connections (32768 and up on Linux): there nobody takes one while its server is dead.
const (
	firstPort = 15000
	lastPort  = 31999
)

// FreePort is a loopback port that nobody listened at a moment ago, for a server that will die and come back.
func FreePort(ctx context.Context) (int, error) {
	var last error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort+1) //nolint:gosec // no secret: any free port will do
		var listen net.ListenConfig
		l, err := listen.Listen(ctx, "tcp", loopback(port))
		if err == nil {
			return port, l.Close()
		}
		last = err
	}
	return 0, fmt.Errorf("find a free port between %d and %d: %w", firstPort, lastPort, last)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// program is the installed redis-server. Without one there is neither Sentinel nor Cluster.
func program(ctx context.Context) (path, name string, err error) {
	if path, err = exec.LookPath("redis-server"); err != nil {
		return "", "", fmt.Errorf("find redis-server: %w", err)
	}
	name, err = describe(ctx, path)
	return path, name, err
}

// startsTried is how often a server's port is chosen anew: another process may take it between choice and use.
const startsTried = 5

// startOnPort starts a durable redis-server on a loopback port of its own, with its files in a folder of dir.
func startOnPort(ctx context.Context, dir string, more func(port int) ([]string, error)) (*Server, error) {
	path, name, err := program(ctx)
	if err != nil {
		return nil, err
	}
	for range startsTried {
		var port int
		if port, err = FreePort(ctx); err != nil {
			return nil, err
		}
		own := filepath.Join(dir, strconv.Itoa(port))
		var args []string
		if args, err = more(port); err != nil {
			return nil, err
		}
		args = append(append(durable(own), args...), "--port", strconv.Itoa(port), "--bind", "127.0.0.1",
			"--repl-diskless-sync-delay", "0", "--shutdown-timeout", "0")
		s := &Server{Address: loopback(port), Name: name, Durable: true, process: newProcess(path, args...)}
		if err = makeFolder(own); err != nil {
			return nil, err
		}
		if err = s.process.start(ctx); err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}
