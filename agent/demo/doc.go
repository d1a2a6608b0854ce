// Package demo is the built-in coding agent that SAM is tried out with, run as `sam demo-agent` in a workspace. It needs
// no key, no network and no model: it knows a few recipes for small web services in Go and says so when asked for
// anything else. What it does is real: it edits the repository in its working directory, runs its tests and commits.
//
// # What it speaks
//
// On stdin it reads one JSON object: {"request": what the person wrote, "prompt": all that SAM tells an agent}, and for each
// question {"answer": what the person answered}. On stdout it writes one JSON object a line:
//
//	{"type":"say","text":…}                                 to the person, Markdown
//	{"type":"think","text":…}                               to itself
//	{"type":"plan","items":[{"text":…,"state":…}]}          state: open, doing, done
//	{"type":"call","id":…,"tool":…,"title":…,"at":…}        a tool is used; at is path[:line]
//	{"type":"return","id":…,"output":…,"diff":…,"exit":…}   and what came of it
//	{"type":"ask","id":…,"text":…,"options":[…]}            a question; it goes on when it has the answer
//	{"type":"answered","text":…}                            it has
//	{"type":"end","verdict":"done","headline":…,"summary":…}
//	{"type":"end","verdict":"cannot","reason":…}            always the last line
//
// Exit codes: 0 when it said how it ended, 2 when it was called wrongly or could not write.
//
// # How it misbehaves on request
//
// For trying out what SAM does then, a request may begin with
//
//	demo: die          says something, changes a file, and kills itself
//	demo: pretend      says that it is done, and committed nothing
//	demo: push main    tries to push to main, shows what it was told, and gives up
//	demo: wait         works until it is stopped
//	demo: ask          asks which colour a sign shall have, and paints it; “demo: ask twice” asks for its words, too
package demo
