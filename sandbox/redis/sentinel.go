package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sentinels watch a master, and two of them must agree that it is gone.
const sentinels = 3

// downAfter is how long a server may be silent before a Sentinel takes it for dead, failoverTimeout how long one attempt
// at a failover may take. A failover is done 2 to 3 seconds after a master's death.
const (
	downAfter       = time.Second
	failoverTimeout = 3 * time.Second
)

// settleWithin bounds how long a Sentinel's or a Cluster's members may take to know each other.
const settleWithin = 60 * time.Second

// Sentinel is a master with replicas, and three Sentinels that watch it.
type Sentinel struct {
	Master    string    // the name by which the Sentinels know the master
	Addresses []string  // of the Sentinels
	Servers   []*Server // the first of them was the master at the start

	watchers []*process
}

// StartSentinel starts a master, its replicas (1 or 2) and three Sentinels on loopback ports, with their files in dir,
// and returns when they all know each other. Stop it.
func StartSentinel(ctx context.Context, dir string, replicas int) (_ *Sentinel, err error) {
	s := &Sentinel{Master: "sam"}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	for i := range 1 + replicas {
		server, err := startOnPort(ctx, dir, func(int) ([]string, error) {
			if i == 0 {
				return nil, nil
			}
			host, port, err := net.SplitHostPort(s.Servers[0].Address)
			return []string{"--replicaof", host + " " + port}, err
		})
		if err != nil {
			return nil, err
		}
		s.Servers = append(s.Servers, server)
	}
	for range sentinels {
		if err := s.startSentinel(ctx, dir); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	return s, s.Await(ctx)
}

func (s *Sentinel) startSentinel(ctx context.Context, dir string) error {
	path, _, err := program(ctx)
	if err != nil {
		return err
	}
	host, masterPort, err := net.SplitHostPort(s.Servers[0].Address)
	if err != nil {
		return err
	}
	for range startsTried {
		var port int
		if port, err = FreePort(ctx); err != nil {
			return err
		}
		own := filepath.Join(dir, "sentinel-"+strconv.Itoa(port))
		if err = makeFolder(own); err != nil {
			return err
		}
		// A Sentinel writes what it learns into its configuration.
		file := filepath.Join(own, "sentinel.conf")
		text := fmt.Sprintf(`port %d
bind 127.0.0.1
dir %s
sentinel monitor %[3]s %s %s %d
sentinel down-after-milliseconds %[3]s %[7]d
sentinel failover-timeout %[3]s %[8]d
`, port, strconv.Quote(own), s.Master, host, masterPort, sentinels/2+1, downAfter.Milliseconds(), failoverTimeout.Milliseconds())
		if err = os.WriteFile(file, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write a Sentinel's configuration: %w", err)
		}
		p := newProcess(path, file, "--sentinel")
		if err = p.start(ctx); err == nil {
			s.watchers, s.Addresses = append(s.watchers, p), append(s.Addresses, loopback(port))
			return nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return err
}

// Await returns when every Sentinel knows the others and names the same master, which answers and whose replicas that
// run follow it.
func (s *Sentinel) Await(ctx context.Context) error {
	return await(ctx, "wait for the Sentinels", func() error {
		master, err := s.Current(ctx)
		if err != nil {
			return err
		}
		for _, address := range s.Addresses {
			known, err := ask(ctx, address, "SENTINEL", "MASTER", s.Master)
			if err != nil {
				return err
			}
			f := fields(known)
			if others, _ := strconv.Atoi(f["num-other-sentinels"]); others != sentinels-1 {
				return fmt.Errorf("the Sentinel at %s knows %d others", address, others)
			}
			if replicas, _ := strconv.Atoi(f["num-slaves"]); replicas != len(s.Servers)-1 || f["flags"] != "master" {
				return fmt.Errorf("the Sentinel at %s knows %d replicas of a %s", address, replicas, f["flags"])
			}
			if named := net.JoinHostPort(f["ip"], f["port"]); named != master.Address {
				return fmt.Errorf("the Sentinel at %s names %s, another one %s", address, named, master.Address)
			}
		}
		return following(ctx, s.Servers, master.Address)
	})
}

// following returns nil when every server that runs is the master at this address or in step with it.
func following(ctx context.Context, servers []*Server, master string) error {
	for _, server := range servers {
		if !server.process.runs() {
			continue
		}
		role, err := ask(ctx, server.Address, "ROLE")
		if err != nil {
			return err
		}
		if server.Address == master && role[0] == "master" {
			continue
		}
		if server.Address == master || role[0] != "slave" || net.JoinHostPort(role[1], role[2]) != master || role[3] != "connected" {
			return fmt.Errorf("the server at %s is %v", server.Address, role)
		}
	}
	return nil
}

// Current is the server that the first Sentinel to answer names as the master.
func (s *Sentinel) Current(ctx context.Context) (*Server, error) {
	err := errors.New("there is no Sentinel")
	for _, address := range s.Addresses {
		var at []string
		if at, err = ask(ctx, address, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.Master); err != nil || len(at) != 2 {
			continue
		}
		for _, server := range s.Servers {
			if server.Address == net.JoinHostPort(at[0], at[1]) {
				return server, nil
			}
		}
		return nil, fmt.Errorf("the Sentinel at %s names a strange master: %v", address, at)
	}
	return nil, err
}

// Stop kills all of them, the Sentinels first, which would fail over otherwise, and waits for their end. Their files stay.
func (s *Sentinel) Stop() error {
	var errs []error
	for _, p := range s.watchers {
		errs = append(errs, p.end(syscall.SIGKILL))
	}
	for _, server := range s.Servers {
		errs = append(errs, server.Kill())
	}
	return errors.Join(errs...)
}

// fields are a reply's pairs of names and values.
func fields(words []string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(words); i += 2 {
		m[strings.ToLower(words[i])] = words[i+1]
	}
	return m
}

func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("make a folder for redis-server: %w", err)
	}
	return nil
}
