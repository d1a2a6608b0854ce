package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sam/sandbox/github"
	"sam/sandbox/hetzner"
)

// Options say how a run is to be.
type Options struct {
	Binary      string            // the sam that is run; with Break, one built with the tag broken
	Dir         string            // for files and logs; it must exist
	Seed        uint64            // decides the load, the schedule of violence and GitHub's faults
	Duration    time.Duration     // of load and violence; a tenth of it is quiet, to begin with
	Patience    time.Duration     // how long everything may take to finish afterwards
	Break       string            // the protection that is taken away, empty for none; see Protections
	Permissions map[string]string // of the App, as GitHub names them
	Events      []string          // that the App subscribes to
}

// Run brings the world up, does violence to it, and reports what came of it. The error is of the run itself; whether the
// promises were kept is the report's to say. Everything is stopped when it returns.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	if o.Break != "" && aims[o.Break] == nil {
		return nil, fmt.Errorf("there is no protection %q to break: there are %v", o.Break, Protections())
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the run's folder: %w", err)
	}
	w, err := build(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()

	running, stop := context.WithCancel(ctx)
	defer stop()
	group, running := errgroup.WithContext(running)
	report = &Report{Seed: o.Seed}
	group.Go(func() error {
		defer stop()
		if err := w.start(running, group); err != nil {
			return err
		}
		return w.play(running, report)
	})
	return report, group.Wait()
}

// play is a run from the first task to the verdict.
func (w *world) play(ctx context.Context, report *Report) error {
	l := newLoad(w, newRandom(w.options.Seed, 1))
	v := newViolence(w, newRandom(w.options.Seed, 2))
	if err := l.claimNodes(ctx); err != nil {
		return fmt.Errorf("before any violence: %w", err)
	}
	zerolog.Ctx(ctx).Info().Uint64("seed", w.options.Seed).Dur("for", w.options.Duration).Msg("the violence begins")
	if err := w.hurt(ctx, l, v); err != nil {
		return err
	}
	zerolog.Ctx(ctx).Info().Int("asked", len(l.all())).Msg("the violence is over; everything gets time to finish")
	withdrawn, err := w.rest(ctx, v, l.all())
	if err != nil {
		return err
	}
	report.Faults = v.counts()
	for kind, hits := range w.cloud.Faults().Hits {
		report.Faults["hetzner_"+string(kind)] = hits
	}
	for kind, hits := range w.hub.Faults().Hits {
		report.Faults["github_"+string(kind)] = hits
	}
	r, err := read(ctx, w.redis, true)
	if err != nil {
		return err
	}
	history := w.hub.History()
	check(report, w.app.Slug, l.all(), history, r)
	checkMachines(report, w.cloud.rented(withdrawn, capsFor(w.options.Duration)), r)
	return errors.Join(w.keep("history.json", history), w.keep("hetzner.json", w.cloud.History()))
}

// unheard counts the requests that no task was made for: their deliveries were made in vain, and are the product's to ask
// for again. GitHub's own log cannot tell, because a delivery whose answer was lost is none of them.
func unheard(asks []asked, r *records) int {
	heard := map[int64]bool{}
	for _, t := range r.tasks {
		heard[t.comment] = true
	}
	left := 0
	for _, a := range asks {
		if !heard[a.comment] {
			left++
		}
	}
	return left
}

// keep writes a history beside the logs, for whoever looks into what was found.
func (w *world) keep(name string, history any) error {
	text, err := json.MarshalIndent(history, "", " ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(w.options.Dir, name), text, 0o600); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

// newRandom is one of the sequences that a seed gives.
func newRandom(seed, which uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, which)) //nolint:gosec // a repeatable schedule is the point
}

// hurt has tasks arrive and violence strike for as long as the run is to last.
func (w *world) hurt(ctx context.Context, l *load, v *violence) error {
	p := everything
	if w.options.Break != "" {
		p = *aims[w.options.Break]
	}
	hub := p.hub(w.options.Seed)
	for _, rule := range hub.Rules {
		v.plan("github_" + string(rule.Kind))
	}
	rented := p.hetzner(w.options.Seed, w.options.Duration)
	for _, rule := range p.cloud { // of the others not each finds a creation in every run
		v.plan("hetzner_" + string(rule.Kind))
	}
	ctx, cancel := context.WithTimeout(ctx, w.options.Duration)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.run(ctx) })
	if p.machines {
		v.plan(killMachine, killAtCreation)
	}
	group.Go(func() error {
		if !rest(ctx, w.options.Duration/10) {
			return nil
		}
		if err := errors.Join(w.hub.SetFaults(hub), w.cloud.SetFaults(rented)); err != nil {
			return err
		}
		if p.machines {
			group.Go(func() error {
				v.hurtMachines(ctx, newRandom(w.options.Seed, 3))
				return nil
			})
		}
		return v.run(ctx, p.kinds)
	})
	return group.Wait()
}

// rest ends the violence and waits until nothing is left to do and records and machines agree, as long as patience lasts. Then the
// account withdraws the token that machines are made with, and all of them are to go. That any of it was in vain is the checker's to find.
func (w *world) rest(ctx context.Context, v *violence, asks []asked) (withdrawn bool, err error) {
	v.calm()
	if err := errors.Join(w.hub.SetFaults(github.Faults{}), w.cloud.SetFaults(hetzner.Faults{})); err != nil {
		return false, err
	}
	v.roll(ctx) // whoever starts looks at once for deliveries that GitHub made in vain
	ctx, cancel := context.WithTimeout(ctx, w.options.Patience)
	defer cancel()
	err = until(ctx, time.Second, func() error {
		if pending := w.hub.History().Pending; pending > 0 {
			return fmt.Errorf("%d deliveries are on their way", pending)
		}
		r, err := read(ctx, w.redis, false)
		if err != nil {
			return err
		}
		if r.intake > 0 || len(r.owed) > 0 {
			return fmt.Errorf("%d deliveries are not handled, %d effects are owed", r.intake, len(r.owed))
		}
		if left := unheard(asks, r); left > 0 {
			return fmt.Errorf("%d requests made no task", left)
		}
		for _, t := range r.tasks {
			if !t.final() {
				return fmt.Errorf("task %s is %s", t.id, t.state)
			}
		}
		if strays := w.cloud.rented(false, caps{}).strays(r); len(strays) > 0 {
			return errors.New(strays[0])
		}
		return nil
	})
	if err == nil {
		withdrawn = true
		zerolog.Ctx(ctx).Info().Msg("everything is done; the account withdraws its token for machines")
		err = w.withdraw(ctx)
	}
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("patience is over")
	}
	return withdrawn, nil
}
