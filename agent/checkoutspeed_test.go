package agent

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// shape is what a repository is made of. Files are text that compresses to a quarter, as code does, most of them small and a few
// large; earlier is how many files were in its history before, of 3 KB that do not compress, for a pack stores most of what is
// old as small differences.
type shape struct {
	files, size, earlier int
	pack                 int64 // bytes that it has at least
}

// The first is what is meant by a repository of 1 GB: Kubernetes is one, with 1.2 GB of pack, and 25,000 files of 290 MB in the
// tree. The second is as hard as it gets: the tree itself is 1 GB, in 80,000 files, as Linux's.
var gigabytes = map[string]shape{ //nolint:gochecknoglobals // a table
	"of history": {files: 25_000, size: 11_500, earlier: 320_000, pack: 1 << 30},
	"of files":   {files: 80_000, size: 13_400, pack: 500 << 20},
}

// The limit is for everything that is done from the mirror to a tree that belongs to the container's user. The clock may say it, or
// the processor time: that depends less on who else is at work, and on a machine of its own the clock shows less than it, for files
// are written by as many processes as there are processors. The best of some tries counts.
func TestAGigabyteBecomesAWorkspaceWithinFiveSeconds(t *testing.T) {
	if os.Getenv("SAM_SPEED") == "" {
		t.Skip("SKIPPED, NOT TESTED: it writes 11 GB in some minutes and is measured alone: SAM_SPEED=1 go test ./agent -run GigabyteBecomes -v. Nothing else runs it")
	}
	const limit = 5 * time.Second
	for name, is := range gigabytes {
		t.Run(name, func(t *testing.T) {
			dir := nodeFolder(t)
			m, w := testRooms(t, dir)
			mirror := m.path(7)
			is.write(t, mirror)
			_, before := fastest(t, m, w, "cold")
			m.tips.see(7, gitIn(t, mirror, "rev-parse", "main"))
			began, busy := time.Now(), processorTime(t).all()
			m.makeReady(t.Context(), time.Now(), never)
			t.Logf("the mirror was made ready in %s, with %s of processor time, beside the attempts", time.Since(began), processorTime(t).all()-busy)
			if made, err := m.ready(7); err != nil || len(made.packs) != 1 {
				t.Fatalf("the mirror is not ready: %v %v", made, err)
			}
			is.change(t, mirror) // the base branch has moved since
			after, unpacking := fastest(t, m, w, "ready")
			if after > limit {
				t.Errorf("a workspace took %s", after)
			}
			if unpacking > before*2/3 {
				t.Errorf("a ready mirror saves little of the unpacking: %s outside of the kernel, and %s before", unpacking, before)
			}
		})
	}
}

// fastest is the least that three workspaces took, by the clock or of processor time, and the least of that outside of the
// kernel. They are removed later: a file system without a journal is slow to make files where some were removed lately.
func fastest(t *testing.T, m *mirrors, w *workspaces, name string) (best, user time.Duration) {
	t.Helper()
	s := start(&testGateway{server: newTestGateway(t).server}, "tspeed", 1, "x")
	from := heads{mirror: m.path(7), base: gitIn(t, m.path(7), "rev-parse", "main")}
	for try := range 3 {
		touchMemory(t)
		tree := w.tree(fmt.Sprint("7-", name, try))
		began, before := time.Now(), processorTime(t)
		var err error
		if from.restore, _, err = m.survey(t.Context(), s, from); err != nil {
			t.Fatal(err)
		}
		if err := w.clone(t.Context(), s, tree, from, "http://127.0.0.1:1/"); err != nil {
			t.Fatal(err)
		}
		written := processorTime(t)
		if err := giveTree(tree, boxOwner{uid: 1000, gid: 1000}); err != nil {
			t.Fatal(err)
		}
		after := processorTime(t)
		clock, took := time.Since(began), after.all()-before.all()
		t.Logf("%s: %s by the clock, %s of processor time: %s outside of the kernel, and of it all %s to give the files away",
			name, clock, took, after.user-before.user, after.all()-written.all())
		if least := min(clock, took); try == 0 || least < best {
			best = least
		}
		if try == 0 || after.user-before.user < user {
			user = after.user - before.user
		}
	}
	return best, user
}

// touchMemory has a virtual machine get the memory from its host that the files are going to be cached in: the first time that
// costs 3 s of processor time for each GB, of which this is no test.
func touchMemory(t *testing.T) {
	t.Helper()
	memory, err := syscall.Mmap(-1, 0, 3<<29, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_POPULATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Munmap(memory); err != nil {
		t.Fatal(err)
	}
}

// spent is processor time, outside of the kernel and in it.
type spent struct{ user, system time.Duration }

func (s spent) all() time.Duration { return s.user + s.system }

// processorTime is this process's, and that of what it has run.
func processorTime(t *testing.T) (sum spent) {
	t.Helper()
	for _, whose := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var used syscall.Rusage
		if err := syscall.Getrusage(whose, &used); err != nil {
			t.Fatal(err)
		}
		sum.user += time.Duration(used.Utime.Nano())
		sum.system += time.Duration(used.Stime.Nano())
	}
	return sum
}

// write makes the mirror.
func (is shape) write(t *testing.T, mirror string) {
	t.Helper()
	gitIn(t, filepath.Dir(mirror), "init", "--quiet", "--bare", "--template=", mirror)
	words := newWords()
	fastImport(t, mirror, func(out io.Writer) {
		old := make([]byte, 3000)
		for i := range is.earlier {
			if i%100 == 0 {
				commitTo(out, i)
			}
			_, _ = words.source.Read(old) // which never fails
			fileTo(out, is.name(i%is.files), old)
		}
		commitTo(out, is.earlier)
		for i := range is.files {
			fileTo(out, is.name(i), words.text(int(float64(is.size)*(0.1+0.9*words.random.ExpFloat64()))))
		}
	})
	packed := int64(0)
	packs, err := filepath.Glob(filepath.Join(mirror, "objects", "pack", "*.pack"))
	for _, pack := range packs {
		info, failed := os.Stat(pack)
		if failed != nil {
			t.Fatal(failed)
		}
		packed += info.Size()
	}
	if err != nil || packed < is.pack {
		t.Fatalf("the mirror has %d bytes of packs (%v)", packed, err)
	}
	t.Logf("%d MB of packs, %d files", packed>>20, is.files)
}

// change adds a commit of a few files.
func (is shape) change(t *testing.T, mirror string) {
	t.Helper()
	from := gitIn(t, mirror, "rev-parse", "main")
	words := newWords()
	fastImport(t, mirror, func(out io.Writer) {
		commitTo(out, is.earlier+1)
		fmt.Fprintf(out, "from %s\n", from)
		for i := range 100 {
			fileTo(out, is.name(i*7), words.text(is.size))
		}
	})
}

func (shape) name(i int) string { return fmt.Sprintf("d%d/e%d/f%d.go", i%40, i/40%40, i) }

func commitTo(out io.Writer, i int) {
	fmt.Fprintf(out, "commit refs/heads/main\ncommitter t <t@example.com> %d +0000\ndata 3\none\n", 1_700_000_000+i)
}

func fileTo(out io.Writer, name string, content []byte) {
	fmt.Fprintf(out, "M 644 inline %s\ndata %d\n%s\n", name, len(content), content)
}

func fastImport(t *testing.T, mirror string, write func(io.Writer)) {
	t.Helper()
	importer := exec.Command("git", "fast-import", "--quiet", "--done")
	importer.Dir = mirror
	in, err := importer.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := importer.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriterSize(in, 1<<20)
	write(out)
	fmt.Fprint(out, "done\n")
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := importer.Wait(); err != nil {
		t.Fatal(err)
	}
}

// words make texts that look like code to a compressor: few of them are most of it.
type words struct {
	source *rand.ChaCha8
	random *rand.Rand
	all    [4000]string
}

func newWords() *words {
	source := rand.NewChaCha8([32]byte{1})
	w := &words{source: source, random: rand.New(source)}
	for i := range w.all {
		word := make([]byte, 2+w.random.IntN(10))
		for at := range word {
			word[at] = byte('a' + w.random.IntN(26))
		}
		w.all[i] = string(word)
	}
	return w
}

func (w *words) text(length int) []byte {
	var b bytes.Buffer
	for b.Len() < length {
		for range 2 + w.random.IntN(8) {
			often := w.random.Float64() * w.random.Float64() * w.random.Float64()
			b.WriteString(w.all[int(often*float64(len(w.all)))])
			b.WriteByte(" .,()="[w.random.IntN(6)])
		}
		b.WriteByte('\n')
	}
	return b.Bytes()[:length]
}
