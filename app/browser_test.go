package app

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"sam/sandbox/seed"
	"sam/task"
)

// screenshots is set by `make screenshots`.
var screenshots = flag.String("screenshots", "", "write pictures of the pages into this `folder`")

// tab is a page in Chromium. What goes wrong in it ends the test.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// browse opens a tab of this size, and closes it at the test's end.
func browse(t *testing.T, width, height int64) *tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("NO CHROMIUM IS INSTALLED, SO NO PAGE WAS WATCHED: apt-get install chromium, or `make tools` as root on Debian")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	allocator, closeAllocator := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(closeAllocator)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(closeBrowser)
	b := &tab{t, ctx}
	b.do("start Chromium", chromedp.EmulateViewport(width, height))
	return b
}

func (b *tab) do(what string, action chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, action); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

func (b *tab) visit(url string) {
	b.t.Helper()
	b.do("open "+url, chromedp.Navigate(url))
}

// until waits until an expression is true in the page.
func (b *tab) until(expression string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(time.Minute))); err != nil {
		b.t.Fatalf("the page never had %s: %v", expression, err)
	}
}

// events are the numbers of the events that the page shows, from its top.
func (b *tab) events() []int64 {
	b.t.Helper()
	shown, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]int64](`[...document.querySelectorAll("article.event")].map(e => +e.dataset.seq)`))
	if err != nil {
		b.t.Fatal(err)
	}
	return shown
}

// says checks that the page's text holds words.
func (b *tab) says(words ...string) {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			b.t.Errorf("the page does not say %q", word)
		}
	}
}

// picture writes a picture of the whole page, when pictures are wanted.
func (b *tab) picture(name string) {
	b.t.Helper()
	if *screenshots == "" {
		return
	}
	if _, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`window.scrollTo(0, 0), true`)); err != nil {
		b.t.Fatalf("scroll to the top of %s: %v", name, err)
	}
	data, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatalf("picture of %s: %v", name, err)
	}
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// started waits until a task is with its node, and returns it.
func (w *world) started(t *testing.T) task.ID {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var id task.ID
	if err := w.server.store.FollowConversation(ctx, w.project, func(e task.Entry) error {
		if e.Kind == task.EntryStarted {
			id = e.Task
			stop()
		}
		return nil
	}); err != nil || id == "" {
		t.Fatalf("no task started: %v", err)
	}
	return id
}

// watch asks for something and follows the task's page from its start to its end, with a reload in the middle. Each event is
// to be shown once, in order.
func (b *tab) watch(w *world, request string) task.Task {
	b.t.Helper()
	w.say(b.t, maintainer, 1, "/sam "+request)
	b.visit(w.server.pages.url() + "/tasks/" + string(w.started(b.t)))
	b.until(`document.querySelectorAll("article.event").length >= 5`)
	b.do("reload", chromedp.Reload())
	b.until(`document.querySelector("article.event.k-finished") !== null`)
	b.until(`["succeeded", "failed"].includes(document.body.dataset.state)`)
	done := w.ends(b.t, 1)[0]
	var want []int64
	for n := range done.Last {
		want = append(want, n+1)
	}
	if got := b.events(); !slices.Equal(got, want) {
		b.t.Errorf("the page shows the events %v, and there are %d", got, done.Last)
	}
	return done
}

func TestAPersonWatchesATaskFromItsStartToItsEndAndSeesEveryEventOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		page := browse(t, 1280, 900)
		if done := page.watch(w, "add rate limiting to /api/upload"); done.State != task.Succeeded {
			t.Errorf("ended as %+v", done)
		}
		page.says("add rate limiting to /api/upload", "Pull request #2", "go test ./...", "Limit the rate")
		page.picture("task")
		repository := "/" + seed.Owner + "/" + seed.Repository
		page.visit(w.server.pages.url() + repository)
		page.until(`document.querySelector(".k-result") !== null`)
		page.picture("conversation")
		page.visit(w.hub.url() + repository + "/issues/1")
		page.until(`document.body.innerText.includes("SAM is done")`)
		page.picture("issue")
		page.visit(w.hub.url() + repository + "/pull/2")
		page.says("Closes #1")
	})
}
