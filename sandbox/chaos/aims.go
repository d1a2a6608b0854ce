package chaos

import (
	"net/http"
	"slices"
	"time"

	"sam/sandbox/github"
	"sam/sandbox/hetzner"
)

// plan is what a run is hurt with.
type plan struct {
	kinds    []string          // of violence, each struck in turn
	rules    []github.Rule     // of GitHub's stand-in
	machines bool              // are killed, and who makes them
	cloud    []hetzner.Rule    // of Hetzner's
	later    []hetzner.Rule    // likewise, in runs that last long, where they find a creation
	seen     func(*Report) int // what must be found
}

// hub is the plan for GitHub's stand-in. Each kind strikes the first time it can, so that short runs meet it too, and then
// as its rule says.
func (p plan) hub(seed uint64) github.Faults {
	f := github.Faults{Seed: seed}
	for _, r := range p.rules {
		if r.Next == 0 {
			first := r
			first.Probability, first.Next = 0, 1
			f.Rules = append(f.Rules, first)
		}
		f.Rules = append(f.Rules, r)
	}
	return f
}

// longRun is how long a run lasts at least in which all that may befall a creation befalls one.
const longRun = 2 * time.Minute

// hetzner is the plan for Hetzner's stand-in in a run that lasts so long, likewise.
func (p plan) hetzner(seed uint64, lasts time.Duration) hetzner.Faults {
	f := hetzner.Faults{Seed: seed}
	rules := p.cloud
	if lasts >= longRun {
		rules = slices.Concat(p.later, rules)
	}
	for _, r := range rules {
		if r.Next == 0 {
			first := r
			first.Probability, first.Next = 0, 1
			f.Rules = append(f.Rules, first)
		}
		f.Rules = append(f.Rules, r)
	}
	return f
}

// serversPath is that of Hetzner's calls that make and list servers.
const serversPath = "/servers"

// everything is what an unbroken product must bear.
var everything = plan{
	kinds:    []string{killReplica, killNode, killRedis, pauseReplica, pauseNode, rollingRestart, replyLost, replyLate, wakeAll, pauseAtEnd},
	machines: true,
	rules: []github.Rule{
		{Kind: github.Duplicate, Probability: 0.2},
		{Kind: github.Twin, Probability: 0.1},
		{Kind: github.Late, Probability: 0.1},
		{Kind: github.Unreachable, Probability: 0.03},
		{Kind: github.Failed, Probability: 0.03},
		{Kind: github.FailedTaken, Probability: 0.05},
		{Kind: github.TimedOut, Probability: 0.03},
		{Kind: github.BadGateway, Probability: 0.03},
		{Kind: github.BadGatewayAfter, Probability: 0.05},
		{Kind: github.TokenForgotten, Probability: 0.01},
		{Kind: github.Secondary403, Next: 3},
		{Kind: github.Git503, Probability: 0.05},
		{Kind: github.PushAnswerLost, Probability: 0.05},
	},
	cloud: []hetzner.Rule{
		{Kind: hetzner.ResourceUnavailable, Probability: 0.2, Method: http.MethodPost, Path: serversPath},
		{Kind: hetzner.Unavailable, Probability: 0.05, Method: http.MethodGet, Path: serversPath},
	},
	later: []hetzner.Rule{
		{Kind: hetzner.RateLimit, Probability: 0.01},
		{Kind: hetzner.StaleList, Probability: 0.5, Path: serversPath},
		{Kind: hetzner.AnswerLost, Probability: 0.1, Method: http.MethodPost, Path: serversPath},
		{Kind: hetzner.BadGatewayAfter, Next: 4, Method: http.MethodDelete, Path: serversPath + "/*"},
		{Kind: hetzner.Conflict, Probability: 0.05, Method: http.MethodPost, Path: serversPath},
		{Kind: hetzner.ActionSlow, Probability: 0.1, For: hetzner.Duration(5 * time.Second)},
		{Kind: hetzner.MachineNeverBoots, Probability: 0.05},
	},
}

// aims say, for each protection that can be taken away, where a blow goes through without it.
var aims = map[string]*plan{
	// Without it a delivery, or an event, that comes twice makes its task twice.
	"dedupe": {
		kinds: []string{killReplica},
		rules: []github.Rule{{Kind: github.Duplicate, Probability: 0.5}, {Kind: github.Twin, Probability: 0.5}},
		seen:  func(r *Report) int { return r.DuplicateTasks },
	},
	// Without it whoever is woken takes a task from its living holder.
	"lease": {kinds: []string{wakeAll}, seen: func(r *Report) int { return r.StaleWrites }},
	// Without it a replica that was away for longer than its lease still ends its task, which another has ended.
	"fence": {kinds: []string{pauseAtEnd}, seen: func(r *Report) int { return r.StaleWrites }},
	// Without it an effect is forgotten before it is delivered, and GitHub refuses it once.
	"owed": {
		kinds: []string{killReplica},
		rules: []github.Rule{{Kind: github.BadGateway, Probability: 0.3, Method: "POST", Path: "/repos/*/*/issues/*/comments"}},
		seen:  func(r *Report) int { return r.Lost },
	},
	// Without it a delivery is forgotten before it is handled, and handling it fails once.
	"ack": {
		kinds: []string{killReplica},
		rules: []github.Rule{{Kind: github.BadGateway, Probability: 0.7, Path: "/repos/*/*/collaborators/*/permission"}},
		seen:  func(r *Report) int { return r.Lost },
	},
}

// Protections are the names that Options.Break may have.
func Protections() []string {
	names := make([]string, 0, len(aims))
	for name := range aims {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
