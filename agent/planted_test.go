package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sam/agent/wire"
	"sam/task"
)

// planting is a driver that runs a script in the workspace and is done.
type planting struct{ script string }

func (planting) Name() string { return "demo" }
func (planting) Real() bool   { return false }

func (p planting) Run(ctx context.Context, w Workspace, s wire.Start, emit func(task.Event) error, _ *answers) (task.End, error) {
	if err := emit(stepped(task.StepAgent, time.Now(), "")); err != nil {
		return task.End{}, err
	}
	script := p.script
	if s.Request == "honest" {
		script = "git status --porcelain; git log --format=%s; cat README.md; find . -not -path './.git/*' -type l"
	}
	out, err := output(ctx, w, "sh", "-c", script)
	if err != nil {
		return task.End{}, err
	}
	return task.End{Outcome: task.Done, Headline: "x", Summary: out}, emit(task.Event{Kind: task.Said, Text: "it said: " + out})
}

// What a hostile agent plants in its tree and its home. CANARY is a folder of the node's that it may not reach, MARK a file that
// must not come to be on the node: it is made by whatever program is started.
const plants = `
set -e
say() { printf '#!/bin/sh\ntouch MARK\nexec "$@"\n' > "$1"; chmod +x "$1"; }
say run
for hook in pre-commit post-checkout pre-push post-index-change reference-transaction; do mkdir -p .git/hooks; cp run .git/hooks/$hook; done
git config core.fsmonitor 'touch MARK'
git config core.sshCommand 'touch MARK'
git config filter.evil.smudge 'touch MARK; cat'; git config filter.evil.clean 'touch MARK; cat'; git config filter.evil.required true
git config diff.external 'touch MARK'
git config core.pager 'touch MARK'; git config gpg.program 'touch MARK'; git config commit.gpgSign false
git config credential.helper '!touch MARK'
git config alias.status '!touch MARK'
git config include.path CANARY/secret
echo '* filter=evil diff=evil' > .gitattributes
printf '[core]\n\tfsmonitor = touch MARK\n' > "$HOME/.gitconfig"
ln -sfn CANARY "$HOME/link"; rm -rf "$HOME/tmp"; ln -sfn CANARY "$HOME/tmp"
ln -s /etc etc; ln -s CANARY canary; ln -s CANARY/secret README.link
echo CANARY >> .git/objects/info/alternates
git commit --quiet --allow-empty --no-verify --no-gpg-sign --message=planted 2>/dev/null || true
`

// planted is what it says when all of it is in its place.
const planted = "all is planted"

// What it then does to its repository so that each attempt of the node's to touch it goes elsewhere.
var finals = map[string]string{ //nolint:gochecknoglobals // a table
	"a repository that is planted":          "true",
	"a repository that is a link elsewhere": "mv .git elsewhere; ln -s CANARY/repository .git",
	"a repository that is a file":           "rm -rf .git; echo 'gitdir: CANARY/repository' > .git",
	"folders that are links elsewhere":      "rm -rf .git/objects .git/refs .git/info; ln -s CANARY .git/objects; ln -s CANARY .git/refs; ln -s CANARY .git/info",
	"no repository at all":                  "rm -rf .git",
	"an index of nonsense":                  "echo nonsense > .git/index; ln -sf CANARY/secret .git/HEAD",
}

func TestNothingThatAnAgentPlantsRunsOrIsReachedOnTheNode(t *testing.T) {
	t.Parallel()
	e := docker(t)
	for what, final := range finals {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			canary := t.TempDir()
			write(t, filepath.Join(canary, "repository", "HEAD"), 0)
			if err := os.WriteFile(filepath.Join(canary, "secret"), []byte("canary-4f1d"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(canary, 0o777); err != nil { // nothing but the container keeps the agent out
				t.Fatal(err)
			}
			before := found(t, canary)
			mark := filepath.Join(t.TempDir(), "mark")
			g := newTestGateway(t)
			u := newUpstream(t, g)
			main := gitIn(t, u.dir, "rev-parse", "main")
			script := strings.NewReplacer("CANARY", canary, "MARK", mark).Replace(plants + final + "\necho " + planted)
			n := startNode(g, e.options(t, g), func(n *Node) { n.drivers = newDrivers(planting{script}) })
			t.Cleanup(n.stop)
			for _, id := range []string{"tplanta", "tplantb", "thonest"} {
				s := start(g, id, 1, strings.TrimPrefix(id, "t"))
				g.command(frame(s))
				events := g.finished(s.Ref)
				if s.Request != "honest" && !slices.ContainsFunc(events, func(e task.Event) bool { return strings.Contains(e.Text, planted) }) {
					t.Fatalf("%s did not plant what it should: %+v", id, last(events))
				}
				for _, e := range events {
					if strings.Contains(e.Text, "canary-4f1d") {
						t.Errorf("%s was told the secret: %s", id, e.Text)
					}
				}
				g.await("its slot", func() bool { return len(g.beats) > 0 && len(g.beats[len(g.beats)-1].Running) == 0 })
			}
			honest := start(g, "tdhonest", 1, "honest")
			honest.Thread, honest.Branch = "7-99", "sam/99"
			g.command(frame(honest))
			if end := last(g.finished(honest.Ref)); end.Outcome != task.Done || strings.Contains(end.Summary, "planted") {
				t.Errorf("the next task of another thread ended with %+v", end)
			}
			n.sweep(t.Context(), func() bool { return true })
			n.stop()
			if fileExists(mark) {
				t.Error("what was planted ran on the node")
			}
			if what == "a repository that is planted" { // it would have run
				kept, err := filepath.Glob(n.workspaces.tree("7-12") + keptInfix + "*")
				if err != nil || len(kept) == 0 {
					t.Fatalf("the planted tree is not kept: %v", err)
				}
				gitIn(t, kept[0], "-c", "safe.directory=*", "status")
				if !fileExists(mark) {
					t.Error("the plant is none: git on the node starts nothing in it")
				}
			}
			if after := found(t, canary); len(after) != len(before) || after["secret"] != before["secret"] {
				t.Errorf("elsewhere on the node are %v", after)
			}
			if got := gitIn(t, u.dir, "rev-parse", "main"); got != main {
				t.Errorf("main is at %s", got)
			}
			if fileExists(n.mirrors.path(7)) {
				gitIn(t, n.mirrors.path(7), "fsck", "--full", "--strict")
			}
		})
	}
}

func TestAWorkspaceCannotChangeWhatTheNextOneGets(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	newUpstream(t, g)
	script := `
mirror=$(head -n 1 .git/objects/info/alternates)
touch "$mirror/x" 2>/dev/null && echo WROTE
rm -rf "$mirror"/* 2>/dev/null
for f in $(find "$mirror" -type f); do chmod u+w "$f" 2>/dev/null; echo evil 2>/dev/null > "$f" && echo WROTE; ln "$f" .git/ 2>/dev/null && echo LINKED; done
mount -o remount,rw "$mirror" 2>/dev/null && echo WROTE
umount "$mirror" 2>/dev/null && echo WROTE
# A pack of its own, in which the object that main has is another one.
git repack -a -d -q; chmod -R u+w .git/objects
for pack in .git/objects/pack/*.pack; do printf evil | dd of="$pack" bs=1 seek=20 conv=notrunc 2>/dev/null; done
echo it is done`
	n := startNode(g, e.options(t, g), func(n *Node) { n.drivers = newDrivers(planting{script}) })
	t.Cleanup(n.stop)
	first := start(g, "tpoison", 1, "plant")
	g.command(frame(first))
	if end := last(g.finished(first.Ref)); !strings.HasSuffix(strings.TrimSpace(end.Summary), "it is done") || strings.Contains(end.Summary, "WROTE") || strings.Contains(end.Summary, "LINKED") {
		t.Fatalf("it ended with %+v", end)
	}
	mirror := n.mirrors.path(7)
	gitIn(t, mirror, "fsck", "--full", "--strict")
	if got := refs(t, mirror); len(got) != 1 {
		t.Errorf("the mirror's refs are %v", got)
	}
	next := start(g, "tnext", 1, "honest")
	next.Thread, next.Branch = "7-13", "sam/13"
	g.command(frame(next))
	if end := last(g.finished(next.Ref)); end.Outcome != task.Done || strings.Contains(end.Summary, "evil") {
		t.Errorf("the next one ended with %+v", end)
	}
}
