package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"sam/sandbox/hostile/orders"
)

// exhaustMemory has a process take more memory than there is for the workspace.
func (i *intruder) exhaustMemory() orders.Report {
	cmd := exec.Command("/proc/self/exe", "eat", i.Mark, strconv.FormatInt(i.Amount, 10)) //nolint:noctx // it ends by itself
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return tried("it took memory until: %v", cmd.Run())
}

// eat takes so many bytes, touches them all, and has them for a moment.
func eat() {
	amount, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	const bite = 16 << 20
	for eaten := int64(0); eaten < amount; eaten += bite {
		chunk, err := syscall.Mmap(-1, 0, bite, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		for at := 0; at < len(chunk); at += os.Getpagesize() {
			chunk[at] = 1
		}
		<-time.After(10 * time.Millisecond) // no faster than can be watched
	}
	<-time.After(time.Second)
}
