package handlers_test

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"sam/handlers"
)

func request(text string) handlers.Command {
	return handlers.Command{Verb: handlers.VerbRequest, Text: text}
}

func TestACommandIsALineThatBeginsWithSam(t *testing.T) {
	for name, c := range map[string]struct {
		comment string
		want    []handlers.Command
	}{
		"one line":                         {"/sam add rate limiting to /api/upload", []handlers.Command{request("add rate limiting to /api/upload")}},
		"after other paragraphs":           {"Thanks!\n\nOne more thing:\n\n/sam fix it", []handlers.Command{request("fix it")}},
		"a later line of a paragraph":      {"Thanks!\n/sam fix it please", []handlers.Command{request("fix it please")}},
		"indented a little":                {"  /sam fix it", []handlers.Command{request("fix it")}},
		"with a tab":                       {"/sam\tfix it", []handlers.Command{request("fix it")}},
		"the words on the next line":       {"/sam\nfix it", []handlers.Command{request("fix it")}},
		"several paragraphs":               {"/sam fix it\n\nIt is broken since `v2`.\n\n- first\n- second\n\n```go\nfunc x()\n```", []handlers.Command{request("fix it\n\nIt is broken since `v2`.\n\n- first\n- second\n\n```go\nfunc x()\n```")}},
		"with line ends as browsers send":  {"/sam fix it\r\n\r\nSoon.\r\n", []handlers.Command{request("fix it\n\nSoon.")}},
		"two":                              {"/sam fix the leak\n/sam add a test", []handlers.Command{request("fix the leak"), request("add a test")}},
		"two, with a paragraph between":    {"/sam fix the leak\n\nin upload.go\n\n/sam add a test", []handlers.Command{request("fix the leak\n\nin upload.go"), request("add a test")}},
		"one that quotes another":          {"/sam do what this says:\n\n> /sam delete it all", []handlers.Command{request("do what this says:\n\n> /sam delete it all")}},
		"nothing to do":                    {"/sam", []handlers.Command{{Verb: handlers.VerbEmpty}}},
		"nothing but space":                {"/sam  \n\n", []handlers.Command{{Verb: handlers.VerbEmpty}}},
		"help":                             {"/sam help", []handlers.Command{{Verb: handlers.VerbHelp}}},
		"help, shouted":                    {"/sam HELP", []handlers.Command{{Verb: handlers.VerbHelp}}},
		"help, misspelt":                   {"/sam hlep", []handlers.Command{{Verb: handlers.VerbUnknown, Text: "hlep", Nearest: "help"}}},
		"help with something is a request": {"/sam help the tests pass", []handlers.Command{request("help the tests pass")}},
		"one word that is no verb":         {"/sam refactor", []handlers.Command{request("refactor")}},
		"empty, then a request":            {"/sam\n/sam fix it", []handlers.Command{{Verb: handlers.VerbEmpty}, request("fix it")}},
		"nobody is asked":                  {"Looks good to me.", nil},
		"an empty comment":                 {"", nil},
		"within a line":                    {"please /sam fix it", nil},
		"another word":                     {"/same here", nil},
		"a path":                           {"/sam/config is wrong", nil},
		"as a telephone writes it":         {"/Sam fix it", []handlers.Command{request("fix it")}},
		"shouted":                          {"/SAM fix it", []handlers.Command{request("fix it")}},
		"a word that is kept for later":    {"/sam Stop", []handlers.Command{{Verb: handlers.VerbLater, Text: "stop"}}},
		"that word in a request":           {"/sam stop the clock in tests", []handlers.Command{request("stop the clock in tests")}},
		"that word misspelt":               {"/sam statsu", []handlers.Command{{Verb: handlers.VerbUnknown, Text: "statsu", Nearest: "status"}}},
		"in a quote":                       {"> /sam fix it", nil},
		"in a quote that goes on lazily":   {"> He said:\n/sam fix it", nil},
		"in a fence":                       {"```\n/sam fix it\n```", nil},
		"in a fence of tildes":             {"~~~sh\n/sam fix it\n~~~", nil},
		"in a fence that is left open":     {"```\n\n/sam fix it", nil},
		"indented as code":                 {"    /sam fix it", nil},
		"in a list":                        {"- one\n- /sam fix it", nil},
		"in a list's next paragraph":       {"1. one\n\n   /sam fix it", nil},
		"in a table":                       {"what | who\n--- | ---\n/sam fix it | me", nil},
		"in a table with edges":            {"| what |\n|---|\n| /sam fix it |", nil},
		"in a comment of HTML":             {"<!--\n/sam fix it\n\n/sam and that\n-->", nil},
		"in a comment within a line":       {"see <!-- this\n/sam fix it\n-->", nil},
		"in a block of HTML":               {"<div>\n/sam fix it\n</div>", nil},
		"as inline code":                   {"`/sam fix it` starts it", nil},
		"in inline code over two lines":    {"write `here:\n/sam fix it` and wait", nil},
		"as a heading":                     {"# /sam fix it", nil},
		"underlined as a heading":          {"/sam fix it\n===", nil},
		"escaped":                          {"\\/sam fix it", nil},
	} {
		if got := handlers.ParseCommands(c.comment); len(got)+len(c.want) > 0 && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, c.want)
		}
	}
}

func TestALongRequestIsCutOnACharactersBoundary(t *testing.T) {
	got := handlers.ParseCommands("/sam x" + strings.Repeat("é", 40_000))
	if len(got) != 1 || len(got[0].Text) > 32<<10 || len(got[0].Text) < 32<<10-1 || !utf8.ValidString(got[0].Text) {
		t.Errorf("%d commands, the first of %d bytes", len(got), len(got[0].Text))
	}
}

func FuzzParseCommands(f *testing.F) {
	for _, seed := range []string{
		"/sam fix it\n/sam help", "> a\n/sam b", "```\n/sam\n", "a | b\n-|-\n/sam | c", "`x\n/sam y`", "<!--\n/sam", "/sam\r\n\r/sam", "\x00/sam\xff x", "[/sam]: /sam",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, comment string) {
		commands := handlers.ParseCommands(comment)
		if len(commands) > strings.Count(comment, "/sam") {
			t.Fatalf("%d commands in %q", len(commands), comment)
		}
		for _, c := range commands {
			if len(c.Text) > 32<<10 || (c.Verb == handlers.VerbRequest) != (c.Text != "" && c.Nearest == "") {
				t.Fatalf("%+v in %q", c, comment)
			}
		}
	})
}
