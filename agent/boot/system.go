package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// rules close the host: nothing comes in but answers, the provider's DHCP and what IPv6 needs. The metadata address, from
// which user data can be read, is root's alone, and no container's whatever network it has.
const rules = `
table inet sam
delete table inet sam
table inet sam {
  chain input {
    type filter hook input priority -10; policy drop;
    ct state established,related accept
    iifname "lo" accept
    udp sport 67 udp dport 68 accept
    icmp type echo-request limit rate 5/second accept
    icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, echo-request } accept
  }
  chain forward {
    type filter hook forward priority -10; policy accept;
    ip daddr 169.254.0.0/16 drop
    ip6 daddr { fe80::/10, fd00:ec2::254 } drop
  }
  chain output {
    type filter hook output priority -10; policy accept;
    ip daddr 169.254.0.0/16 meta skuid != 0 drop
  }
}
`

func (m *Machine) firewall(ctx context.Context, _ Order) (string, error) {
	if err := m.Run(ctx, rules, "nft", "-f", "-"); err != nil {
		return "", err
	}
	return "nothing comes in; the metadata address is root's alone", nil
}

// engine has Docker keep its images on the disk with quotas, and its logs small.
func (m *Machine) engine(ctx context.Context, _ Order) (string, error) {
	said, err := json.MarshalIndent(map[string]any{
		"data-root":      "/" + stateDir + "/docker",
		"storage-driver": "overlay2",
		"log-driver":     "local",
		"log-opts":       map[string]string{"max-size": "10m", "max-file": "2"},
		"live-restore":   true,
		"bridge":         "none", // no container of SAM's has a network
		"iptables":       false,
		"ip6tables":      false,
	}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write Docker's configuration: %w", err)
	}
	if err := m.write(dockerFile, string(said)+"\n", 0o644); err != nil {
		return "", err
	}
	// Not waited for: after a restart of the machine Docker itself waits for whoever runs this, as the unit below says, and the node
	// waits for Docker.
	return "", m.Run(ctx, "", "systemctl", "restart", "--no-block", "docker.service")
}

func (m *Machine) journal(ctx context.Context, _ Order) (string, error) {
	if err := m.write(journalFile, "[Journal]\nSystemMaxUse=200M\nRuntimeMaxUse=50M\nMaxRetentionSec=14day\n", 0o644); err != nil {
		return "", err
	}
	return "", m.Run(ctx, "", "systemctl", "restart", "systemd-journald.service")
}

// The units. Nothing but sam-boot is needed before the node after a restart of the machine; at the first boot it has run
// already, by cloud-init's hand.
const (
	bootUnit = `[Unit]
Description=SAM: firewall, swap and disk of the node
DefaultDependencies=no
After=local-fs.target network-pre.target
Before=docker.service sam-node.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/bin/sam boot /etc/sam/boot.json

[Install]
WantedBy=multi-user.target
`
	// It may do what root may, since it makes containers and gives files to their users. Whatever ends it, it is started again;
	// what runs in containers goes on meanwhile. Where memory runs out it is the last to go, and what it has started goes before
	// it (the agent's expendable): systemd is told to leave the node as it is then, for by itself it would stop all of it.
	nodeUnit = `[Unit]
Description=SAM node
After=network-online.target docker.service sam-boot.service
Wants=network-online.target

[Service]
ExecStart=/usr/local/bin/sam node --config /etc/sam/node.yml
Restart=always
RestartSec=2
KillMode=process
TimeoutStopSec=30
OOMScoreAdjust=-900
OOMPolicy=continue
LimitNOFILE=1048576

[Install]
WantedBy=multi-user.target
`
)

// hostMemory is what the system, Docker and the node take, in bytes.
const hostMemory = 512 << 20

// node hands the token over to the node, where it is removed when it has done its work, and tells systemd of the node.
func (m *Machine) node(ctx context.Context, order Order) (string, error) {
	slots := int64(1)
	if order.Memory > 0 {
		slots = max(1, (m.Memory-hostMemory)/order.Memory)
	}
	// JSON is YAML.
	settings := map[string]any{
		"gateway": order.Gateway, "name": order.Node, "bootstrap_file": "/" + bootstrapFile, "dir": "/" + stateDir + "/node",
		"boot_report": "/" + reportFile, "workspace": "docker", "slots": slots,
	}
	if order.Memory > 0 {
		// A node refuses more than its machine has, and a machine may be smaller than what was meant for one workspace.
		settings["memory"] = fmt.Sprintf("%dMiB", min(order.Memory, m.Memory)>>20)
	}
	if order.Image != "" {
		settings["image"] = order.Image
	}
	said, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write the node's configuration: %w", err)
	}
	// A machine that restarts has its key; a token that was used is not brought back.
	if order.Token != "" && !m.exists(stateDir+"/node/node.key") {
		if err := m.write(bootstrapFile, order.Token+"\n", 0o600); err != nil {
			return "", err
		}
	}
	if err := m.write(nodeFile, string(said)+"\n", 0o600); err != nil {
		return "", err
	}
	if err := errors.Join(m.write(bootUnitFile, bootUnit, 0o644), m.write(nodeUnitFile, nodeUnit, 0o644)); err != nil {
		return "", err
	}
	for _, words := range [][]string{
		{"daemon-reload"},
		{"enable", "sam-boot.service", "sam-node.service"},
	} {
		if err := m.Run(ctx, "", "systemctl", words...); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d workspaces at once", slots), nil
}

// start does not wait for the node, which may have to wait for whoever runs this.
func (m *Machine) start(ctx context.Context, _ Order) (string, error) {
	return "", m.Run(ctx, "", "systemctl", "start", "--no-block", "sam-node.service")
}

// updates lets apt look for them again, which cloud-init was told to stop.
func (m *Machine) updates(ctx context.Context, _ Order) (string, error) {
	return "", m.Run(ctx, "", "systemctl", "start", "--no-block", "apt-daily.timer", "apt-daily-upgrade.timer")
}

// allocate gives a file its blocks: swap has no holes.
func allocate(file *os.File, size int64) error {
	return syscall.Fallocate(int(file.Fd()), 0, 0, size)
}
