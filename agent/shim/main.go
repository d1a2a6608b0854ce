package shim

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Main is `sam shim`, or `sam shim guard` (guard.go). The shim runs until its container is ended from outside: no signal ends it, for those come from inside.
// It returns the exit code: 1 when it cannot serve, which it has said on stderr, 2 when it was called wrongly.
func Main(args []string, stderr io.Writer) int {
	if len(args) > 0 && args[0] == GuardCommand {
		return guard(args[1:], stderr)
	}
	flags := flag.NewFlagSet("sam shim", flag.ContinueOnError)
	flags.SetOutput(stderr)
	folder := flags.String("folder", Folder, "where its socket is")
	node := flags.String("node", filepath.Join(NodeFolder, NodeSocket), "the socket of sam node")
	listen := flags.String("listen", Listen, "the container's address that is carried to sam node; empty for none")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 2
	}
	private()
	if err := keepProjects(); err != nil && !errors.Is(err, syscall.EACCES) {
		fmt.Fprintln(stderr, "sam shim: "+err.Error()) // the watched limit of the disk is left
	}
	if err := run(*folder, *node, *listen); err != nil {
		fmt.Fprintln(stderr, "sam shim: "+err.Error())
		return 1
	}
	return 0
}

func run(folder, node, listen string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// Signals that no handler takes would end it, and one that is ignored would be ignored by every program as well.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals)
	defer signal.Stop(signals)

	socket := filepath.Join(folder, Socket)
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("clear the way for its socket: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("listen on its socket: %w", err)
	}
	defer listener.Close()
	if err := os.Chmod(socket, 0o600); err != nil {
		return fmt.Errorf("keep its socket to its user: %w", err)
	}
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	if listen != "" {
		loopback, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
		if err != nil {
			return fmt.Errorf("listen for programs: %w", err)
		}
		defer loopback.Close()
		parts.Go(func() { _ = (&forward{to: node, patience: nodeWithin}).serve(ctx, loopback) })
	}
	parts.Go(func() { frugal(ctx) })
	offspring := &children{all: map[int]*program{}}
	parts.Go(func() {
		for {
			select {
			case <-signals:
				offspring.reap() // SIGCHLD; after any other one there is nothing to reap
			case <-ctx.Done():
				return
			}
		}
	})
	s := &server{dir: folder, children: offspring, programs: map[string]*program{}}
	h := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return h.Serve(listener)
}
