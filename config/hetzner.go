package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // where SAM runs there may be no table of time zones
	"unicode"
)

// Hetzner says which machines SAM makes at Hetzner, and within what limits. Limits are of each account, and an account's own
// (`sam account set`) stand over them.
type Hetzner struct {
	TokenFile string   // one line, the operator's; empty: only accounts with a token of their own get machines
	Endpoint  string   // of the API, with its version
	Machines  []string // TYPE@LOCATION, in the order of preference
	Image     string
	Memory    Bytes // of one workspace
	// WorkspaceImage is what workspaces on them are made of; empty: the default image, which a machine has only if Image brings it.
	WorkspaceImage string

	SSHKeys  []string // names of keys in Hetzner's project; none: nobody may log in
	Programs string   // a folder with sam-linux-amd64 or sam-linux-arm64, for machines of another architecture than the server's

	MaxMachines   int // at once; 0: none
	DailyBudget   Budget
	MonthlyBudget Budget
	Policy        string  // for how long idle machines are kept; app checks it
	Warm          Windows // when machines are to be warm though there is nothing to do
	Timezone      string  // of Warm, by its IANA name

	// How long things may take: see pool.Timing.
	CallHome, Lost, Again, Reconcile, Orphan time.Duration
}

// Candidate is a type of machine at a location, by Hetzner's names.
type Candidate struct{ Type, Location string }

// Candidates are the machines in the order of preference.
func (h Hetzner) Candidates() []Candidate {
	all := make([]Candidate, len(h.Machines))
	for i, text := range h.Machines {
		all[i].Type, all[i].Location, _ = strings.Cut(text, "@")
	}
	return all
}

// Location is the time zone of Warm.
func (h Hetzner) Location() (*time.Location, error) { return time.LoadLocation(h.Timezone) }

// defaultHetzner prefers the machine that the policies were measured with (docs/simulate.md): three workspaces fit on it, so that of a
// person's next tasks few wait for another. Then comes the least on which an agent builds something, then what costs more and is seldom
// sold out. Nothing here knows a price: those are read from the API.
func defaultHetzner() Hetzner {
	h := Hetzner{
		Endpoint: "https://api.hetzner.cloud/v1", Image: "docker-ce", Memory: 4 << 30, Policy: "hour-renew", Timezone: "UTC",
		MaxMachines: 3, DailyBudget: 5 * euro, MonthlyBudget: 50 * euro,
		CallHome: longestCallHome, Lost: 10 * time.Minute, Again: time.Minute, Reconcile: 5 * time.Minute, Orphan: 15 * time.Minute,
	}
	for _, kind := range []string{"cx43", "cx33", "cpx32"} {
		for _, location := range []string{"nbg1", "fsn1", "hel1"} {
			h.Machines = append(h.Machines, kind+"@"+location)
		}
	}
	return h
}

// longestCallHome is how long the token of a machine's user data is good: one that calls home later is refused.
const longestCallHome = 15 * time.Minute

// mostMachines is more than a project of Hetzner's may have.
const mostMachines = 1000

// mostMachineMemory leaves room above the largest of Hetzner's machines, which has 192 GB in November 2026 (ccx63). Which of them
// are made, and so how much there really is, is known to the API alone.
const mostMachineMemory Bytes = 1 << 40

var candidate = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}@[a-z][a-z0-9-]{0,30}$`)

func (h Hetzner) check() []Error {
	var all []Error
	wrong := func(key, format string, args ...any) {
		all = append(all, Error{"hetzner." + key, fmt.Sprintf(format, args...)})
	}
	if why := notAddress(h.Endpoint); why != "" {
		wrong("endpoint", "%s", why)
	} else if u, err := url.Parse(h.Endpoint); err == nil && u.Scheme != "https" && !isLoopback(u.Hostname()) {
		wrong("endpoint", "%q would carry tokens in the open: it is to be https, or on this machine", h.Endpoint)
	}
	if len(h.Machines) == 0 {
		wrong("machines", "is empty: name types and locations, as in cx33@nbg1")
	}
	for i, text := range h.Machines {
		switch {
		case !candidate.MatchString(text):
			wrong("machines", "%q is no machine: write its type and its location by Hetzner's names, as in cx33@nbg1", text)
		case slices.Contains(h.Machines[:i], text):
			wrong("machines", "%q is there twice", text)
		}
	}
	if h.Image == "" {
		wrong("image", "is missing: docker-ce, or another of Hetzner's names for one that has Docker")
	}
	if h.Memory < leastMemory {
		wrong("memory", "%s is too little for an agent and what it builds: give it %s or more", h.Memory, leastMemory)
	}
	if h.Memory > mostMachineMemory {
		wrong("memory", "%s is more than any machine of Hetzner's has, and so more than a workspace can be given: give it %s or less", h.Memory, mostMachineMemory)
	}
	if strings.ContainsFunc(h.WorkspaceImage, unicode.IsSpace) {
		wrong("workspace_image", "%q is no image: write its name as in ghcr.io/acme/workspace:1", h.WorkspaceImage)
	}
	if slices.Contains(h.SSHKeys, "") {
		wrong("ssh_keys", "has an empty name: write a key's name as Hetzner's project has it")
	}
	if h.MaxMachines < 0 || h.MaxMachines > mostMachines {
		wrong("max_machines", "%d is not between 0 and %d", h.MaxMachines, mostMachines)
	}
	if h.Policy == "" {
		wrong("policy", "is missing: hour-renew, or another that `sam simulate` compares")
	}
	if _, err := h.Location(); err != nil || h.Timezone == "" || h.Timezone == "Local" {
		wrong("timezone", "%q is no time zone: write its name as in UTC or Europe/Berlin", h.Timezone)
	}
	if h.CallHome > longestCallHome {
		wrong("call_home", "%s is longer than a machine can take: after %s it is refused", h.CallHome, longestCallHome)
	}
	for _, one := range []struct {
		key       string
		is, least time.Duration
	}{
		{"call_home", h.CallHome, 10 * time.Second}, {"lost", h.Lost, 30 * time.Second},
		{"again", h.Again, time.Second}, {"reconcile", h.Reconcile, time.Second}, {"orphan", h.Orphan, 10 * time.Second},
	} {
		if one.is < one.least {
			wrong(one.key, "%s is less than %s", one.is, one.least)
		}
	}
	return all
}
