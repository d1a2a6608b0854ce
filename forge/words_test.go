package forge

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"sam/task"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".md")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n%s\nwant:\n%s", path, got, want)
	}
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// told is a task that has come as far as a state, one second a step.
func told(s task.State, change func(*task.Task)) task.Task {
	t := task.Task{
		Spec: task.Spec{
			ID: "tgpywrq7pypilqho5", Project: 7, Installation: 3, Repository: "harbour/quayside", Thread: "7-12", Number: 12,
			Title: "Uploads can be hammered", Request: "add rate limiting to /api/upload,\nten requests a minute and client",
			Requester: "ada", Agent: "demo", Created: noon, Accepted: noon,
		},
		State: s, At: map[task.State]time.Time{task.Queued: noon},
	}
	at := noon
	for _, passed := range []task.State{task.Placing, task.Preparing, task.Running, task.Publishing} {
		if s == task.Queued || t.At[s] != (time.Time{}) {
			break
		}
		at = at.Add(time.Second)
		t.At[passed] = at
		switch passed {
		case task.Preparing:
			t.Node, t.Workspace, t.Branch, t.Base = "local", "process", "sam/issue-12", "main"
		case task.Running:
			if s == task.Waiting {
				t.At[s] = at.Add(time.Second)
			}
		case task.Publishing:
			t.Head = "0f3f2b5c9a1d4e6f8a7b6c5d4e3f2a1b0c9d8e7f"
		}
	}
	if s.Final() {
		t.At[s] = noon.Add(83 * time.Second)
	}
	if s == task.Succeeded {
		t.Pull, t.PullURL = 13, "https://github.com/harbour/quayside/pull/13"
		t.Headline = "Limit uploads to ten a minute and client"
		t.Summary = "Uploads pass a token bucket per client.\n\n- `limit.go` holds the bucket\n- `go test ./...` passes"
	}
	if change != nil {
		change(&t)
	}
	return t
}

func TestWhatSAMSaysReadsAsItShould(t *testing.T) {
	onPull := func(t *task.Task) { t.OnPull, t.Branch, t.Pull = true, "ada/uploads", 12 }
	noCommits := func(t *task.Task) {
		t.Head, t.Failure = "", "The agent says that it is done, but it committed nothing, so there is nothing to show. Say more exactly what should change, and ask again."
	}
	statuses := map[string]task.Task{
		"queued":  told(task.Queued, nil),
		"placing": told(task.Placing, nil),
		"starved": told(task.Placing, func(t *task.Task) {
			t.Waits = "No node is connected. On the machine that is to do the work the operator starts `sam node`; this then goes on by itself."
		}),
		"preparing": told(task.Preparing, nil),
		"running":   told(task.Running, nil),
		"again": told(task.Running, func(t *task.Task) {
			t.State, t.Waits = task.Placing, "Its node local has been silent for 45s. It is tried once more."
		}),
		"waiting":    told(task.Waiting, nil),
		"publishing": told(task.Publishing, nil),
		"succeeded":  told(task.Succeeded, nil),
		"on-pull":    told(task.Succeeded, onPull),
		"failed": told(task.Failed, func(t *task.Task) {
			t.Failure = "GitHub refused the pull request: No commits between main and sam/issue-12"
		}),
		"no-commits": told(task.Failed, noCommits),
		"cancelled":  told(task.Cancelled, func(t *task.Task) { t.Failure = "ada stopped it." }),
	}
	for name, task := range statuses {
		golden(t, "status-"+name, pages("http://127.0.0.1:8090").statusText(task))
		if task.State.Final() {
			golden(t, "closing-"+name, pages("http://127.0.0.1:8090").closingText(task))
		}
	}
	for name, task := range map[string]task.Task{
		"pull": told(task.Succeeded, nil), "pull-plain": told(task.Succeeded, func(t *task.Task) { t.Headline, t.Summary, t.Title = "", "", "" }),
	} {
		title, body := pullText(task)
		golden(t, name, "# "+title+"\n\n"+body)
	}
	golden(t, "reply", replyText(task.EffectBody{Key: "comment-5", Text: "@tess, SAM takes requests from people with write access."}))
}

func TestForeignWordsAreTamed(t *testing.T) {
	const z = "\u200b"
	for name, c := range map[string]struct{ words, want string }{
		"plain words":               {"Made it **fast**.", "Made it **fast**."},
		"a mention":                 {"@ada did, (@bob) and\n@cy-d", "@" + z + "ada did, (@" + z + "bob) and\n@" + z + "cy-d"},
		"a team":                    {"/cc @harbour/crew", "/cc @" + z + "harbour/crew"},
		"two at once":               {"@@ada /@bob", "@@" + z + "ada /@" + z + "bob"},
		"an address":                {"ada@example.org", "ada@example.org"},
		"a mention as code":         {"`@Override`", "`@Override`"},
		"a closing word":            {"Fixes #12 and closes: #13", "Fixes " + z + "#12 and closes: " + z + "#13"},
		"closing elsewhere":         {"resolved harbour/quayside#1, fix GH-2", "resolved " + z + "harbour/quayside#1, fix " + z + "GH-2"},
		"closing by address":        {"close https://github.com/a/b/issues/1", "close " + z + "https://github.com/a/b/issues/1"},
		"a mere number":             {"see #12; the prefix #1", "see #12; the prefix #1"},
		"a marker":                  {"<!-- sam:status:ta -->", "<" + z + "!-- sam:status:ta -->"},
		"a marker in code":          {"```\n<!-- sam:status:ta -->\n```", "```\n<" + z + "!-- sam:status:ta -->\n```"},
		"an open comment":           {"<!-- so", "<" + z + "!-- so"},
		"bytes that are no text":    {"a\xff\xfeb", "a\uFFFDb"},
		"an open fence":             {"see\n```go\nfunc x()", "see\n```go\nfunc x()\n```"},
		"an open longer fence":      {"````\n```\nx\n```", "````\n```\nx\n```\n````"},
		"an open fence of tildes":   {"~~~ x", "~~~ x\n~~~"},
		"a closed fence":            {"```\nx\n```", "```\nx\n```"},
		"a fence in a list":         {"- see\n  ```\n  x", "- see\n  ```\n  x"},
		"a fence that is code":      {"    ```\n", "    ```\n"},
		"open preformatted HTML":    {"<pre>\nx", "&lt;pre>\nx"},
		"a whole block of HTML":     {"<pre>\nx\n</pre>", "<pre>\nx\n</pre>"},
		"details":                   {"<details>x</details>", "<details>x</details>"},
		"details that stay open":    {"<details><summary>x</summary>", "&lt;details><summary>x</summary>"},
		"the end of SAM's details":  {"</details> ha", "&lt;/details> ha"},
		"line ends as from Windows": {"a\r\nb", "a\nb"},
	} {
		if got := tame(c.words, 1000); got != c.want {
			t.Errorf("%s: %q became %q, want %q", name, c.words, got, c.want)
		}
	}
}

func TestAHugeTextIsCutOutsideOfItsFence(t *testing.T) {
	const note = "\n\n*… cut here: there was more than GitHub's comments hold.*"
	got := tame("```\n"+strings.Repeat("é", 100), 50)
	if want := "```\n" + strings.Repeat("é", 46) + "\n```" + note; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := tame(strings.Repeat("x", 50), 50); strings.Contains(got, "cut") {
		t.Errorf("what fits was cut: %q", got)
	}
}

// Whatever others wrote, GitHub takes what SAM makes of it.
func TestEveryTextFitsIntoAComment(t *testing.T) {
	for name, huge := range map[string]string{
		"letters": strings.Repeat("x", 200_000), "line ends": strings.Repeat("x\n", 100_000), "mentions": strings.Repeat("@a ", 100_000),
		"fences": strings.Repeat("```\n", 50_000), "broken": strings.Repeat("\xff", 200_000), "a long fence": strings.Repeat("~", 200_000),
	} {
		all := told(task.Succeeded, func(t *task.Task) { t.Title, t.Headline, t.Summary, t.Request = huge, huge, huge, huge })
		title, body := pullText(all)
		texts := map[string]string{
			"pull": body, "status": pages("http://127.0.0.1:8090").statusText(all), "closing": pages("http://127.0.0.1:8090").closingText(all),
			"failed closing": pages("http://127.0.0.1:8090").closingText(told(task.Failed, func(t *task.Task) { t.Failure, t.Request = huge, huge })),
			"failed status":  pages("http://127.0.0.1:8090").statusText(told(task.Failed, func(t *task.Task) { t.Failure, t.Request = huge, huge })),
			"waiting status": pages("http://127.0.0.1:8090").statusText(told(task.Waiting, func(t *task.Task) { t.Waits, t.Request = huge, huge })),
		}
		for which, text := range texts {
			if n := utf8.RuneCountInString(text); n > 65_536 || !utf8.ValidString(text) {
				t.Errorf("%s of %s: %d characters", which, name, n)
			}
			if strings.Count(text, "<!-- sam:") != 1 {
				t.Errorf("%s of %s has not exactly one marker", which, name)
			}
		}
		if n := utf8.RuneCountInString(title); n == 0 || n > maxTitle || strings.Contains(title, "\n") || !utf8.ValidString(title) {
			t.Errorf("the title of %s has %d characters", name, n)
		}
	}
}

func TestATitleIsOneLineThatIsCut(t *testing.T) {
	for name, c := range map[string]struct {
		words, want string
	}{
		"short":          {"Fix it", "Fix it"},
		"several lines":  {" Fix\n\n it\tnow ", "Fix it now"},
		"just as long":   {strings.Repeat("é", 10), strings.Repeat("é", 10)},
		"longer":         {strings.Repeat("é", 11), strings.Repeat("é", 9) + "…"},
		"cut at a space": {"12345678 x yz", "12345678…"},
	} {
		if got := line(c.words, 10); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestATimeIsSaidAsPeopleSayIt(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 59_949 * time.Millisecond: "59.9 s", 59_990 * time.Millisecond: "1 min 0 s", time.Hour - time.Millisecond: "1 h 0 min", 4230 * time.Millisecond: "4.2 s", 83 * time.Second: "1 min 23 s", 2*time.Hour + 5*time.Minute + 9*time.Second: "2 h 5 min",
	} {
		if got := took(d); got != want {
			t.Errorf("%s is said %q, want %q", d, got, want)
		}
	}
}

func TestACellOfATableKeepsItsBars(t *testing.T) {
	got := pages("http://127.0.0.1:8090").statusText(told(task.Running, func(t *task.Task) { t.Branch = "a|b" }))
	if !strings.Contains(got, "| Branch | `a\\|b` |\n") {
		t.Errorf("got %s", got)
	}
}

func TestABranchNameWithBackticksStaysCode(t *testing.T) {
	status := pages("").statusText(told(task.Running, func(t *task.Task) { t.Branch = "a`@ada`b``c" }))
	if !strings.Contains(status, "| Branch | ``` a`@ada`b``c ``` |\n") {
		t.Errorf("got %s", status)
	}
}

func TestTokensAreRoundedForPeople(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1.0k", 12_345: "12.3k", 99_949: "99.9k", 99_950: "100k", 134_250: "134k", 999_499: "999k", 999_500: "1.0M", 3_000_000: "3.0M",
	} {
		if got := count(n); got != want {
			t.Errorf("%d tokens are told as %q, want %q", n, got, want)
		}
	}
}

// GitHub makes a link of owner/repository@hash, by seven digits or more.
func TestACommitIsToldByAShortHashThatGitHubLinks(t *testing.T) {
	whole := told(task.Succeeded, nil).Head
	failed := told(task.Failed, func(t *task.Task) { t.Failure = "no" })
	onPull := told(task.Succeeded, func(t *task.Task) { t.OnPull, t.Branch = true, "ada/uploads" })
	for _, told := range []task.Task{told(task.Succeeded, nil), failed, onPull} {
		text := pages("").closingText(told)
		if !strings.Contains(text, "up to commit harbour/quayside@0f3f2b5c9.") || strings.Contains(text, whole) {
			t.Errorf("got %s", text)
		}
	}
}

func TestEveryTableHasAHeader(t *testing.T) {
	for _, s := range []task.State{task.Queued, task.Running, task.Succeeded} {
		if text := pages("").statusText(told(s, nil)); strings.Contains(text, "| | |") || !strings.Contains(text, "\n| Task | `tgpywrq7pypilqho5`, asked by ada |\n|:---|:---|\n") {
			t.Errorf("got %s", text)
		}
	}
}

func FuzzTame(f *testing.F) {
	for _, seed := range []string{"@a", "```\nx", "<!-- sam:x", "<details>", "~~~ @b\nfixes #1", "> ```\n", "<pre", "<?"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, words string) {
		got := tame(words, 500)
		if strings.Contains(got, "<!--") || !utf8.ValidString(got) {
			t.Fatalf("%q became %q", words, got)
		}
		if again := seal(got); again != got {
			t.Fatalf("%q became %q, which leaves something open", words, got)
		}
	})
}

func TestTheCostIsToldWhereThereIsOne(t *testing.T) {
	for want, spent := range map[string]task.Spent{
		"":                                      {},
		"$0.0042 for 1.5k tokens in 2 requests": {Requests: 2, Input: 1000, Output: 500, MicroUSD: 4200},
		"$12.35 for 3.0M tokens in 40 requests": {Requests: 40, CacheRead: 2_000_000, CacheWrite: 500_000, Input: 400_000, Output: 100_000, MicroUSD: 12_345_678},
		"950 tokens in 1 request":               {Requests: 1, Input: 950}, // of a model without a price
	} {
		if got := cost(spent); got != want {
			t.Errorf("%+v is told as %q, want %q", spent, got, want)
		}
	}
	paid := told(task.Succeeded, func(t *task.Task) { t.Spent = task.Spent{Requests: 2, Input: 1000, Output: 500, MicroUSD: 4200} })
	golden(t, "status-paid", pages("").statusText(paid))
	golden(t, "closing-paid", pages("").closingText(paid))
}

func TestAnAgentWithoutIsolationIsSaidToHaveHadNone(t *testing.T) {
	exposed := told(task.Succeeded, func(t *task.Task) { t.Agent = "claude" })
	golden(t, "status-exposed", pages("").statusText(exposed))
	golden(t, "closing-exposed", pages("").closingText(exposed))
}
