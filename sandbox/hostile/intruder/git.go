package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"sam/sandbox/hostile/orders"
)

// programWithin bounds one program of the intruder's.
const programWithin = 20 * time.Second

// do runs a program in the workspace and returns all that it printed.
func do(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), programWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// ended reports whether a program ran, however it ended.
func ended(err error) bool {
	var exit *exec.ExitError
	return err == nil || errors.As(err, &exit)
}

// commit makes a commit that is worth pushing.
func commit(file, content string) (string, error) {
	if at := strings.LastIndexByte(file, '/'); at > 0 {
		if err := os.MkdirAll(file[:at], 0o750); err != nil {
			return "", fmt.Errorf("make %s: %w", file[:at], err)
		}
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("write %s: %w", file, err)
	}
	if said, err := do("git", "add", "--force", file); err != nil {
		return said, err
	}
	return do("git", "commit", "--quiet", "--no-verify", "-m", "Change "+file)
}

// undo takes back what an attempt committed, for the node pushes what is left.
func undo(head string) {
	_, _ = do("git", "reset", "--quiet", "--hard", head)
}

// push commits a file and pushes it to each address in turn.
func (i *intruder) push(file, content, refspec string, addresses ...string) orders.Report {
	head, err := do("git", "rev-parse", "HEAD")
	if err != nil {
		return unable("%s: %v", head, err)
	}
	defer undo(head)
	if said, err := commit(file, content); err != nil {
		return unable("commit: %s: %v", said, err)
	}
	var all []string
	for _, address := range addresses {
		said, err := do("git", "push", address, refspec)
		if !ended(err) {
			return unable("%s: %v", said, err)
		}
		if len(addresses) > 1 {
			said = address + ": " + said[strings.LastIndexByte(said, '\n')+1:]
		}
		all = append(all, said)
	}
	return tried("%s", strings.Join(all, "\n"))
}

// pushOwned pushes to a ref of its own repository.
func (i *intruder) pushOwned(refspec string) orders.Report {
	return i.push("owned.txt", "owned", refspec, "origin")
}

// pushElsewhere pushes to another repository by every address that might lead there.
func (i *intruder) pushElsewhere() orders.Report {
	origin, err := do("git", "remote", "get-url", "origin")
	if err != nil {
		return unable("%s: %v", origin, err)
	}
	base := origin[:strings.LastIndexByte(origin, '/')]
	return i.push("owned.txt", "owned", "HEAD:refs/heads/owned",
		"http://"+i.Targets["github"]+"/"+i.Repo+".git", base+"/"+i.Repo, base+"/"+i.Other, origin+"/../"+i.Other,
		origin+"/sub/"+i.Repo, origin+"/%2e%2e/"+i.Other, base+"/../git/"+i.Other)
}

// pushWorkflow puts a workflow on the one branch that may be pushed.
func (i *intruder) pushWorkflow() orders.Report {
	return i.push(".github/workflows/owned.yml", "on: push\njobs: {x: {runs-on: ubuntu-latest, steps: [{run: env}]}}\n", "HEAD", "origin")
}

// honest does what an agent is asked for: one commit, which the node pushes.
func (i *intruder) honest() orders.Report {
	if said, err := do("git", "fsck", "--no-dangling"); err != nil {
		return unable("git fsck: %s", said)
	}
	if said, err := commit("honest.txt", "honest work\n"); err != nil {
		return unable("commit: %s: %v", said, err)
	}
	return tried("committed")
}

// plant leaves behind what runs or leads elsewhere when somebody else uses this working tree.
func (i *intruder) plant() orders.Report {
	touch := "touch " + i.Targets["owned"]
	hook := "#!/bin/sh\n" + touch + "-hook-$(basename $0)\n"
	failed := []error{os.MkdirAll(".git/hooks", 0o750)}
	for _, name := range []string{"pre-push", "post-checkout", "post-index-change", "reference-transaction", "pre-commit"} {
		failed = append(failed, os.WriteFile(".git/hooks/"+name, []byte(hook), 0o755)) //nolint:gosec // G306: it is to run
	}
	for _, pair := range [][2]string{
		{"core.fsmonitor", touch + "-fsmonitor; false"}, {"core.sshCommand", touch + "-ssh"}, {"diff.external", touch + "-diff"},
		{"filter.x.clean", touch + "-clean; cat"}, {"filter.x.smudge", touch + "-smudge; cat"}, {"core.pager", touch + "-pager"},
		{"alias.status", "!" + touch + "-alias"}, {"credential.helper", "!" + touch + "-credential"}, {"uploadpack.packObjectsHook", touch + "-pack"},
	} {
		_, err := do("git", "config", pair[0], pair[1])
		failed = append(failed, err)
	}
	failed = append(failed,
		os.WriteFile(".gitattributes", []byte("* filter=x diff=x\n"), 0o600),
		os.Symlink("/etc", "to-etc"), os.Symlink("/etc/passwd", "passwd"),
		os.WriteFile("unpushed.txt", []byte("work that is nowhere else, so that the tree is kept"), 0o600))
	if err := errors.Join(failed...); err != nil {
		return unable("%v", err)
	}
	return tried("planted")
}
