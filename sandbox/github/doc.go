// Package github is a GitHub that behaves: a stateful stand-in for GitHub
// Enterprise Server, so that the whole product runs with no internet. The web is
// at /, the REST API at /api/v3/, git over smart HTTP at /<owner>/<repo>.git.
//
// State lives in memory, repositories are bare git repositories on disk below
// Options.Dir, and nothing survives Close. What the API answers follows GitHub's
// own OpenAPI description (package contract checks it in tests).
//
// The layers, from the inside out:
//
//   - state.go: what there is. Everything is guarded by Server.mu; methods whose
//     comment says "with mu held" expect their caller to hold it.
//   - accounts.go, apps.go, installations.go, repositories.go, threads.go, reactions.go,
//     pulls.go, moved.go, relocate.go: every change, whoever asks for it (API, git or Go method), and the
//     event that GitHub announces for it. conversation.go and pullreads.go are how
//     pages and tests act and read without HTTP.
//   - render*.go: the JSON shapes, shared by the API and the webhooks.
//   - rest*.go: the API, one file per resource, each with its routes; identity.go,
//     route.go and rate.go decide who may.
//   - git*.go: git's own programs. smart*.go, pktline.go: git over HTTP. lfs.go: Git LFS.
//   - events.go, pushevent.go, courier.go, delivery.go, deliveries.go: webhooks and
//     their log.
//   - faults.go says what can go wrong, faultspec.go how that is written, dice.go what
//     a rule matches, and package dice draws; faultcalls.go, faultdeliveries.go and
//     faultgit.go do it. rate.go and contentlimit.go are the limits that GitHub has
//     without any fault.
//   - history.go is all that ever was, for checkers; control*.go is the one HTTP
//     path that is not GitHub's.
//   - pages*.go: the web.
//
// Known differences: no forks, reviews, teams, milestones, assignees, GraphQL or
// search; who is made a collaborator is one without being asked; mergeable
// is computed at once, where GitHub answers null for a moment; a transfer needs no
// acceptance; of GitHub's secondary limits only those on creating content.
package github
