package dashboard

import (
	"context"
	"os/exec"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"sam/task"
)

// browse opens a page in Chromium, whose clock is in Kolkata: five hours and a half before UTC.
func browse(t *testing.T, url string) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("NO CHROMIUM IS INSTALLED, SO NO PAGE WAS WATCHED: apt-get install chromium, or `make tools` as root on Debian")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Env("TZ=Asia/Kolkata", "LANG=en_US.UTF-8"), chromedp.Flag("disable-background-networking", true))
	allocator, closeAllocator := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(closeAllocator)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(closeBrowser)
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
	return ctx
}

func comes(ctx context.Context, t *testing.T, expression string) {
	t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(patience))); err != nil {
		t.Fatalf("the page never had %s: %v", expression, err)
	}
}

func TestEveryTimeOnAPageIsInOneFormatByTheReadersClock(t *testing.T) {
	w := start(t)
	job := w.placed(t, t, spec(1)) // asked on 23 November 2026 at 10:00:01 UTC
	w.put(t, t, job, task.Event{Kind: task.Said, Text: "x", At: time.Date(2026, 11, 23, 12, 30, 1, 0, time.UTC)})
	ctx := browse(t, w.url+"/tasks/"+string(job.ID))
	comes(ctx, t, `document.getElementById("link").dataset.state === "on"`)
	w.put(t, t, job, task.Event{Kind: task.Said, Text: "y", At: time.Date(2026, 11, 23, 23, 59, 59, 0, time.UTC)})
	comes(ctx, t, `document.getElementById("e2") !== null`)
	type shown struct{ Text, Title string }
	times, err := chromedp.Run(ctx, chromedp.Evaluate[[]shown](`[...document.querySelectorAll("time:not(.since)")].map(e => ({Text: e.textContent, Title: e.title}))`))
	if err != nil {
		t.Fatal(err)
	}
	text, title := regexp.MustCompile(`^(\d{1,2} [A-Z][a-z]{2}, )?\d\d:\d\d:\d\d$`), regexp.MustCompile(`^\d{1,2} [A-Z][a-z]{2} \d{4}, \d\d:\d\d:\d\d$`)
	for _, one := range times {
		if !text.MatchString(one.Text) || !title.MatchString(one.Title) {
			t.Errorf("a time reads %q, and whole %q", one.Text, one.Title)
		}
	}
	for _, want := range []shown{{"23 Nov, 15:30:01", "23 Nov 2026, 15:30:01"}, {"18:00:01", "23 Nov 2026, 18:00:01"}, {"05:29:59", "24 Nov 2026, 05:29:59"}} {
		if !slices.Contains(times, want) {
			t.Errorf("no time reads %+v: %+v", want, times)
		}
	}
}
