package pool

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sam/runner/cloud"
)

// inquiry is what a provider offers, while it is being asked.
type inquiry struct {
	began  time.Time
	cancel context.CancelFunc
	done   chan struct{}
	offers []cloud.Offer // when it is done
	err    error
}

// inquireWithin bounds one: a provider that answers later is asked anew.
const inquireWithin = time.Minute

// inquire has an account's provider be asked what it offers, beside whoever wants to know; once at a time. It is nil when Run has
// ended: nobody would wait for it.
func (p *Pool) inquire(ctx context.Context, account int64, a *Account) *inquiry {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q := p.inquiries[account]; q != nil {
		return q
	}
	if p.ended {
		return nil
	}
	q := &inquiry{began: time.Now(), done: make(chan struct{})}
	// Not with whoever asked first: others may wait for it too.
	ctx, q.cancel = context.WithTimeout(context.WithoutCancel(ctx), inquireWithin)
	p.inquiries[account] = q
	p.tenders.Go(func() {
		defer q.cancel()
		q.offers, q.err = a.Provider.Offers(ctx)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.inquiries, account)
		close(q.done)
	})
	return q
}

// hangUp ends what is being asked, and has nothing be asked any more.
func (p *Pool) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for _, q := range p.inquiries {
		q.cancel()
	}
}

// lateError says that a provider has not answered in time.
type lateError struct{ within time.Duration }

func (e lateError) Error() string { return fmt.Sprintf("it has not answered within %s", e.within) }

// offers asks what an account's provider offers, and waits for Timing.Answer at most.
func (p *Pool) offers(ctx context.Context, account int64, a *Account) ([]cloud.Offer, error) {
	q := p.inquire(ctx, account, a)
	if q == nil {
		return a.Provider.Offers(ctx)
	}
	patience := time.NewTimer(p.Timing.Answer - time.Since(q.began))
	defer patience.Stop()
	select {
	case <-q.done:
		return q.offers, q.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-patience.C:
		return nil, lateError{p.Timing.Answer}
	}
}

// offer is the first candidate that is to be had, with the price of an hour of the dearest: which one it will be is known when it
// is made, and no budget is to be passed by it.
func (p *Pool) offer(ctx context.Context, d *desk) (first cloud.Offer, price cloud.Money, err error) {
	offers, err := p.offers(ctx, d.id, d.Account)
	if err != nil {
		return first, 0, err
	}
	return cloud.Pick(d.Candidates, offers)
}

// priced is a machine with its price. Of a type that is not sold any more nobody says what it costs; it costs no less for that, and
// is reckoned as the dearest of the candidates, or of all that is offered when these are gone too.
func (a *Account) priced(ctx context.Context, m cloud.Machine) (cloud.Machine, error) {
	if m.Hour > 0 {
		return m, nil
	}
	offers, err := a.Provider.Offers(ctx)
	if err != nil {
		return m, err
	}
	var all cloud.Money
	for _, o := range offers {
		all = max(all, o.Hour)
		if slices.Contains(a.Candidates, o.Candidate) {
			m.Hour = max(m.Hour, o.Hour)
		}
	}
	if m.Hour == 0 {
		m.Hour = all
	}
	return m, nil
}
