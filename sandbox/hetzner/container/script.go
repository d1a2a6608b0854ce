package container

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"path"
	"strings"
)

// systemctl stands in for systemd, which is not process 1 here.
//
//go:embed systemctl.sh
var systemctl string

// instance is where cloud-init keeps what is of this boot.
const instance = "/var/lib/cloud/instance"

// script is what a machine does on its first boot, for sh. A command that fails
// stops nothing, as with cloud-init.
func script(userData string) (string, error) {
	var b strings.Builder
	b.WriteString("umask 022\n")
	// The clock is the machine's own: from its first instruction.
	b.WriteString("echo \"Cloud-init, as the stand-in has it, running at $(date -u +%FT%TZ). Up $(cut -d' ' -f1 /proc/uptime) seconds.\"\n")
	put(&b, file{Path: "/usr/local/bin/systemctl", Permissions: "0755", data: []byte(systemctl)})
	put(&b, file{Path: "/usr/local/sbin/poweroff", Permissions: "0755", data: []byte("#!/bin/sh\nexec kill -TERM 1\n")})
	put(&b, file{Path: instance + "/user-data.txt", Permissions: "0600", data: []byte(userData)})
	switch first, _, _ := strings.Cut(userData, "\n"); {
	case strings.TrimSpace(first) == "#cloud-config":
		c, err := parseCloudConfig(userData)
		if err != nil {
			return "", err
		}
		c.write(&b)
	case strings.HasPrefix(first, "#!"):
		run(&b, "part-001", userData)
	case strings.TrimSpace(userData) != "":
		return "", fmt.Errorf("user data begins with %q: it is neither a cloud-config nor a script", first)
	}
	b.WriteString("echo 'Cloud-init finished.'\n: >" + instance + "/boot-finished\n")
	return b.String(), nil
}

// write adds a cloud-config's parts in the order in which cloud-init does them.
func (c cloudConfig) write(b *strings.Builder) {
	for _, key := range c.ignored {
		fmt.Fprintf(b, "echo %s\n", quote("The stand-in does nothing about "+key+"."))
	}
	for _, one := range c.BootCmd {
		b.WriteString("(" + one.shell() + "\n)\n")
	}
	for _, late := range []bool{false, true} {
		for _, f := range c.WriteFiles {
			if f.Defer == late {
				put(b, f)
			}
		}
	}
	if len(c.RunCmd) == 0 {
		return
	}
	text := "#!/bin/sh\n"
	for _, one := range c.RunCmd {
		text += one.shell() + "\n"
	}
	run(b, "runcmd", text)
}

// run keeps a script where cloud-init does, and runs it.
func run(b *strings.Builder, name, text string) {
	at := instance + "/scripts/" + name
	put(b, file{Path: at, Permissions: "0700", data: []byte(text)})
	fmt.Fprintf(b, "%s || echo \"Failed to run %s: exit status $?\"\n", at, name)
}

// put writes a file. Its bytes go as base64, so that nothing of them is for the
// shell.
func put(b *strings.Builder, f file) {
	to, at := ">", quote(f.Path)
	if f.Append {
		to = ">>"
	}
	fmt.Fprintf(b, "mkdir -p %s && base64 -d %s%s <<'END'\n%s\nEND\n", quote(path.Dir(f.Path)), to, at, base64.StdEncoding.EncodeToString(f.data))
	mode := f.Permissions
	if mode == "" {
		mode = "0644"
	}
	fmt.Fprintf(b, "chmod %s %s\n", quote(strings.TrimPrefix(mode, "0o")), at)
	if f.Owner != "" {
		fmt.Fprintf(b, "chown %s %s\n", quote(f.Owner), at)
	}
}

func (c command) shell() string {
	if c.words == nil {
		return c.line
	}
	quoted := make([]string, len(c.words))
	for i, w := range c.words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

// quote makes one word for sh.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
