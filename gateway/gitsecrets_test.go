package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sam/redact"
)

const pushedSecret = "tok_9f8Zr2kQvT7wLxY4nC0aB"

// newSecretWorld is one whose project has a secret.
func newSecretWorld(t *testing.T) *gitWorld {
	t.Helper()
	w := newGitWorld(t)
	hidden := redact.New([]redact.Secret{{Name: "API_TOKEN", Value: pushedSecret}})
	w.git.Hidden = func(_ context.Context, project int64) (*redact.Redactor, error) {
		if project != w.grant.RepositoryID {
			return nil, fmt.Errorf("asked for project %d", project)
		}
		return hidden, nil
	}
	return w
}

func (w *gitWorld) write(dir, name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// noise is text that does not compress away.
func noise(t *testing.T, size int) string {
	t.Helper()
	random := make([]byte, size/2)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", random)
}

func TestAPushThatHoldsAProjectsSecretIsRefusedAndToldWhichOne(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *gitWorld, work string){
		"in a file": func(w *gitWorld, work string) {
			w.write(work, ".env", "API_TOKEN="+pushedSecret+"\n")
			w.commit(work, "settings")
		},
		"in base64": func(w *gitWorld, work string) {
			w.write(work, "netrc", base64.StdEncoding.EncodeToString([]byte("sam:"+pushedSecret)))
			w.commit(work, "settings")
		},
		"in a commit's message": func(w *gitWorld, work string) { w.commit(work, "uses "+pushedSecret) },
		"in a commit before the last": func(w *gitWorld, work string) {
			w.write(work, ".env", pushedSecret)
			w.commit(work, "settings")
			w.write(work, ".env", "")
			w.commit(work, "without")
		},
		"in a change of a large file, which travels as a difference": func(w *gitWorld, work string) {
			large := noise(w.t, 300<<10)
			w.write(work, "big.txt", large)
			w.commit(work, "large")
			w.write(work, "big.txt", large[:150<<10]+pushedSecret+large[150<<10:])
			w.commit(work, "changed")
			w.must(work, "repack", "-q", "-a", "-d", "-f")
		},
		"behind megabytes in one file": func(w *gitWorld, work string) {
			w.write(work, "big.txt", noise(w.t, searchedPart+searchedBack-len(pushedSecret)/2)+pushedSecret+noise(w.t, 1<<20))
			w.commit(work, "large")
		},
	} {
		for _, own := range []bool{true, false} {
			if !own && name != "in a file" { // what is looked at is the same
				continue
			}
			t.Run(fmt.Sprintf("%s, SAM's own branch %t", name, own), func(t *testing.T) {
				t.Parallel()
				w := newSecretWorld(t)
				work := w.clone()
				if !own {
					w.must(w.bare, "branch", "sam/fix-1", "main")
					w.set(func() { w.grant.Rewrite = false })
				}
				before := w.refs()
				change(w, work)
				out := w.refused(work, []string{"[remote rejected]", "the project's secret API_TOKEN", `git log -p -S"$API_TOKEN"`}, "push", "origin", "HEAD:"+samBranch)
				if strings.Contains(out, pushedSecret) || strings.Contains(w.log.String(), pushedSecret) {
					t.Errorf("the value is told: %s %s", out, w.log)
				}
				if w.refs() != before || len(w.recorded()) > 0 || w.asked("POST", "/git-receive-pack") > 0 {
					t.Errorf("upstream has %s, recorded is %v", w.refs(), w.recorded())
				}
			})
		}
	}
}

func TestAPushWithoutASecretPassesWhateverItsSize(t *testing.T) {
	t.Parallel()
	for _, own := range []bool{true, false} {
		t.Run(fmt.Sprintf("SAM's own branch %t", own), func(t *testing.T) {
			t.Parallel()
			w := newSecretWorld(t)
			work := w.clone()
			w.write(work, "known.txt", pushedSecret) // upstream has it already: it is not this push that publishes it
			w.commit(work, "known")
			w.must(work, "push", "-q", w.bare, "HEAD:main")
			if !own {
				w.must(w.bare, "branch", "sam/fix-1", "main")
				w.set(func() { w.grant.Rewrite = false })
			}
			w.must(work, "fetch", "-q", "origin")
			w.write(work, "big.txt", noise(t, 2*maxResent)+pushedSecret[:12])
			id := w.commit(work, "large")
			w.must(work, "push", "-q", "origin", "HEAD:"+samBranch)
			if got := w.recorded(); len(got) != 1 || got[0].New != id {
				t.Errorf("recorded %v", got)
			}
		})
	}
}

func TestWhileTheSecretsCannotBeReadNothingIsPushed(t *testing.T) {
	t.Parallel()
	w := newSecretWorld(t)
	w.git.Hidden = func(context.Context, int64) (*redact.Redactor, error) { return nil, errors.New("the store is away") }
	work := w.clone()
	w.commit(work, "a")
	w.refused(work, []string{"[remote rejected]", "again"}, "push", "origin", "HEAD:"+samBranch)
	if len(w.recorded()) > 0 {
		t.Errorf("recorded %v", w.recorded())
	}
}

func TestOfADifferenceWhatItAddsIsFound(t *testing.T) {
	insert := func(text string) []byte { return append([]byte{byte(len(text))}, text...) }
	long := strings.Repeat("0123456789", 20)
	delta := bytes.Join([][]byte{
		{0x90, 0x4e, 0x91, 0x4e}, {0x91, 5, 10}, insert("one"), {0xb3, 1, 2, 3, 4}, insert(long[:127]), insert(long[127:]), {0x80},
	}, nil)
	if got := string(added(delta)); got != "\x00one\x00"+long+"\x00" {
		t.Errorf("it adds %q", got)
	}
}

func FuzzADifferenceThatIsNoneBreaksNothing(f *testing.F) {
	f.Add([]byte{0x90, 0x4e, 0x91, 0x4e, 0x91, 5, 10, 3, 'o', 'n', 'e'})
	f.Fuzz(func(t *testing.T, delta []byte) {
		if got := added(delta); len(got) > len(delta) {
			t.Errorf("%d bytes add %d", len(delta), len(got))
		}
	})
}
