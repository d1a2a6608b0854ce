package app

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"sam/config"
	"sam/gateway"
	"sam/runner/cloud"
	"sam/runner/cloud/cloudinit"
	"sam/runner/pool"
)

// installationOf names this installation to providers: what it makes there bears the name, and nothing else is touched. It follows from
// the App, and not from what is in Redis: a server that starts on an empty Redis finds its machines again.
func installationOf(c config.GitHub) string {
	sum := sha256.Sum256([]byte(strings.TrimRight(c.APIURL, "/")))
	return fmt.Sprintf("app-%d-%s", c.AppID, hex.EncodeToString(sum[:4]))
}

// openPool gives the runner machines, where the configuration or an account has a way to them.
func (s *server) openPool(c config.Server, keys gateway.Keys, secrets *vault) error {
	public := cmp.Or(c.Public.URL, s.public.url())
	accounts, err := newClouds(c.Hetzner, cloudOptions{
		Store: s.store, Vault: secrets, Keys: keys, Installation: installationOf(c.GitHub), Public: public,
		Programs: downloads(s.programs, public), Transport: s.outbound,
		Prepare: func(a cloud.Architecture) { s.programs.Prepare(string(a)) },
	})
	if err != nil {
		return err
	}
	s.pool = pool.New(s.store, accounts)
	s.pool.Timing = timing(c.Hetzner)
	s.runner.Pool = s.pool
	return nil
}

// timing is what a configuration says of how long machines may take.
func timing(c config.Hetzner) pool.Timing {
	t := pool.DefaultTiming()
	t.CallHome, t.Lost, t.Again, t.Reconcile, t.Orphan = c.CallHome, c.Lost, c.Again, c.Reconcile, c.Orphan
	return t
}

// downloads are the programs that machines run, as they are told.
func downloads(p *gateway.Programs, public string) map[cloud.Architecture]cloudinit.Download {
	all := map[cloud.Architecture]cloudinit.Download{}
	for architecture, one := range p.All() {
		all[cloud.Architecture(architecture)] = cloudinit.Download{URL: strings.TrimRight(public, "/") + one.Path, SHA256: one.SHA256}
	}
	return all
}
