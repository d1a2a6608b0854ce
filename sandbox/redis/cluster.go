package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// masters is how many masters a Cluster has, slots how many hash slots they share.
const (
	masters = 3
	slots   = 16384
)

// nodeTimeout is how long a Cluster's node may be silent before the others take it for dead. A failover is done 2 to 4
// seconds after a master's death.
const nodeTimeout = 1500 * time.Millisecond

// Cluster is three masters that share the hash slots, each with a replica. A go-redis client of it finds a new master
// only as soon as its ClusterStateReloadInterval says: a minute, unless it is set.
type Cluster struct {
	Servers []*Server // at the start the first three were masters, and each of the others a replica of the one three before
}

// StartCluster starts a Cluster of three masters and three replicas on loopback ports, with their files in dir, and returns
// when it serves and every replica follows its master. Stop it.
func StartCluster(ctx context.Context, dir string) (_ *Cluster, err error) {
	c := &Cluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	for range 2 * masters {
		server, err := startOnPort(ctx, dir, func(int) ([]string, error) {
			bus, err := FreePort(ctx)
			return []string{"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus),
				"--cluster-node-timeout", strconv.FormatInt(nodeTimeout.Milliseconds(), 10),
				"--cluster-replica-validity-factor", "0"}, err
		})
		if err != nil {
			return nil, err
		}
		c.Servers = append(c.Servers, server)
	}
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	if err := c.form(ctx); err != nil {
		return nil, fmt.Errorf("form the Cluster: %w", err)
	}
	return c, c.Await(ctx)
}

// form gives the masters their slots, introduces everybody to the first, and the replicas to their masters.
func (c *Cluster) form(ctx context.Context) error {
	for i, s := range c.Servers[:masters] {
		from, to := i*slots/masters, (i+1)*slots/masters-1
		if _, err := ask(ctx, s.Address, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(from), strconv.Itoa(to)); err != nil {
			return err
		}
		if _, err := ask(ctx, s.Address, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil {
			return err
		}
	}
	for _, s := range c.Servers[1:] {
		host, port, err := net.SplitHostPort(s.Address)
		if err != nil {
			return err
		}
		bus := s.process.option("--cluster-port")
		if _, err := ask(ctx, c.Servers[0].Address, "CLUSTER", "MEET", host, port, bus); err != nil {
			return err
		}
	}
	for i, replica := range c.Servers[masters:] {
		id, err := ask(ctx, c.Servers[i].Address, "CLUSTER", "MYID")
		if err != nil {
			return err
		}
		// It refuses until gossip has told it of its master.
		if err := await(ctx, "give "+replica.Address+" its master", func() error {
			_, err := ask(ctx, replica.Address, "CLUSTER", "REPLICATE", id[0])
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// Addresses are where its servers are reached.
func (c *Cluster) Addresses() []string {
	all := make([]string, 0, len(c.Servers))
	for _, s := range c.Servers {
		all = append(all, s.Address)
	}
	return all
}

// Await returns when every server that runs says that the Cluster serves all slots, knows all that run, and is a master or
// in step with one.
func (c *Cluster) Await(ctx context.Context) error {
	return await(ctx, "wait for the Cluster", func() error {
		for _, s := range c.Servers {
			if !s.process.runs() {
				continue
			}
			info, err := ask(ctx, s.Address, "CLUSTER", "INFO")
			if err != nil {
				return err
			}
			if !strings.Contains(info[0], "cluster_state:ok") || !strings.Contains(info[0], "cluster_known_nodes:"+strconv.Itoa(len(c.Servers))) ||
				!strings.Contains(info[0], "cluster_size:"+strconv.Itoa(masters)) {
				return fmt.Errorf("the server at %s says %s", s.Address, strings.Join(strings.Fields(info[0]), " "))
			}
			role, err := ask(ctx, s.Address, "ROLE")
			if err != nil {
				return err
			}
			if role[0] != "master" && (role[0] != "slave" || role[3] != "connected") {
				return fmt.Errorf("the server at %s is %v", s.Address, role)
			}
		}
		return nil
	})
}

// Masters are the servers that run and take themselves for masters with slots. While a master is dead and its replica not
// yet promoted they are fewer than three.
func (c *Cluster) Masters(ctx context.Context) ([]*Server, error) {
	var all []*Server
	for _, s := range c.Servers {
		if !s.process.runs() {
			continue
		}
		role, err := ask(ctx, s.Address, "ROLE")
		if err != nil {
			return nil, err
		}
		if role[0] == "master" {
			all = append(all, s)
		}
	}
	return all, nil
}

// Stop ends all of them and waits for their end. Their files stay.
func (c *Cluster) Stop() error {
	errs := make([]error, len(c.Servers))
	var wg sync.WaitGroup
	for i, s := range c.Servers {
		wg.Go(func() { errs[i] = s.Kill() }) // with SIGTERM the ones that end first would be failed over
	}
	wg.Wait()
	return errors.Join(errs...)
}
