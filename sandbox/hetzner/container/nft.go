package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Where a machine has the host's nft.
const (
	nftFolder  = "/usr/local/lib/nft"
	nftProgram = "/usr/local/sbin/nft"
)

// lendNFT puts the host's nft, with the libraries that it is linked with, into dir
// and returns how a machine is given it: the image need not have it, and a machine
// closes its own firewall for real. Where the host has none neither do machines.
func lendNFT(ctx context.Context, dir string) ([]string, error) {
	program, err := exec.LookPath("nft")
	if err != nil {
		return nil, nil
	}
	out, err := exec.CommandContext(ctx, "ldd", program).Output()
	if err != nil {
		return nil, fmt.Errorf("find the libraries of %s: %w", program, err)
	}
	to := filepath.Join(dir, "nft")
	if err := os.MkdirAll(to, 0o755); err != nil { //nolint:gosec // programs without a secret
		return nil, fmt.Errorf("lend machines the host's nft: %w", err)
	}
	loader := ""
	for line := range strings.Lines(string(out)) {
		// "libnftables.so.1 => /lib/… (0x…)", or "/lib64/ld-linux-x86-64.so.2 (0x…)", or one that the kernel brings.
		words := strings.Fields(line)
		if len(words) > 2 && words[1] == "=>" {
			words = words[2:]
		}
		if len(words) == 0 || !strings.HasPrefix(words[0], "/") {
			continue
		}
		name := filepath.Base(words[0])
		if strings.HasPrefix(name, "ld-") {
			loader = name
		}
		if err := copyProgram(words[0], filepath.Join(to, name)); err != nil {
			return nil, fmt.Errorf("lend machines the host's nft: %w", err)
		}
	}
	if err := copyProgram(program, filepath.Join(to, "nft")); err != nil {
		return nil, fmt.Errorf("lend machines the host's nft: %w", err)
	}
	// By its own loader, for the machine's C library may be another.
	start := nftFolder + "/nft"
	if loader != "" {
		start = nftFolder + "/" + loader + " --library-path " + nftFolder + " " + start
	}
	script := filepath.Join(dir, "nft.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec "+start+" \"$@\"\n"), 0o755); err != nil { //nolint:gosec // it is a program
		return nil, fmt.Errorf("lend machines the host's nft: %w", err)
	}
	return []string{"--volume", to + ":" + nftFolder + ":ro", "--volume", script + ":" + nftProgram + ":ro"}, nil
}

func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755) //nolint:gosec // it is a program
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
