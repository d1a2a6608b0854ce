// Package dashboard serves SAM's pages: the projects, a project's conversation, and a task's live page. It reads through
// the small interfaces below and changes nothing.
//
// # Live
//
// A page opens one EventSource at /live?topics=<topic>,…&from=<vector>. A topic is task:<id> (a task's events and its
// status) or conv:<project> (a project's conversation). A vector is <topic>=<position>,… and says how far each topic has
// been shown: the page carries the one that it was rendered with, every message has the newest as its id, and the browser
// sends that back as Last-Event-ID when it comes again, so nothing is missed and nothing comes twice. A position is
// "<n>-<m>": a task's events count 1-0, 2-0 …, a conversation's entries carry milliseconds.
//
// The messages, each with JSON as its data:
//
//	entry      {topic, seq, html, …}     one more event or entry, rendered as the page itself renders it
//	status     {topic, state, parts}     what else of a task has changed: its head, phases, plan, end
//	reset      {topic}                   what the vector asks for is no longer there: load the page anew
//	heartbeat  {}                        every 15 s, so that both sides notice a dead connection
//
// There is one reader for each topic that somebody looks at, however many look; see hub. What a viewer does not take in
// time it reads again from the store, from its own position: nobody waits for it and nothing is lost.
//
// # Hostile words
//
// Whatever an agent, a person or a workspace wrote is hostile. Markdown goes through goldmark with raw HTML shown as text
// and then through an allow-list; terminal output through a filter that leaves colours only, then terminal-to-html, then
// an allow-list of its classes; everything else is escaped by html/template. The Content-Security-Policy forbids inline
// script and style and everything from elsewhere, images included.
package dashboard
