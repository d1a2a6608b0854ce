// Package model is a scripted language model behind Anthropic's Messages API: Claude Code runs on it end to end, with
// tools and streaming and no internet. It understands nothing. What it answers is a function of the conversation it is
// sent: the same conversation gets the same answer, ids and token counts included, from any process. The one exception
// is `limited`, which must tell a retry from a first try; see Server.attempt.
//
// # Scenarios
//
// The latest request of the user chooses, by the words "scenario NAME" (the last one counts); a message that the user
// sends while the model works chooses anew only with these words. Options.Scenario forces one. Where nothing is chosen, a
// request for rate limiting and nothing else is `work`, and the answer to a question of `ask` goes on with that. Any other
// request changes nothing: the model says that it is a scripted stand-in and what it knows, and beside a scenario that does
// not exist the nearest that does. Of a prompt of SAM's only the request counts, never the text; see prompt.go.
//
// All last words but those of `forge` end by saying that a stand-in said them.
//
//	work       adds rate limiting to the demo repository (sam/sandbox/seed): looks, reads, writes, tests, commits.
//	           Where a step fails it says so, and ends without a commit
//	steps      twelve commands that only look, with text between
//	ask        asks how many uploads a second are right, and does the work with the answer
//	slow       a long text, a piece every Options.Pace. "scenario slow 200": that many pieces, at most 5,000
//	limited    429 with retry-after, at the first retry 529 overloaded_error, then an answer
//	dead       500 api_error, always
//	hang       no answer at all, until the client goes, the server is closed, or ten minutes have passed (504)
//	half       half of an answer, then the connection drops; always
//	overloaded half of an answer, then an error event in the stream; always
//	forge      what a page must survive: hostile Markdown, HTML, terminal sequences, lone surrogates, false markers
//	big        a command that prints very much: "scenario big 10 MB" in one line (the default), "scenario big 200000
//	           lines"; at most 1 GB or 50 million lines
//	daemon     a command that leaves a process behind, in a session of its own
//	noop       claims that all is done, and does nothing
//
// Tools are used as the request offers them: names and parameters are taken from its schemas, so the clients' variants
// of a shell, of reading, writing and editing all do. Without a file tool the shell does it; without a shell the model
// says what it cannot do. Requests without tools that ask for a title or for JSON by a schema get such.
//
// # What is as the service has it
//
// Authentication, the error shapes and the checks on a conversation, the order and contents of the stream's events,
// thinking blocks whose signatures are checked when they come back, max_tokens and stop_sequences, request-id and
// rate limit headers, 32 MB for a request. Token counts are estimates from the text. Caching is reckoned from
// cache_control: what the previous request of the same conversation marked counts as read.
//
// What is not: images and documents count a flat number of tokens and are not looked at, there are no batches, files
// or server tools, and the rate limit headers never fall.
package model
