package agent

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// owner names a process for good. A number is given again after its process has ended, but not with the same start on the
// same boot. What belongs to a process alone bears its owner, so that another can tell that nobody will come back for it.
type owner struct {
	boot  string // the kernel's id of the boot
	space string // the pid namespace in which the number counts
	pid   int
	start string // in clock ticks after the boot
}

func ownerOf(pid int) (owner, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return owner{}, fmt.Errorf("name process %d: %w", pid, err)
	}
	space, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/pid")
	if err != nil {
		return owner{}, fmt.Errorf("name process %d: %w", pid, err)
	}
	_, start, err := processStat(pid)
	return owner{boot: strings.TrimSpace(string(boot)), space: space, pid: pid, start: start}, err
}

// processStat is a process's state, a letter as in proc_pid_stat(5), and its start.
func processStat(pid int) (state, start string, err error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", "", fmt.Errorf("look at process %d: %w", pid, err)
	}
	// pid (name) state … start: the name may hold anything, parentheses too.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const startAt = 22 - 3 // proc_pid_stat(5) counts from 1 and has two fields before the state
	if len(fields) <= startAt {
		return "", "", fmt.Errorf("look at process %d: its stat has %d fields", pid, len(fields))
	}
	return fields[0], fields[startAt], nil
}

func (o owner) String() string {
	return strings.Join([]string{o.boot, o.space, strconv.Itoa(o.pid), o.start}, " ")
}

// parseOwner reads what String wrote; ok is false for anything else.
func parseOwner(text string) (o owner, ok bool) {
	fields := strings.Fields(text)
	if len(fields) != 4 || len(fields[0]) != len("00000000-0000-0000-0000-000000000000") || !strings.HasPrefix(fields[1], "pid:[") {
		return owner{}, false
	}
	pid, err := strconv.Atoi(fields[2])
	return owner{boot: fields[0], space: fields[1], pid: pid, start: fields[3]}, err == nil && pid > 0
}

// gone reports whether the process has ended, as all have that began on an earlier boot. Where that cannot be told, as of
// one in another pid namespace, it has not.
func (o owner) gone() bool {
	here, err := ownerOf(os.Getpid())
	switch {
	case err != nil:
		return false
	case o.boot != here.boot:
		return true
	case o.space != here.space:
		return false
	case errors.Is(syscall.Kill(o.pid, 0), syscall.ESRCH):
		return true
	}
	state, start, err := processStat(o.pid)
	return err == nil && (start != o.start || state == "Z" || state == "X")
}

// earlier reports whether the process began on another boot than this one.
func (o owner) earlier() bool {
	here, err := ownerOf(os.Getpid())
	return err == nil && o.boot != here.boot
}
