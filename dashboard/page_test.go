package dashboard

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"sam/task"
)

func TestThePagesShowWhatThereIs(t *testing.T) {
	w := start(t)
	_, home := w.get(t, "/")
	wants(t, "an empty first page", home, "Nothing was asked for yet", nodeName, "ready", `href="/projects/harbour/quayside"`, `data-live="conv:7"`)
	_, talk := w.get(t, "/harbour/quayside")
	wants(t, "an empty conversation", talk, "Nothing was said yet", `data-from="conv:7=0-0"`)

	job := w.placed(t, t, spec(1))
	w.put(t, t, job, said(1, "I **begin**")...)
	id := string(job.ID)
	_, home = w.get(t, "/")
	wants(t, "the first page", home, "Uploads can be flooded", `href="/tasks/`+id+`"`, "Preparing the workspace", "1 of 100000 in use")
	_, talk = w.get(t, "/Harbour/QUAYSIDE") // as GitHub, which does not mind
	wants(t, "the conversation", talk, `id="thread-7-1"`, "<strong>rate limiting</strong>", "Placed on "+nodeName, "Uploads can be flooded")
	_, page := w.get(t, "/tasks/"+id)
	wants(t, "the task", page, "Preparing the workspace", "ada", "<strong>rate limiting</strong>", "I <strong>begin</strong>", `id="e1"`,
		`href="/projects/harbour/quayside"`, "https://github.com/harbour/quayside/issues/1", "sam/issue-1", "docker", `aria-current="step"`)
	_, one := w.get(t, "/tasks/"+id+"/events/1")
	wants(t, "the event", one, "Event 1", "I <strong>begin</strong>", "&#34;kind&#34;: &#34;said&#34;")
	_, piece := w.get(t, "/tasks/"+id+"/events/1?part=raw")
	if !strings.HasPrefix(piece, "<pre") {
		t.Errorf("the raw piece is %q", piece)
	}
}

func TestWhatIsNotThereIsSaidInWords(t *testing.T) {
	w := start(t)
	w.placed(t, t, spec(1))
	for path, words := range map[string]string{
		"/tasks/tnone":                                "There is no such task",
		"/tasks/..%2f..%2fetc":                        "There is no such task",
		"/tasks/" + strings.Repeat("a", 500):          "There is no such task",
		"/tasks/%ff%00":                               "There is no such task",
		"/tasks/" + string(spec(1).ID) + "/events/1":  "There is no such event",
		"/tasks/" + string(spec(1).ID) + "/events/x":  "There is no such event",
		"/tasks/" + string(spec(1).ID) + "/events/-1": "There is no such event",
		"/harbour/none":                               "not installed",
		"/%3Cscript%3E/x":                             "not installed",
		"/nowhere":                                    "no such page",
		"/a/b/c/d":                                    "no such page",
		"/static/none.js":                             "no such file",
	} {
		answer, page := w.get(t, path)
		if answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, answer.Status)
		}
		wants(t, path, page, words, `href="/"`)
	}
}

func TestAPageThatCannotBeReadSaysSoWithoutWhy(t *testing.T) {
	w := start(t)
	if err := w.redis.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/tasks/tabc"} {
		answer, page := w.get(t, path)
		if answer.StatusCode != http.StatusInternalServerError || strings.Contains(page, "socket") {
			t.Errorf("%s: %s: %s", path, answer.Status, page)
		}
		wants(t, path, page, "This page failed", "Redis")
	}
}

func TestEveryAnswerForbidsWhatIsNotOurs(t *testing.T) {
	w := start(t)
	for _, path := range []string{"/", "/nowhere", "/static/app.css", "/live?topics=x", "/tasks/tnone"} {
		answer, page := w.get(t, path)
		if got := answer.Header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || strings.Contains(got, "unsafe") {
			t.Errorf("%s: policy %q", path, got)
		}
		if answer.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", path)
		}
		if strings.Contains(page, "<style") || strings.Contains(page, " style=") || strings.Contains(page, " onclick") || strings.Contains(page, "<script>") {
			t.Errorf("%s has inline style or script", path)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Body.Close(); answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", answer.Status)
	}
}

func TestFilesWithTheirVersionAreKeptAndPagesAreNot(t *testing.T) {
	w := start(t)
	_, page := w.get(t, "/")
	_, after, _ := strings.Cut(page, `href="/static/app.css?v=`)
	version, _, _ := strings.Cut(after, `"`)
	answer, _ := w.get(t, "/static/app.css?v="+version)
	wants(t, "a versioned file", answer.Header.Get("Cache-Control"), "immutable")
	answer, _ = w.get(t, "/static/app.css")
	wants(t, "a file without version", answer.Header.Get("Cache-Control"), "no-cache")
	if answer, _ = w.get(t, "/static/app.css", "If-None-Match", answer.Header.Get("ETag")); answer.StatusCode != http.StatusNotModified {
		t.Errorf("asked again: %s", answer.Status)
	}
	for accept, zipped := range map[string]bool{"gzip": true, "br, gzip;q=0.5": true, "": false, "gzip;q=0": false, "gzip; q=0.0": false, "identity": false, "xgzip": false} {
		answer, _ := w.get(t, "/", "Accept-Encoding", accept)
		if got := answer.Header.Get("Content-Encoding") == "gzip"; got != zipped || answer.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: compressed %v", accept, got)
		}
	}
}

// firstPage is the compressed size of a page with its style and script.
func (w *world) firstPage(t *testing.T, path string) int {
	t.Helper()
	total := 0
	for _, p := range []string{path, "/static/app.css", "/static/live.js", "/static/icon.svg"} {
		answer, content := w.get(t, p, "Accept-Encoding", "gzip")
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", p, answer.Status)
		}
		total += len(content)
	}
	return total
}

func TestAFirstPageIsUnder60KBHoweverMuchThereIs(t *testing.T) {
	w := start(t)
	noise := rand.New(rand.NewPCG(1, 2))
	words := func(n int) string { // that compress badly
		var b strings.Builder
		for b.Len() < n {
			fmt.Fprintf(&b, "%x ", noise.Uint64())
		}
		return b.String()
	}
	loud := spec(1)
	loud.Request = words(32 << 10)
	job := w.placed(t, t, loud)
	var events []task.Event
	for i := range 450 {
		e := task.Event{Kind: task.Said, Text: words(2000)}
		if i%3 == 0 {
			e = task.Event{Kind: task.ToolFinished, Tool: &task.Tool{ID: "1", Name: "Bash", Title: words(100), Output: words(30_000)}}
		}
		events = append(events, e)
	}
	w.put(t, t, job, append(events, task.Event{Kind: task.Said, Text: words(50_000)})...)
	for i := range int64(150) {
		loud := spec(i + 2)
		loud.Request = words(300)
		w.create(t, t, loud)
	}
	for _, path := range []string{"/", "/harbour/quayside", "/tasks/" + string(job.ID)} {
		size := w.firstPage(t, path)
		t.Logf("%s: %d bytes", path, size)
		if size > 60_000 {
			t.Errorf("%s takes %d bytes", path, size)
		}
	}
}

func TestEarlierEventsAreAPageAway(t *testing.T) {
	w := start(t)
	job := w.placed(t, t, spec(1))
	w.put(t, t, job, said(450, "words")...)
	path := "/tasks/" + string(job.ID)
	seen := map[string]bool{}
	for next := path; next != ""; {
		_, page := w.get(t, next)
		for _, one := range strings.Split(page, ` data-seq="`)[1:] {
			id, _, _ := strings.Cut(one, `"`)
			if seen[id] {
				t.Errorf("%s shows event %s again", next, id)
			}
			seen[id] = true
		}
		if live := strings.Contains(page, "data-live="); live != (next == path) {
			t.Errorf("%s is live: %v", next, live)
		}
		_, after, more := strings.Cut(page, `class="earlier"><a href="`)
		next = ""
		if more {
			next, _, _ = strings.Cut(after, `"`)
		}
	}
	if len(seen) != 450 {
		t.Errorf("saw %d events, want 450", len(seen))
	}
	_, page := w.get(t, path)
	wants(t, "the newest", page, `data-block="2"`, `data-block="1"`, `id="e450"`)
}

func TestAFirstPageOfManyProjectsTellsOfTheBusyOnesFirst(t *testing.T) {
	w := start(t)
	_, empty := w.get(t, "/")
	for i := range int64(400) {
		if err := w.store.SaveProject(t.Context(), task.Project{ID: 1000 + i, Installation: 3, Account: 5, Owner: "harbour", Name: fmt.Sprintf("quay-%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	busy := spec(1)
	busy.Project, busy.Thread = 1399, task.IssueThread(1399, 1)
	w.create(t, t, busy)
	_, home := w.get(t, "/")
	asked, quiet := strings.Index(home, "/projects/harbour/quay-399"), strings.Index(home, "/projects/harbour/quay-0\"")
	if asked < 0 || quiet < asked || strings.Count(home, "Nothing was asked for yet") != 1 || strings.Count(home, "<section") != strings.Count(empty, "<section")+1 {
		t.Errorf("the first page has the busy project at %d and a quiet one at %d: %.2000s", asked, quiet, home)
	}
	if n := w.firstPage(t, "/"); n > 60_000 {
		t.Errorf("it takes %d bytes", n)
	}
}

func TestAnOwnersNameNeverHidesAProject(t *testing.T) {
	w := start(t)
	for i, owner := range []string{"tasks", "static", "projects", "live"} {
		p := task.Project{ID: int64(100 + i), Installation: 3, Account: 5, Owner: owner, Name: "quayside"}
		if err := w.store.SaveProject(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		_, home := w.get(t, "/")
		wants(t, "the first page", home, `href="/projects/`+owner+`/quayside"`)
		if answer, page := w.get(t, "/projects/"+owner+"/quayside"); answer.StatusCode != http.StatusOK || !strings.Contains(page, "<h1>"+owner+"/quayside</h1>") {
			t.Errorf("%s: %s: %.300s", owner, answer.Status, page)
		}
	}
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for path, want := range map[string]string{"/harbour/quayside": "/projects/harbour/quayside", "/a%2f%2fb/x%3fy": "/projects/a%2F%2Fb/x%3Fy", "//evil.example/x/y": "/evil.example/x/y"} {
		if answer, _ := w.get(t, path); answer.Header.Get("Location") != want {
			t.Errorf("%s leads to %q, want %q", path, answer.Header.Get("Location"), want)
		}
	}
}

// An agent's word is a word: what was spent is the model broker's count.
func TestThePageTellsWhatTheModelBrokerCounted(t *testing.T) {
	w := start(t)
	job := w.placed(t, t, spec(1))
	w.put(t, t, job, task.Event{Kind: task.Used, Usage: &task.Usage{Model: "claude-opus-5-5", Input: 7_000_000, Output: 11, MicroUSD: 77_000_000}})
	parts := func() (string, string) {
		t.Helper()
		sum, err := w.sums.of(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		all, err := w.parts(w.read(t, t, job.ID), sum)
		if err != nil {
			t.Fatal(err)
		}
		return string(all["head"].HTML), string(all["facts"].HTML)
	}
	head, facts := parts()
	if strings.Contains(head, "$") || strings.Contains(head, "7.0M") {
		t.Errorf("the agent's count is believed: %s", head)
	}
	wants(t, "the model", facts, "claude-opus-5-5")
	if err := w.store.RecordUsage(t.Context(), job.ID, job.Epoch, task.Usage{Input: 12_000, Output: 300, CacheRead: 45, MicroUSD: 61_200}); err != nil {
		t.Fatal(err)
	}
	head, _ = parts()
	wants(t, "the head", head, "$0.0612", "12.3k", "12.0k in, 300 out, 45 read from the cache", "1 request")
}

func TestTimesAndTokensAreRoundedForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 ms", 999 * time.Millisecond: "999 ms", 9949 * time.Millisecond: "9.9 s", 9950 * time.Millisecond: "10 s",
		59_600 * time.Millisecond: "1 min 00 s", 83 * time.Second: "1 min 23 s", time.Hour - time.Millisecond: "1 h 00 min",
	} {
		if got := duration(d); got != want {
			t.Errorf("%s is told as %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0", 999: "999", 12_345: "12.3k", 99_949: "99.9k", 99_950: "100k", 134_250: "134k", 999_499: "999k", 999_500: "1.0M", 3_000_000: "3.0M",
	} {
		if got := count(n); got != want {
			t.Errorf("%d tokens are told as %q, want %q", n, got, want)
		}
	}
}

func TestEventsAreCountedOnceHoweverOftenThePageIsLoaded(t *testing.T) {
	w := start(t)
	job := w.placed(t, t, spec(1))
	for range 3 {
		w.put(t, t, job, task.Event{Kind: task.Used, Usage: &task.Usage{Model: "claude-opus-5-5"}},
			task.Event{Kind: task.Retried, Text: "529"})
		w.get(t, "/tasks/"+string(job.ID))
	}
	sum, err := w.sums.of(t.Context(), job.ID)
	if err != nil || sum.model != "claude-opus-5-5" || sum.retries != 3 || sum.last != 6 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestThePhasesFollowTheTask(t *testing.T) {
	at := func(states ...task.State) map[task.State]time.Time {
		all := map[task.State]time.Time{}
		for i, s := range states {
			all[s] = created.Add(time.Duration(i) * time.Second)
		}
		return all
	}
	sum := tally{steps: []task.Step{{Name: task.StepMirror, MS: 3}}}
	for name, c := range map[string]struct {
		task task.Task
		want string
	}{
		"new":                   {task.Task{State: task.Queued, At: at(task.Queued)}, "now todo todo todo todo todo"},
		"preparing":             {task.Task{State: task.Preparing, At: at(task.Queued, task.Placing, task.Preparing)}, "done done now todo todo todo"},
		"waiting is of running": {task.Task{State: task.Waiting, At: at(task.Queued, task.Placing, task.Preparing, task.Running, task.Waiting)}, "done done done now todo todo"},
		"its node was lost":     {task.Task{State: task.Placing, At: at(task.Queued, task.Placing, task.Preparing, task.Running)}, "done now todo todo todo todo"},
		"well":                  {task.Task{State: task.Succeeded, At: at(task.Queued, task.Placing, task.Preparing, task.Running, task.Publishing, task.Succeeded)}, "done done done done done done"},
		"failed in preparing":   {task.Task{State: task.Failed, At: at(task.Queued, task.Placing, task.Preparing, task.Failed)}, "done done bad todo todo bad"},
		"stopped in the queue":  {task.Task{State: task.Cancelled, At: at(task.Queued, task.Cancelled)}, "bad todo todo todo todo bad"},
	} {
		var modes []string
		all := phases(c.task, sum)
		for _, p := range all {
			modes = append(modes, p.Mode)
		}
		if got := strings.Join(modes, " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if all[2].Mode != "todo" && (len(all[2].Steps) != 3 || !all[2].Steps[0].Done || all[2].Steps[1].Done) {
			t.Errorf("%s: the steps of preparing are %+v", name, all[2].Steps)
		}
	}
	if p := phases(task.Task{State: task.Placing, At: at(task.Queued, task.Placing)}, tally{})[0]; p.Took != "1.0 s" {
		t.Errorf("queued took %q", p.Took)
	}
}

func TestAStepUnderWayIsShownUntilItIsDone(t *testing.T) {
	var sum tally
	add := func(seq int64, step task.Step) []phaseStep {
		data, err := json.Marshal(task.Event{Seq: seq, Kind: task.Stepped, Step: &step})
		if err != nil {
			t.Fatal(err)
		}
		if !sum.add(task.Numbered{Seq: seq, JSON: data}) {
			t.Errorf("%+v changes nothing", step)
		}
		return preparation(sum)
	}
	add(1, task.Step{Name: task.StepMirror, MS: 3})
	add(2, task.Step{Name: task.StepWorkspace, MS: 4})
	for _, row := range []struct {
		step task.Step
		done bool
	}{
		{task.Step{Name: task.StepEnvironment, MS: 1000, Note: "building Dockerfile", UnderWay: true}, false},
		{task.Step{Name: task.StepEnvironment, MS: 2000, Note: "building Dockerfile: ok", UnderWay: true}, false},
		{task.Step{Name: task.StepEnvironment, MS: 2500, Note: "as devcontainer.json says"}, true},
	} {
		got := add(sum.last+1, row.step)
		if len(got) != 4 || got[2] != (phaseStep{Name: task.StepEnvironment, Done: row.done, MS: row.step.MS, Note: row.step.Note}) || !got[1].Done || got[3].Done {
			t.Errorf("after %+v the steps are %+v", row.step, got)
		}
	}
	if len(sum.steps) != 3 {
		t.Errorf("the steps are %+v", sum.steps)
	}
}

func TestHowATaskEndedAndWhatNextIsSaid(t *testing.T) {
	r := rendering(t)
	d := &Dashboard{github: "https://github.com", render: r}
	ended := task.Task{Spec: spec(1), Branch: "sam/issue-1", Head: "1f2e3d4c5b6a", Pull: 4, PullURL: "https://github.com/harbour/quayside/pull/4",
		Failure: "The image `x` does not exist.", Summary: "It **works**.", Headline: "Limit uploads"}
	for state, want := range map[task.State][]string{
		task.Failed:    {"did not work out", "The image <code>x</code> does not exist.", "What next", "kept on the branch", "1f2e3d4c5<"},
		task.Cancelled: {"was stopped", "What next"},
		task.Succeeded: {"Limit uploads", "It <strong>works</strong>.", "pull/4"},
	} {
		ended.State = state
		ended.At = map[task.State]time.Time{task.Queued: created, state: created.Add(time.Minute)}
		parts, err := d.parts(ended, tally{end: &task.End{Left: true}})
		if err != nil {
			t.Fatal(err)
		}
		wants(t, string(state), string(parts["outcome"].HTML), append(want, "behind in the workspace")...)
		wants(t, string(state), string(parts["head"].HTML), "1 min 00 s")
	}
	ended.Misused = []task.Misuse{task.Elsewhere, task.AfterEnd}
	shown, err := d.parts(ended, tally{})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, "a token that was refused", string(shown["outcome"].HTML), "token was used elsewhere", "token was used after its attempt", "It was refused")
	asks := task.Task{Spec: spec(1), State: task.Waiting, At: map[task.State]time.Time{task.Queued: created}, Workspace: "process", Waits: "No machine is free.",
		Ask: &task.Question{Text: "Which **colour**?", Options: []string{"green"}, Asked: created.Add(time.Hour)}}
	parts, err := d.parts(asks, tally{})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, "a question", string(parts["outcome"].HTML), "waits for an answer", "Which <strong>colour</strong>?", "23 Nov, 11:00:00", "30 Nov, 11:00:00",
		"Answer on GitHub", "/sam green", "Its machine is gone", "No machine is free.")
	wants(t, "no isolation", string(parts["facts"].HTML), "not isolated")
}

func TestAnsweredCompressedAPageIsTheSame(t *testing.T) {
	w := start(t)
	_, plainly := w.get(t, "/")
	_, packed := w.get(t, "/", "Accept-Encoding", "gzip")
	r, err := gzip.NewReader(bytes.NewReader([]byte(packed)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || string(got) != plainly {
		t.Errorf("%v, %d bytes of %d", err, len(got), len(plainly))
	}
}
