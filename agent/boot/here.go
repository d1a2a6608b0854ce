package boot

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Here is the machine that this process runs on.
func Here() (*Machine, error) {
	memory, err := memoryHere()
	if err != nil {
		return nil, err
	}
	return &Machine{Root: "/", Memory: memory, Run: run, Free: free, Mounted: mounted}, nil
}

func memoryHere() (int64, error) {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("find out how much memory there is: %w", err)
	}
	return int64(info.Totalram) * int64(info.Unit), nil //nolint:gosec // no machine has so much
}

// maxPrinted is how much of what a program printed an error has, in bytes.
const maxPrinted = 2 << 10

func run(ctx context.Context, stdin, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out[:min(len(out), maxPrinted)]))
	}
	return nil
}

func free(path string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(path, &stat); err != nil {
		return 0, fmt.Errorf("find out how much of the disk is free: %w", err)
	}
	return int64(stat.Bavail) * stat.Bsize, nil //nolint:gosec // no disk is so large
}

// mounted reads proc(5)'s mountinfo, of which the fifth field is where, and swaps, of which the first is what.
func mounted() ([]string, error) {
	var found []string
	for path, field := range map[string]int{"/proc/self/mountinfo": 4, "/proc/swaps": 0} {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("find out what is mounted: %w", err)
		}
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			if fields := strings.Fields(lines.Text()); len(fields) > field {
				found = append(found, unescaped(fields[field]))
			}
		}
	}
	return found, nil
}

// unescaped reads a path as those files write it: a blank is \040.
func unescaped(path string) string {
	for i := 0; i+3 < len(path); i++ {
		if code, err := strconv.ParseUint(path[i+1:i+4], 8, 8); path[i] == '\\' && err == nil {
			path = path[:i] + string(byte(code)) + path[i+4:]
		}
	}
	return path
}
