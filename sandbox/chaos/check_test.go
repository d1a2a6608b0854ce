package chaos

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sam/sandbox/github"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const app = "sam"

// evidence is what a run leaves behind.
type evidence struct {
	asks    []asked
	history github.History
	records *records
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// kept is the evidence of a run of one request in which every promise was kept.
func kept() *evidence {
	return &evidence{
		asks: []asked{{comment: 100, repository: "octo/hello", number: 1, words: "/sam add a health check"}},
		history: github.History{
			Comments: []github.PastComment{
				{ID: 100, RepositoryID: 7, Repository: "octo/hello", Number: 1, Author: "ada", Body: "/sam add a health check"},
				{ID: 101, RepositoryID: 7, Repository: "octo/hello", Number: 1, App: app, Body: "Working.\n<!-- sam:status:t1 -->"},
				{ID: 102, RepositoryID: 7, Repository: "octo/hello", Number: 1, App: app, Body: "Done.\n<!-- sam:closing:t1 -->"},
			},
			PullRequests: []github.PastPull{{RepositoryID: 7, Repository: "octo/hello", Number: 2, App: app, Head: "sam/issue-1", State: "open"}},
			Pushes:       []github.PastPush{{RepositoryID: 7, Ref: "refs/heads/sam/issue-1", New: "c1"}},
			Deliveries:   []github.PastDelivery{{Attempts: make([]github.PastAttempt, 2)}},
		},
		records: &records{
			tasks: map[string]*record{"t1": {
				id: "t1", state: "succeeded", epoch: 3, project: 7, number: 1, comment: 100, head: "c1", last: 3, attempts: 1,
				events: []event{
					{id: 1, seq: 1, kind: "stepped", epoch: 1, at: noon},
					{id: 2, seq: 2, kind: "said", epoch: 1, at: noon},
					{id: 3, seq: 3, kind: "finished", epoch: 1, at: noon},
				},
			}},
			entries: []entry{{"request", "t1"}, {"started", "t1"}, {"result", "t1"}},
		},
	}
}

func (e *evidence) report() *Report {
	r := &Report{}
	check(r, app, e.asks, e.history, e.records)
	return r
}

func TestAWorldInWhichEveryPromiseWasKeptIsReportedAsSuch(t *testing.T) {
	r := kept().report()
	if !r.Kept() || len(r.Findings()) != 0 || r.Tasks != 1 || r.Deliveries != 2 {
		t.Errorf("%+v", r)
	}
}

func TestEveryKindOfBrokenPromiseIsSeen(t *testing.T) {
	task := func(e *evidence) *record { return e.records.tasks["t1"] }
	comment := func(e *evidence, body string) {
		e.history.Comments = append(e.history.Comments, github.PastComment{ID: 200, Repository: "octo/hello", Number: 1, App: app, Body: body})
	}
	for _, c := range []struct {
		what string
		do   func(*evidence)
		want Report
	}{
		{"a request without a task", func(e *evidence) { delete(e.records.tasks, "t1") }, Report{Lost: 1}},
		{"an end that nobody was told", func(e *evidence) { e.history.Comments = e.history.Comments[:2] }, Report{Lost: 1}},
		{"an end whose comment is gone", func(e *evidence) { e.history.Comments[2].DeletedAt = &noon }, Report{Lost: 1}},
		{"an end that somebody else told", func(e *evidence) { e.history.Comments[2].App = "" }, Report{Lost: 1}},
		{"two tasks for one request", func(e *evidence) {
			twin := *task(e)
			twin.id, twin.number = "t2", 9
			e.records.tasks["t2"] = &twin
			twin.head = ""
			comment(e, "<!-- sam:closing:t2 -->")
		}, Report{DuplicateTasks: 1}},
		{"a task that nobody asked for who may", func(e *evidence) {
			e.records.tasks["t2"] = &record{id: "t2", state: "failed", project: 7, number: 2, comment: 300}
		}, Report{Uninvited: 1}},
		{"an answer to a stranger", func(e *evidence) { comment(e, "@eve, you may not ask.\n<!-- sam:reply:300 -->") }, Report{Uninvited: 1}},
		{"a task that was made twice", func(e *evidence) { e.records.entries = append(e.records.entries, entry{"request", "t1"}) }, Report{DuplicateTasks: 1}},
		{"two comments with one marker", func(e *evidence) { comment(e, "<!-- sam:closing:t1 -->") }, Report{DuplicateComments: 1}},
		{"two pull requests of one thread", func(e *evidence) {
			e.history.PullRequests = append(e.history.PullRequests,
				github.PastPull{RepositoryID: 7, Repository: "octo/hello", Number: 3, App: app, Head: "sam/issue-1-2", State: "open"})
		}, Report{DuplicatePullRequests: 1}},
		{"an end after the end", func(e *evidence) { e.records.entries = append(e.records.entries, entry{"result", "t1"}) }, Report{StaleWrites: 1}},
		{"a start after the end", func(e *evidence) { e.records.entries = append(e.records.entries, entry{"started", "t1"}) }, Report{StaleWrites: 1}},
		{"a push after the recorded one", func(e *evidence) {
			e.history.Pushes = append(e.history.Pushes, github.PastPush{RepositoryID: 7, Ref: "refs/heads/sam/issue-1", Old: "c1", New: "c2"})
		}, Report{StaleWrites: 1}},
		{"an event of an epoch that was over", func(e *evidence) { task(e).events[0].epoch = 2 }, Report{StaleWrites: 1}},
		{"an epoch that took over from a live one", func(e *evidence) {
			task(e).events[2].epoch, task(e).events[2].at = 2, noon.Add(10*time.Second)
		}, Report{StaleWrites: 1}},
		{"a number that is missing", func(e *evidence) {
			task(e).events = slices.Delete(task(e).events, 1, 2)
		}, Report{Gaps: 2}}, // the entry after it is in a wrong place, and one is missing at the end
		{"a number that is there twice", func(e *evidence) { task(e).events[1].seq = 1 }, Report{Gaps: 1}},
		{"a record that says more than the stream holds", func(e *evidence) { task(e).last = 4 }, Report{Gaps: 1}},
		{"a task that is not final", func(e *evidence) { task(e).state = "publishing" }, Report{Unfinished: 1}},
		{"an effect that is owed", func(e *evidence) { e.records.owed = []string{"status:t1"} }, Report{Unfinished: 1}},
		{"a delivery that was not handled", func(e *evidence) { e.records.intake = 1 }, Report{Unfinished: 1}},
	} {
		t.Run(c.what, func(t *testing.T) {
			e := kept()
			c.do(e)
			got := e.report()
			findings := got.Findings()
			if got.Kept() || len(findings) == 0 {
				t.Error("the checker did not see it")
			}
			got.Tasks, got.Deliveries, got.findings = 0, 0, nil
			if a, b := line(t, got), line(t, &c.want); a != b {
				t.Errorf("counted %s\nwant    %s\n%s", a, b, strings.Join(findings, "\n"))
			}
		})
	}
}

func TestWhatLooksLikeABrokenPromiseAndIsNoneIsNotCounted(t *testing.T) {
	for what, do := range map[string]func(*evidence){
		"a twin that was removed": func(e *evidence) {
			e.history.Comments = append(e.history.Comments, github.PastComment{App: app, Body: "<!-- sam:closing:t1 -->", DeletedAt: &noon})
		},
		"a marker in somebody's comment": func(e *evidence) {
			e.history.Comments = append(e.history.Comments, github.PastComment{Author: "eve", Body: "<!-- sam:closing:t1 -->"})
		},
		"an attempt after one that ended lost": func(e *evidence) {
			events := e.records.tasks["t1"].events
			events[0].kind, events[1].epoch, events[2].epoch = "finished", 2, 2
		},
		"an attempt after one whose node fell silent": func(e *evidence) {
			last := &e.records.tasks["t1"].events[2]
			last.epoch, last.at = 2, noon.Add(45*time.Second)
		},
		"a request that was heard of after a later one": func(e *evidence) {
			late := *e.records.tasks["t1"]
			late.id, late.comment, late.head = "t2", 99, "c2"
			e.records.tasks["t2"] = &late
			e.asks = append(e.asks, asked{comment: 99, repository: "octo/hello", number: 1, words: "/sam log every request"})
			e.records.entries = append(e.records.entries, entry{"request", "t2"}, entry{"started", "t2"}, entry{"result", "t2"})
			e.history.Comments = append(e.history.Comments, github.PastComment{Repository: "octo/hello", Number: 1, App: app, Body: "<!-- sam:closing:t2 -->"})
			e.history.Pushes = append(e.history.Pushes, github.PastPush{RepositoryID: 7, Ref: "refs/heads/sam/issue-1", Old: "c1", New: "c2"})
		},
		"a pull request that was closed": func(e *evidence) {
			e.history.PullRequests = append(e.history.PullRequests, github.PastPull{Repository: "octo/hello", App: app, Head: "sam/issue-1", State: "closed"})
		},
		"somebody's own pull request": func(e *evidence) {
			e.history.PullRequests = append(e.history.PullRequests, github.PastPull{Repository: "octo/hello", Head: "sam/issue-1", State: "open"})
		},
	} {
		t.Run(what, func(t *testing.T) {
			e := kept()
			do(e)
			if r := e.report(); !r.Kept() {
				t.Errorf("counted as broken: %v", r.Findings())
			}
		})
	}
}

func TestTheReportIsOneLineWithTheCountsThatArePromised(t *testing.T) {
	got := line(t, &Report{Seed: 7, Faults: map[string]int{"kill_node": 3}, findings: []string{"not this"}})
	want := `{"seed":7,"deliveries":0,"tasks":0,"machines":0,"spent":0,"faults":{"kill_node":3},"lost":0,"duplicate_tasks":0,"duplicate_comments":0,` +
		`"duplicate_pull_requests":0,"stale_writes":0,"gaps":0,"unfinished":0,"uninvited":0,"orphans":0,"over_budget":0,"over_cap":0}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestARequestIsUnheardUntilItHasATask(t *testing.T) {
	e := kept()
	if got := unheard(e.asks, e.records); got != 0 {
		t.Errorf("%d of the requests that have a task", got)
	}
	delete(e.records.tasks, "t1")
	if got := unheard(e.asks, e.records); got != 1 {
		t.Errorf("%d, want the one without a task", got)
	}
}

func TestAFaultThatNeverStruckIsNamed(t *testing.T) {
	r := Report{Faults: map[string]int{"b": 0, "a": 0, "c": 1}}
	if got := r.Missed(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("named %v", got)
	}
}

func line(t *testing.T, r *Report) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
