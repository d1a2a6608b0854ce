package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sam/runner/cloud"
	"sam/task"
)

const (
	reconcileLease = 2 * time.Minute
	// deletions is how many things that no record knows one comparison deletes at most: should SAM be wrong, somebody has the time
	// to see it.
	deletions = 5
	// comparisons is how many accounts are compared at once, and compareWithin how long one may take: a provider that is slow for one
	// holds up few others.
	comparisons   = 8
	compareWithin = time.Minute
)

// Reconcile compares the records with what the providers have, at once and then every Timing.Reconcile, until ctx ends; one replica
// at a time.
func (p *Pool) Reconcile(ctx context.Context) error {
	for since := time.Duration(0); ctx.Err() == nil; since = p.Timing.Reconcile / 2 {
		p.reconcileTurn(ctx, since)
		pause := time.NewTimer(p.Timing.Reconcile)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
	return nil
}

func (p *Pool) reconcileTurn(ctx context.Context, since time.Duration) {
	log := zerolog.Ctx(ctx)
	now, mine, err := p.store.TakeTurn(ctx, "providers", reconcileLease, since)
	if err != nil {
		log.Warn().Err(err).Msg("no turn to compare the machines with their records; trying again")
		return
	}
	if !mine {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, reconcileLease)
	defer cancel()
	if err := p.ReconcileOnce(bounded, now); err != nil && ctx.Err() == nil {
		log.Warn().Err(err).Msg("comparing the machines with their records failed in part; trying again at the next interval")
	}
	if err := p.store.EndTurn(context.WithoutCancel(ctx), "providers"); err != nil {
		log.Warn().Err(err).Msg("letting go of the turn to compare machines failed; it ends by itself")
	}
}

// ReconcileOnce compares once, whoever else does. It is how the records are written anew when Redis has lost them, too.
func (p *Pool) ReconcileOnce(ctx context.Context, now time.Time) error {
	known, err := p.accounts.Known(ctx)
	if err != nil {
		return err
	}
	fleets, err := p.store.Fleets(ctx)
	if err != nil {
		return err
	}
	ids := slices.Concat(known, fleets)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	errs := make([]error, len(ids))
	began := time.Now() // what the provider says from then on, all use that share a project of its
	var group errgroup.Group
	group.SetLimit(comparisons)
	for i, id := range ids {
		group.Go(func() error {
			bounded, cancel := context.WithTimeout(ctx, compareWithin)
			defer cancel()
			if err := p.compare(bounded, id, now, began); err != nil {
				errs[i] = fmt.Errorf("account %d: %w", id, err)
			}
			return nil
		})
	}
	_ = group.Wait() // each error is in its place
	p.Kick()
	return errors.Join(errs...)
}

// compare makes one account's records and machines agree.
//
// A machine that no record knows and that was let go before, or never was entered into the fleet by a Redis that forgets nothing, is
// an orphan: its creation was late. It is deleted when it is old enough and was an orphan at an earlier comparison too. Otherwise Redis
// has lost its record: it was older than the machine, by the counter that the machine bears, or does not remember the name. Then the
// machine is adopted, and nothing of the account is deleted by this comparison.
func (p *Pool) compare(ctx context.Context, id int64, now, began time.Time) error {
	a, err := p.accounts.Account(ctx, id)
	if errors.As(err, new(task.TokenError)) {
		return nil // whoever opens tokens has told it
	}
	if err != nil {
		return err
	}
	if a == nil {
		return p.unreachable(ctx, id, now)
	}
	machines, err := a.Provider.List(ctx, began)
	if err != nil {
		return err
	}
	// After the machines: whoever makes one writes its record first.
	nodes, err := p.store.Nodes(ctx)
	if err != nil {
		return err
	}
	counter, err := p.store.Counter(ctx)
	if err != nil {
		return err
	}
	d := &desk{Account: a, id: id, now: now}
	if d.fleet, err = p.store.Fleet(ctx, id, now); err != nil {
		return err
	}
	d.sort(nodes)
	c := comparison{pool: p, desk: d, began: began, machines: machines}
	if err := c.judge(ctx, counter); err != nil {
		return err
	}
	if len(c.lost) > 0 {
		return c.adopt(ctx)
	}
	return c.clear(ctx)
}

// unreachable says of which machines nobody has the token any more: the account had the operator's, and that is configured no longer.
func (p *Pool) unreachable(ctx context.Context, id int64, now time.Time) error {
	f, err := p.store.Fleet(ctx, id, now)
	if err != nil || len(f.Hours) == 0 {
		return err
	}
	return fmt.Errorf("there is no token any more for the machines %s, so they cannot be let go and stay on the bill: configure `hetzner.token_file` again, or set a token of the same project with `sam account set`",
		strings.Join(slices.Sorted(maps.Keys(f.Hours)), ", "))
}

// comparison is one account's records beside its machines.
type comparison struct {
	*desk
	pool     *Pool
	began    time.Time // of all comparisons of this round, by this process's clock
	machines []cloud.Machine
	lost     []cloud.Machine // that Redis has forgotten
	orphans  []cloud.Machine // that were let go, or that never were entered
	missing  []task.Node     // whose machine is not there any more
}

func (c *comparison) judge(ctx context.Context, counter int64) error {
	there := map[string]bool{}
	var unknown []cloud.Machine
	var names []string
	for _, m := range c.machines {
		there[m.Name] = true
		if _, paid := c.fleet.Hours[m.Name]; paid || c.index(m.Name) >= 0 {
			continue // paid without a record: that is about to be written
		}
		unknown, names = append(unknown, m), append(names, m.Name)
	}
	gone, err := c.pool.store.LetGoBefore(ctx, c.id, names)
	if err != nil {
		return err
	}
	young := false
	for _, m := range unknown {
		n, err := strconv.ParseInt(m.Labels[labelCounter], 10, 64)
		young = young || err == nil && n > counter
	}
	for _, m := range unknown {
		if young || !gone[m.Name] {
			c.lost = append(c.lost, m)
		} else {
			c.orphans = append(c.orphans, m)
		}
	}
	for _, n := range c.nodes {
		if n.Machine != nil && n.State != task.NodeGoing && !there[n.Name] {
			c.missing = append(c.missing, n)
		}
	}
	return nil
}

// adopt writes records for machines that Redis has forgotten. Each is paid for from its creation on, and either calls home or is let
// go like any other that does not.
func (c *comparison) adopt(ctx context.Context) error {
	var errs []error
	for _, m := range c.lost {
		zerolog.Ctx(ctx).Warn().Str("node", m.Name).Int64("account", c.id).Time("created", m.Created).
			Msg("there is a machine of this installation that Redis does not know: it is adopted")
		m, err := c.priced(ctx, m)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		hours := begun(m.Created, c.now)
		if err := c.pool.store.Reserve(ctx, adoption(c.id, m.Name, hours, int64(m.Hour)), c.now); err != nil {
			errs = append(errs, err)
			continue
		}
		c.fleet.Hours[m.Name] = hours
		if _, err := c.pool.record(ctx, c.desk, m.Name, 1); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, c.pool.store.NoteMachine(ctx, m.Name, noted(m)))
	}
	_, err := c.pool.store.Doubt(ctx, c.id, nil, c.now) // whatever was seen before is to be seen anew
	return errors.Join(append(errs, err)...)
}

// leftoversEvery is how often is looked for what outlives machines, as long as there is none: it takes three calls.
const leftoversEvery = time.Hour

func (p *Pool) leftovers(ctx context.Context, d *desk, began time.Time) ([]cloud.Resource, error) {
	p.mu.Lock()
	next := p.looked[d.id]
	p.mu.Unlock()
	if d.now.Before(next) {
		return nil, nil
	}
	left, err := d.Provider.Leftovers(ctx, began)
	if err != nil {
		return nil, err
	}
	next = d.now
	if len(left) == 0 {
		next = d.now.Add(leftoversEvery)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked[d.id] = next
	return left, nil
}

// clear deletes what was seen to be nobody's before, and has records go whose machine is gone.
func (c *comparison) clear(ctx context.Context) error {
	left, err := c.pool.leftovers(ctx, c.desk, c.began)
	if err != nil {
		return err
	}
	doubted := make([]string, 0, len(c.orphans)+len(c.missing)+len(left))
	for _, m := range c.orphans {
		doubted = append(doubted, "machine "+m.ID)
	}
	for _, n := range c.missing {
		doubted = append(doubted, "record "+n.Name)
	}
	for _, r := range left {
		doubted = append(doubted, r.Kind+" "+r.ID)
	}
	since, err := c.pool.store.Doubt(ctx, c.id, doubted, c.now)
	if err != nil {
		return err
	}
	// Two comparisons may follow each other at once, and the provider's list be behind in both.
	twice := func(name string) bool { return c.now.Sub(since[name]) >= c.pool.Timing.Reconcile/2 }
	old := func(created time.Time) bool { return c.now.Sub(created) >= c.pool.Timing.Orphan }
	log := zerolog.Ctx(ctx).With().Int64("account", c.id).Logger()
	var errs []error
	for _, n := range c.missing {
		if !twice("record " + n.Name) {
			continue
		}
		log.Warn().Str("node", n.Name).Msg("a machine is gone that SAM did not let go: somebody has deleted it")
		errs = append(errs, c.pool.store.Abandon(ctx, n.Name, "its machine is gone: somebody has deleted it"))
	}
	slices.SortFunc(c.orphans, func(a, b cloud.Machine) int { return cmp.Compare(a.Name, b.Name) })
	budget := deletions
	for _, m := range c.orphans {
		if budget == 0 || !twice("machine "+m.ID) || !old(m.Created) {
			continue
		}
		budget--
		err := c.Provider.Delete(ctx, m)
		log.Warn().Err(err).Str("node", m.Name).Time("created", m.Created).Msg("a machine that was let go is there again, or still: it is deleted")
		errs = append(errs, err)
	}
	for _, r := range left {
		if budget == 0 || !twice(r.Kind+" "+r.ID) || !old(r.Created) {
			continue
		}
		budget--
		err := r.Delete(ctx)
		log.Warn().Err(err).Str("kind", r.Kind).Str("name", r.Name).Msg("something that belonged to a machine is left over: it is deleted")
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
