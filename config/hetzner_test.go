package config_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sam/config"
)

func TestMachinesOfHetznersAreConfigured(t *testing.T) {
	path := write(t, whole+`hetzner:
  token_file: hetzner-token
  endpoint: http://127.0.0.1:3002/v1
  machines: [cx43@hel1, cax21@nbg1]
  image: my-image
  workspace_image: ghcr.io/acme/workspace:1
  memory: 6GiB
  ssh_keys: [ada]
  programs: programs
  max_machines: 7
  daily_budget: 2.50
  monthly_budget: unlimited
  policy: fixed-10m
  timezone: Europe/Berlin
  call_home: 5m
  lost: 90s
  again: 10s
  reconcile: 2m
  orphan: 30m
  warm:
    - {days: [mon, tue, fri], from: 08:30, to: 18:00, machines: 2}
    - from: 22:00
      to: "06:00"
      machines: 1
`)
	got, err := config.Load(path, []string{"SAM_HETZNER_MAX_MACHINES=4"})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	want := config.Hetzner{
		TokenFile: filepath.Join(dir, "hetzner-token"), Endpoint: "http://127.0.0.1:3002/v1", Machines: []string{"cx43@hel1", "cax21@nbg1"},
		Image: "my-image", WorkspaceImage: "ghcr.io/acme/workspace:1", Memory: 6 << 30, SSHKeys: []string{"ada"}, Programs: filepath.Join(dir, "programs"),
		MaxMachines: 4, DailyBudget: 2_500_000, MonthlyBudget: config.Unlimited, Policy: "fixed-10m", Timezone: "Europe/Berlin",
		CallHome: 5 * time.Minute, Lost: 90 * time.Second, Again: 10 * time.Second, Reconcile: 2 * time.Minute, Orphan: 30 * time.Minute,
		Warm: config.Windows{
			{Days: []time.Weekday{time.Monday, time.Tuesday, time.Friday}, From: 8*time.Hour + 30*time.Minute, To: 18 * time.Hour, Machines: 2},
			{From: 22 * time.Hour, To: 6 * time.Hour, Machines: 1},
		},
	}
	if !reflect.DeepEqual(got.Hetzner, want) {
		t.Errorf("got  %+v\nwant %+v", got.Hetzner, want)
	}
	if all := got.Hetzner.Candidates(); !reflect.DeepEqual(all, []config.Candidate{{Type: "cx43", Location: "hel1"}, {Type: "cax21", Location: "nbg1"}}) {
		t.Errorf("candidates %+v", all)
	}
	if zone, err := got.Hetzner.Location(); err != nil || zone.String() != "Europe/Berlin" {
		t.Errorf("%v, %v", zone, err)
	}
}

func TestByDefaultFewMachinesAndLittleMoneyAreAllowed(t *testing.T) {
	h := config.Defaults().Hetzner
	if h.TokenFile != "" || h.MaxMachines != 3 || h.DailyBudget.String() != "5" || h.MonthlyBudget.String() != "50" || len(h.Machines) != 9 || h.Warm != nil {
		t.Errorf("%+v", h)
	}
	got, err := config.Load(write(t, whole+"hetzner:\n  warm:\n  machines: # none named\n"), nil)
	if err != nil || !reflect.DeepEqual(got.Hetzner, h) {
		t.Errorf("%+v, %v", got.Hetzner, err)
	}
}

func TestABudgetOfZeroIsOneAndUnlimitedIsNone(t *testing.T) {
	got, err := config.Load(write(t, whole+"hetzner:\n  daily_budget: 0\n  monthly_budget: unlimited\n"), nil)
	if err != nil || got.Hetzner.DailyBudget != 0 || got.Hetzner.MonthlyBudget >= 0 {
		t.Errorf("%d, %d, %v", got.Hetzner.DailyBudget, got.Hetzner.MonthlyBudget, err)
	}
}

func TestABudgetThatIsShownIsReadBack(t *testing.T) {
	for text, want := range map[string]config.Budget{"0": 0, "5": 5_000_000, "0.000001": 1, "999999999.999999": 999_999_999_999_999, "unlimited": config.Unlimited} {
		if got, err := config.ParseBudget(text); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "1e3", "5,00", "1.0000001", "5 EUR", "none", "NaN", ".5", "1234567890"} {
		if got, err := config.ParseBudget(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		b := config.Budget(rapid.Int64Range(-1, 999_999_999_999_999).Draw(r, "millionths"))
		if back, err := config.ParseBudget(b.String()); err != nil || back != b {
			r.Errorf("%d is shown as %s and read as %d, %v", b, b, back, err)
		}
	})
}

func TestWhatIsWrongAboutHetznerIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"  machines: []":                                  "FILE:6: hetzner.machines: is empty: name types and locations, as in cx33@nbg1",
		"  machines: [cx33]":                              `FILE:6: hetzner.machines: "cx33" is no machine: write its type and its location by Hetzner's names, as in cx33@nbg1`,
		"  machines: [cx33@nbg1, a@b, cx33@nbg1]":         `FILE:6: hetzner.machines: "cx33@nbg1" is there twice`,
		"  endpoint: http://api.example/v1":               `FILE:6: hetzner.endpoint: "http://api.example/v1" would carry tokens in the open: it is to be https, or on this machine`,
		"  endpoint: api":                                 `FILE:6: hetzner.endpoint: "api" is not an http or https address`,
		"  image: ''":                                     "FILE:6: hetzner.image: is missing: docker-ce, or another of Hetzner's names for one that has Docker",
		"  memory: 1MiB":                                  "FILE:6: hetzner.memory: 1 MiB is too little for an agent and what it builds: give it 256 MiB or more",
		"  memory: 1000TiB":                               "FILE:6: hetzner.memory: 1000 TiB is more than any machine of Hetzner's has, and so more than a workspace can be given: give it 1 TiB or less",
		"  workspace_image: my image":                     "FILE:6: hetzner.workspace_image: \"my image\" is no image: write its name as in ghcr.io/acme/workspace:1",
		"  ssh_keys: ['']":                                "FILE:6: hetzner.ssh_keys: has an empty name: write a key's name as Hetzner's project has it",
		"  max_machines: -1":                              "FILE:6: hetzner.max_machines: -1 is not between 0 and 1000",
		"  daily_budget: none":                            "FILE:6: hetzner.daily_budget: none is no budget: write an amount in EUR such as 5 or 2.50, 0 for none at all, or unlimited",
		"  daily_budget: [5]":                             "FILE:6: hetzner.daily_budget: what stands here is no budget: write an amount in EUR such as 5 or 2.50, 0 for none at all, or unlimited",
		"  policy: ''":                                    "FILE:6: hetzner.policy: is missing: hour-renew, or another that `sam simulate` compares",
		"  timezone: Europe/Atlantis":                     `FILE:6: hetzner.timezone: "Europe/Atlantis" is no time zone: write its name as in UTC or Europe/Berlin`,
		"  timezone: Local":                               `FILE:6: hetzner.timezone: "Local" is no time zone: write its name as in UTC or Europe/Berlin`,
		"  call_home: 20m":                                "FILE:6: hetzner.call_home: 20m0s is longer than a machine can take: after 15m0s it is refused",
		"  call_home: 1s":                                 "FILE:6: hetzner.call_home: 1s is less than 10s",
		"  lost: 0s":                                      "FILE:6: hetzner.lost: 0s is less than 30s",
		"  orphan: soon":                                  "FILE:6: hetzner.orphan: soon is no time: write a number and a unit, as in 90s, 20m or 24h",
		"  keep: true":                                    "FILE:6: hetzner.keep: is no setting",
		"  warm: always":                                  "FILE:6: hetzner.warm: is a list of windows, which only the configuration's file can hold: write [{days: [mon, tue], from: 08:00, to: 18:00, machines: 1}]",
		"  warm: [{from: 08:00, to: 18:00}]":              "FILE:6: hetzner.warm.machines: is missing",
		"  warm: [{from: 08:00, machines: 1}]":            "FILE:6: hetzner.warm.to: is missing",
		"  warm: [{from: 8am, to: 18:00, machines: 1}]":   `FILE:6: hetzner.warm.from: "8am" is no time of a day: write it from 00:00 to 24:00, as in 08:30`,
		"  warm: [{from: 08:00, to: 24:01, machines: 1}]": `FILE:6: hetzner.warm.to: "24:01" is no time of a day: write it from 00:00 to 24:00, as in 08:30`,
		"  warm: [{from: 08:60, to: 24:00, machines: 1}]": `FILE:6: hetzner.warm.from: "08:60" is no time of a day: write it from 00:00 to 24:00, as in 08:30`,
		"  warm: [{from: 08:00, to: 08:00, machines: 1}]": "FILE:6: hetzner.warm.to: is when the window begins, so it would keep nothing warm; a whole day is from 00:00 to 24:00",
		"  warm: [{from: 08:00, to: 09:00, machines: 0}]": `FILE:6: hetzner.warm.machines: "0" is not a whole number from 1 to 1000: for no machines leave the window out`,
		"  warm: [{from: 08:00, to: 09:00, machines: 1, days: mon}]": "FILE:6: hetzner.warm.days: is not a list of days: write [mon, tue, …]",
		"  warm: [{days: [monday]}]":                                 `FILE:6: hetzner.warm.days: "monday" is none of sun, mon, tue, wed, thu, fri, sat`,
		"  warm: [{every: day}]":                                     "FILE:6: hetzner.warm.every: is no setting",
		"  warm: [always]":                                           "FILE:6: hetzner.warm: has keys of its own, and what stands here is none",
	} {
		path := write(t, whole+"hetzner:\n"+text+"\n")
		_, err := config.Load(path, nil)
		if err == nil || strings.ReplaceAll(err.Error(), path, "FILE") != want {
			t.Errorf("%s:\ngot  %v\nwant %s", text, err, want)
		}
	}
	environ := []string{"SAM_GITHUB_APP_ID=1", "SAM_GITHUB_PRIVATE_KEY_FILE=k", "SAM_GITHUB_WEBHOOK_SECRET_FILE=s", "SAM_HETZNER_WARM=x"}
	if _, err := config.Load("", environ); err == nil || !strings.HasPrefix(err.Error(), "environment: SAM_HETZNER_WARM: hetzner.warm: is a list of windows, which only") {
		t.Errorf("from the environment: %v", err)
	}
}
