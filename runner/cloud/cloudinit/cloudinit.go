// Package cloudinit writes what a new machine is told at its first boot: cloud-init's user data.
//
// It is short, for a reason: whatever runs on the machine can read user data from the metadata address until that is blocked, and
// Hetzner takes 32 KiB of it. So it holds one secret, which is worth something once and for minutes, and one program's
// address with its SHA-256; that program, `sam boot`, does the rest and tells how long each step took.
package cloudinit

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"sam/runner/cloud"
)

// Where files are on a node.
const (
	BootFile = "/etc/sam/boot.json"
	Program  = "/usr/local/bin/sam"
	fetch    = "/usr/local/sbin/sam-fetch"
)

// Config is a new node's beginning.
type Config struct {
	Boot     Boot
	Programs map[cloud.Architecture]Download // `sam`, for each architecture that there is one for
}

// Download is a file, and what it must be.
type Download struct {
	URL    string
	SHA256 string // hexadecimal
}

// Boot is what `sam boot` reads from BootFile, which root alone may read.
type Boot struct {
	Node    string    `json:"node"`
	Gateway string    `json:"gateway"`         // where the node dials to: https, or http on an address of the same machine
	Token   string    `json:"token"`           // the one-use bootstrap token
	Made    time.Time `json:"made"`            // by the server's clock
	Memory  int64     `json:"memory"`          // that one workspace may take, in bytes
	Image   string    `json:"image,omitempty"` // of workspaces; empty: the node's default
}

var (
	sum      = regexp.MustCompile(`^[0-9a-f]{64}$`)
	nodeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	token    = regexp.MustCompile(`^[A-Za-z0-9._~-]{16,512}$`)
)

// cloudConfig has cloud-init's top-level keys that are used here, and no others. A key that cloud-init does not know it
// passes over without a word.
type cloudConfig struct {
	Hostname  string     `json:"hostname"`
	Passwords bool       `json:"ssh_pwauth"`
	Update    bool       `json:"package_update"`
	Upgrade   bool       `json:"package_upgrade"`
	Boot      [][]string `json:"bootcmd"`
	Files     []file     `json:"write_files"`
	Run       [][]string `json:"runcmd"`
}

type file struct {
	Path        string `json:"path"`
	Permissions string `json:"permissions"`
	Content     string `json:"content"`
}

// UserData is what a machine of the architecture is told. It is JSON, which is YAML. An error is a fault of the
// configuration: no program for the architecture, an address that is not HTTPS, a name that no host may have.
func (c Config) UserData(a cloud.Architecture) (string, error) {
	program, ok := c.Programs[a]
	gateway, wrong := url.Parse(c.Boot.Gateway)
	switch {
	case !ok:
		return "", fmt.Errorf("there is no `sam` for %s to give to a machine: take types of another architecture, or an image of SAM's that has it", a)
	case !sum.MatchString(program.SHA256):
		return "", fmt.Errorf("%q is no SHA-256 of a program", program.SHA256)
	case !nodeName.MatchString(c.Boot.Node):
		return "", fmt.Errorf("%q is no name of a node: lower case letters, digits and dashes, at most 63", c.Boot.Node)
	case !token.MatchString(c.Boot.Token):
		return "", fmt.Errorf("the bootstrap token of %s is none", c.Boot.Node)
	case wrong != nil || gateway.Host == "" || gateway.Scheme != "https" && gateway.Scheme != "http":
		return "", fmt.Errorf("%q is no address for nodes to dial: it is `public.url` of the configuration", c.Boot.Gateway)
	}
	get, err := fetching(program)
	if err != nil {
		return "", err
	}
	boot, err := json.MarshalIndent(c.Boot, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write what node %s is told: %w", c.Boot.Node, err)
	}
	config, err := json.MarshalIndent(cloudConfig{
		Hostname: c.Boot.Node,
		// apt would hold its lock, and the disk, just when the node is to get ready. `sam boot` starts the timers again at its end.
		Boot: [][]string{{"systemctl", "stop", "--no-block", "apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades.service"}},
		Files: []file{
			{BootFile, "0600", string(boot) + "\n"},
			{fetch, "0700", get},
		},
		Run: [][]string{{fetch}},
	}, "", " ")
	if err != nil {
		return "", fmt.Errorf("write what node %s is told: %w", c.Boot.Node, err)
	}
	data := "#cloud-config\n" + string(config) + "\n"
	if len(data) > cloud.MaxUserData {
		return "", cloud.UserDataError{Bytes: len(data)}
	}
	return data, nil
}

// fetching is the script that fetches `sam`, checks it, and hands over to it. While a new release of the server replaces the
// old one, a replica of the new has no program of this SHA-256 and says 404: so every error is tried again, for three minutes,
// on a new connection, since a kept one leads to the same replica. A try ends after two minutes, or when for 15 s next to nothing came.
func fetching(program Download) (string, error) {
	at, err := url.Parse(program.URL)
	if err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http" || strings.ContainsAny(program.URL, "'\n\r") {
		return "", fmt.Errorf("%q is no address of a program", program.URL)
	}
	return fmt.Sprintf(`#!/bin/sh
# Fetches sam, checks that it is what the server said, and hands over to it.
set -eu
began=$(date +%%s%%3N)
curl --fail --silent --show-error --location --compressed --proto '=%[1]s' --proto-redir '=%[1]s' \
  --retry 200 --retry-delay 1 --retry-max-time 180 --retry-all-errors --header 'Connection: close' \
  --connect-timeout 10 --max-time 120 --speed-time 15 --speed-limit 1000 --output %[2]s.new '%[3]s'
echo '%[4]s  %[2]s.new' | sha256sum --check --status || {
  echo 'sam-fetch: what was fetched from %[3]s is not what the server said: its SHA-256 differs' >&2
  exit 1
}
chmod 0755 %[2]s.new
mv %[2]s.new %[2]s
exec %[2]s boot --fetched "$began" %[5]s
`, at.Scheme, Program, program.URL, program.SHA256, BootFile), nil
}
