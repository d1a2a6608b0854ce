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

// browse opens Chromium on a page of this size, and closes it at the test's end.
func browse(t *testing.T, width, height int64) context.Context {
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
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return ctx
}

func visit(t *testing.T, browser context.Context, url string) {
	t.Helper()
	if err := chromedp.Do(browser, chromedp.Navigate(url)); err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
}

// waitFor waits until an expression is true in the page.
func waitFor(t *testing.T, browser context.Context, expression string) {
	t.Helper()
	if _, err := chromedp.Run(browser, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(time.Minute))); err != nil {
		t.Fatalf("the page never had %s: %v", expression, err)
	}
}

// shownEvents are the numbers of the events that the page shows, from its top.
func shownEvents(t *testing.T, browser context.Context) []int64 {
	t.Helper()
	shown, err := chromedp.Run(browser, chromedp.Evaluate[[]int64](`[...document.querySelectorAll("article.event")].map(e => +e.dataset.seq)`))
	if err != nil {
		t.Fatal(err)
	}
	return shown
}

// picture writes a picture of the page, when pictures are wanted.
func picture(t *testing.T, browser context.Context, name string) {
	t.Helper()
	if *screenshots == "" {
		return
	}
	data, err := chromedp.Run(browser, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatalf("picture of %s: %v", name, err)
	}
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), data, 0o644); err != nil {
		t.Fatal(err)
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

// watch follows a task's page from its start to its end, with a reload in the middle, and checks that each event is shown
// once, in order.
func watch(t *testing.T, w *world, browser context.Context, request string) task.Task {
	t.Helper()
	w.say(t, maintainer, 1, "/sam "+request)
	id := w.started(t)
	visit(t, browser, w.server.pages.url()+"/tasks/"+string(id))
	waitFor(t, browser, `document.querySelectorAll("article.event").length >= 5`)
	before := shownEvents(t, browser)
	if err := chromedp.Do(browser, chromedp.Reload()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, browser, `document.querySelector("article.event.k-finished") !== null`)
	waitFor(t, browser, `["succeeded", "failed"].includes(document.body.dataset.state)`)
	done := w.ends(t, 1)[0]
	var want []int64
	for n := range done.Last {
		want = append(want, n+1)
	}
	if got := shownEvents(t, browser); !slices.Equal(got, want) {
		t.Errorf("the page shows the events %v, and there are %d", got, done.Last)
	}
	if len(before) == 0 || len(before) >= len(want) {
		t.Logf("the reload came at event %d of %d", len(before), len(want))
	}
	return done
}

func TestAPersonWatchesATaskFromItsStartToItsEndAndSeesEveryEventOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		browser := browse(t, 1280, 900)
		visit(t, browser, w.server.pages.url()+"/"+seed.Owner+"/"+seed.Repository)
		done := watch(t, w, browser, "add rate limiting to /api/upload")
		if done.State != task.Succeeded {
			t.Errorf("ended as %+v", done)
		}
		text, err := chromedp.Run(browser, chromedp.Evaluate[string](`document.body.innerText`))
		if err != nil {
			t.Fatal(err)
		}
		for _, words := range []string{"add rate limiting to /api/upload", "Pull request #2", "go test ./...", "Limit the rate"} {
			if !strings.Contains(text, words) {
				t.Errorf("the page does not say %q", words)
			}
		}
		picture(t, browser, "task")
		visit(t, browser, w.server.pages.url()+"/"+seed.Owner+"/"+seed.Repository)
		waitFor(t, browser, `document.querySelector(".k-result") !== null`)
		picture(t, browser, "conversation")
		visit(t, browser, w.hub.url()+"/"+seed.Owner+"/"+seed.Repository+"/issues/1")
		waitFor(t, browser, `document.body.innerText.includes("SAM is done")`)
		picture(t, browser, "issue")
		visit(t, browser, w.hub.url()+"/"+seed.Owner+"/"+seed.Repository+"/pull/2")
		picture(t, browser, "pull-request")
	})
}
