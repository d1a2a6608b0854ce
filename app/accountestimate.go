package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sam/config"
	"sam/runner/cloud"
	"sam/runner/policy"
	"sam/runner/pool"
	"sam/task"
)

// estimate is what an account's machines cost, and what its caps let them come to. It is shown before the first task.
type estimate struct {
	offer  cloud.Offer // the first candidate that is to be had
	most   cloud.Money // an hour of the dearest candidate, which is what is reserved: which one it will be is not known before
	caps   task.Caps
	memory int64 // bytes of one workspace
}

// newEstimate asks what is to be had. cloud.NoCandidateError when that is none of the candidates, beside a provider's own errors.
func newEstimate(ctx context.Context, p cloud.Provider, m machines, memory int64) (estimate, error) {
	e := estimate{caps: m.caps, memory: memory}
	offers, err := p.Offers(ctx)
	if err != nil {
		return e, err
	}
	e.offer, e.most, err = cloud.Pick(m.candidates, offers)
	return e, err
}

// lines are the estimate for a person.
func (e estimate) lines() string {
	o := e.offer
	var b strings.Builder
	fmt.Fprintf(&b, "A machine: %s, %d processors, %s: %s %s for each begun hour, with taxes and its IPv4 address", o.Candidate, o.CPUs, config.Bytes(o.Memory), o.Hour, o.Currency)
	if o.Month > 0 {
		fmt.Fprintf(&b, ", at most %s a month", cents(o.Month))
	}
	fmt.Fprintf(&b, ". It takes %s at once.\n", many(policy.SlotsByMemory(o.Memory, pool.HostMemory, e.memory), "workspace"))
	if !o.Sold {
		b.WriteString("None of the configured machines is left at Hetzner just now, as far as it says: they are tried all the same.\n")
	}
	if e.most > o.Hour {
		fmt.Fprintf(&b, "The dearest of those configured costs %s an hour; so much is reserved until it is known which one it is.\n", e.most)
	}
	fmt.Fprintf(&b, "Caps: %s at once; %s; %s.\n", many(e.caps.Machines, "machine"), e.budget("day", e.caps.Daily), e.budget("month", e.caps.Monthly))
	if n := e.caps.Machines; n > 0 && e.caps.Daily != 0 && e.caps.Monthly != 0 {
		day := cloud.Money(n) * e.most * cloud.Money(24*time.Hour/policy.BillingPeriod)
		fmt.Fprintf(&b, "%s day and night would cost up to %s %s a day.\n", many(n, "machine"), cents(day), o.Currency)
	}
	for _, why := range e.hindrances() {
		b.WriteString(why + "\n")
	}
	return b.String()
}

// budget says what a budget buys.
func (e estimate) budget(of string, sum int64) string {
	if sum < 0 {
		return "no budget of a " + of
	}
	text := fmt.Sprintf("%s %s a %s", cloud.Money(sum), e.offer.Currency, of)
	if sum > 0 && e.offer.Hour > 0 {
		text += fmt.Sprintf(" (%s of one)", many(int(cloud.Money(sum)/e.offer.Hour), "hour"))
	}
	return text
}

// hindrances are why the caps allow no machine at all.
func (e estimate) hindrances() (all []string) {
	if e.caps.Machines == 0 {
		all = append(all, "It may have 0 machines, so SAM makes none: raise that with `sam account set --max-machines`.")
	}
	for _, one := range []struct {
		name, flag string
		sum        int64
	}{{"daily", "--daily-budget", e.caps.Daily}, {"monthly", "--monthly-budget", e.caps.Monthly}} {
		switch {
		case one.sum == 0:
			all = append(all, fmt.Sprintf("The %s budget is 0, so SAM makes no machine: raise it with `sam account set %s`.", one.name, one.flag))
		case one.sum > 0 && cloud.Money(one.sum) < e.most:
			all = append(all, fmt.Sprintf("The %s budget is less than the first hour of a machine may cost, so SAM makes none: raise it with `sam account set %s`.", one.name, one.flag))
		}
	}
	return all
}

// cents is a sum rounded up to two decimals.
func cents(sum cloud.Money) cloud.Money {
	const cent = cloud.Unit / 100
	return (sum + cent - 1) / cent * cent
}

// many is a number of things.
func many(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
