package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"sam/sandbox/hostile/orders"
)

// flood prints until it is stopped, or has printed all that it was told to.
func (i *intruder) flood() orders.Report {
	chunk := []byte(strings.Repeat("flood flood flood flood flood flood flood flood\n", 1365)) // 64 KiB
	printed, stray := int64(0), int64(0)
	for printed+stray < i.Amount {
		n, err := os.Stderr.Write(chunk)
		stray += int64(n)
		if err != nil {
			break
		}
		n, err = os.Stdout.Write(chunk)
		printed += int64(n)
		if err != nil {
			break
		}
	}
	return tried("printed %d and %d bytes", printed, stray)
}

// forkBomb starts processes until the system refuses, and then as many again.
func (i *intruder) forkBomb() orders.Report {
	var all []*exec.Cmd
	var refused error
	for n := 0; n < 5000 && refused == nil; n++ {
		cmd := exec.Command("/proc/self/exe", "wait", i.Mark) //nolint:noctx // that is the point
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if refused = cmd.Start(); refused == nil {
			all = append(all, cmd)
		}
	}
	for range 200 {
		cmd := exec.Command("/proc/self/exe", "wait", i.Mark) //nolint:noctx // that is the point
		if cmd.Start() == nil {
			all = append(all, cmd)
		}
	}
	started := len(all)
	for _, cmd := range all {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	return tried("started %d processes, then: %v", started, refused)
}

// fillDisk writes until it is stopped, or has written all that it was told to.
func (i *intruder) fillDisk() orders.Report {
	file, err := os.Create("/workspace/filler")
	if err != nil {
		return unable("%v", err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	chunk := make([]byte, 1<<20)
	for n := range chunk {
		chunk[n] = byte(n * 7)
	}
	written := int64(0)
	for written < i.Amount && err == nil {
		var n int
		n, err = file.Write(chunk)
		written += int64(n)
		if err == nil && written%(32<<20) == 0 {
			_ = file.Sync()
			<-time.After(250 * time.Millisecond) // no faster than a download; what watches has its chance
		}
	}
	return tried("wrote %d bytes, then: %v", written, err)
}

// outlive leaves processes that do not want to end, and then stays itself until it is stopped.
func (i *intruder) outlive() orders.Report {
	for n := range 3 {
		cmd := exec.Command("/proc/self/exe", "daemon", i.Mark, fmt.Sprint(n)) //nolint:noctx // that is the point
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			return unable("%v", err)
		}
	}
	i.say(orders.Write(orders.Report{Attempt: "outliving", Ran: true}))
	return i.hold()
}

// pause leaves time to be looked at.
func pause() orders.Report {
	<-time.After(1500 * time.Millisecond)
	return tried("waited")
}

// hide keeps a secret where others may look for it.
func (i *intruder) hide() orders.Report {
	if err := os.WriteFile("secret.txt", []byte(i.Own), 0o644); err != nil { //nolint:gosec // G306: others are to try to read it
		return unable("%v", err)
	}
	return tried("hidden")
}

// tellToken gives the task's own token away, in a form that nobody blanks.
func (i *intruder) tellToken() orders.Report { return tried("%x", i.token()) }

// hold stays, whatever it is told.
func (i *intruder) hold() orders.Report {
	ignore()
	go func() { _, _ = io.Copy(io.Discard, os.Stdin) }()
	<-time.After(2 * time.Minute)
	return tried("nobody stopped it")
}

func ignore() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2)
}

// daemon forks once more, so that nobody is its parent, and stays.
func daemon() {
	ignore()
	if len(os.Args) < 5 {
		cmd := exec.Command("/proc/self/exe", append(os.Args[1:], "again")...) //nolint:noctx // that is the point
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		_ = cmd.Start()
		return
	}
	<-time.After(5 * time.Minute)
}

// poisonMirror tries to change what the next workspace is made from.
func (i *intruder) poisonMirror() orders.Report {
	text, err := os.ReadFile(".git/objects/info/alternates")
	if err != nil {
		return unable("%v", err)
	}
	objects := strings.TrimSpace(string(text))
	entries, err := os.ReadDir(objects)
	if err != nil {
		return unable("the mirror that is borrowed from: %v", err)
	}
	var all []string
	note := func(what string, err error) { all = append(all, fmt.Sprintf("%s: %v", what, err)) }
	note("write", os.WriteFile(objects+"/owned", []byte("owned"), 0o600))
	note("chmod", os.Chmod(objects, 0o777)) //nolint:gosec // G302: that is the point
	note("mkdir", os.Mkdir(objects+"/ff", 0o700))
	note("up", os.WriteFile(objects+"/../HEAD", []byte("ref: refs/heads/owned\n"), 0o600))
	note("config", os.WriteFile(objects+"/../config", []byte("[core]\n"), 0o600))
	note("remount", syscall.Mount("none", objects, "", syscall.MS_REMOUNT|syscall.MS_BIND, ""))
	note("over", syscall.Mount("/tmp", objects, "", syscall.MS_BIND, ""))
	for _, entry := range entries {
		folder := objects + "/" + entry.Name()
		files, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, file := range files {
			path := folder + "/" + file.Name()
			note(file.Name(), errors.Join(os.Chmod(path, 0o666), os.WriteFile(path, []byte("owned"), 0o600), os.Remove(path))) //nolint:gosec // G302: that is the point
		}
	}
	said := strings.Join(all, "; ")
	return tried("%s", said[:min(len(said), orders.MaxSaid)])
}

// poisonTools tries to change what the node gives to every workspace.
func (i *intruder) poisonTools() orders.Report {
	self, err := os.Executable()
	if err != nil {
		return unable("%v", err)
	}
	var all []string
	for _, path := range []string{"/opt/sam/sam", self} {
		all = append(all, fmt.Sprintf("%s: %v, %v, %v", path, os.WriteFile(path, []byte("owned"), 0o600), os.Remove(path), os.Rename("/tmp/x", path)))
	}
	all = append(all, fmt.Sprint(os.WriteFile("/opt/sam/agents/owned", nil, 0o600)), fmt.Sprint(os.Remove("/run/sam/node/node.sock")),
		fmt.Sprint(os.WriteFile("/run/sam/node/owned", nil, 0o600)))
	return tried("%s", strings.Join(all, "; "))
}

// repository says what the environment that a repository asked for came to.
func (i *intruder) repository() orders.Report {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return unable("%v", err)
	}
	said, _ := do("git", "config", "--local", "--list")
	r := tried("uid %d; %s", os.Getuid(), said)
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, "Cap") || strings.HasPrefix(line, "NoNewPrivs") {
			r.Said += "; " + line
		}
	}
	s := &sack{own: i.Own}
	for _, path := range []string{"CANARY.md", "etc-link/shadow", "host-link", "/mnt/host/canary", "escape/canary"} {
		if data, err := head(path, 64<<10); err == nil {
			s.look(data)
		}
	}
	r.Loot, r.Own = s.loot, s.found
	return r
}

// made says what is in the image that was made for this workspace.
func (i *intruder) made() orders.Report {
	data, err := os.ReadFile("/made")
	if err != nil {
		return unable("the image is not the repository's: %v", err)
	}
	r := tried("%s", strings.TrimSpace(string(data)))
	s := &sack{own: i.Own}
	for _, path := range []string{"CANARY.md", "/mnt/host/canary", "/mnt/env/canary"} {
		if data, err := head(path, 64<<10); err == nil {
			s.look(data)
		}
	}
	r.Loot, r.Own = s.loot, s.found
	return r
}
