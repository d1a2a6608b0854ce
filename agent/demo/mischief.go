package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// misbehaviour returns what a request that begins with "demo:" asks for, nil for any other.
func misbehaviour(words string) func(context.Context, *agent) error {
	words, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(words)), "demo:")
	if !ok {
		return nil
	}
	words = strings.TrimSpace(words)
	for _, trick := range []struct {
		begins string
		do     func(context.Context, *agent) error
	}{{"die", die}, {"pretend", pretend}, {"push main", pushMain}, {"wait", wait}, {"ask", askColour}} {
		if strings.HasPrefix(words, trick.begins) {
			return trick.do
		}
	}
	return nil
}

// die ends as an agent does that runs out of memory: in the middle of its work, without a word.
func die(ctx context.Context, a *agent) error {
	a.say("I was asked to die. First I change a file, so that something is left behind.")
	if err := a.write(ctx, file{path: "UNFINISHED.md", content: []byte("The demo agent died while it wrote this.\n")}); err != nil {
		return err
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		return fmt.Errorf("die: %w", err)
	}
	select {} // the signal is on its way
}

// pretend ends as an agent does that was denied every tool and reports success all the same.
func pretend(_ context.Context, a *agent) error {
	a.say("I was asked to pretend.")
	return a.end(line{
		Verdict: "done", Headline: "Everything is done",
		Summary: "The demo agent says so, and has committed nothing.",
	})
}

// pushMain tries what the git broker must not let it do. The commit that it tries it with is taken back.
func pushMain(ctx context.Context, a *agent) error {
	a.say("I was asked to push to main, which I should not be allowed to.")
	said := ""
	for _, args := range [][]string{
		{"commit", "--allow-empty", "-m", "Try to push to main"},
		{"push", "origin", "HEAD:main"},
		{"reset", "--soft", "HEAD~1"},
	} {
		out, exit, err := a.shell(ctx, "git", args...)
		if err != nil {
			return a.cannot("I could not run git: " + err.Error() + ".")
		}
		if args[0] == "push" {
			said = fmt.Sprintf("`git push origin HEAD:main` ended with exit code %d:\n\n%s", exit, fenced(out))
		}
	}
	return a.cannot("I was not to do this, and tried. " + said)
}

// wait works, in a manner of speaking, until it is told to stop.
func wait(ctx context.Context, a *agent) error {
	a.say("I was asked to wait. Stop me when you have seen enough.")
	began := time.Now()
	ticks := time.NewTicker(2 * time.Second)
	defer ticks.Stop()
	for a.broken == nil {
		select {
		case <-ctx.Done():
			return a.cannot("I was told to stop.")
		case <-ticks.C:
			a.think(fmt.Sprintf("Still here, in %s, after %s.", workingIn(), time.Since(began).Round(time.Second)))
		}
	}
	return a.broken
}

func workingIn() string {
	dir, err := os.Getwd()
	if err != nil {
		return "a workspace"
	}
	return filepath.Base(dir)
}
