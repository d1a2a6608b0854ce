package agent

import "testing"

func TestAPushIsTriedAgainWhereItsRefusalSaysThatItMayPass(t *testing.T) {
	for words, want := range map[string]bool{
		" ! [remote rejected] HEAD -> sam/issue-1 (SAM could not push: SAM cannot reach the repository's host; try again shortly)":                  true,
		" ! [remote rejected] HEAD -> sam/issue-1 (SAM could not note this push, so it was not begun; try again)":                                   true,
		" ! [remote rejected] HEAD -> sam/issue-1 (non-fast-forward: fetch, build on top of it and push again)":                                     false,
		" ! [remote rejected] HEAD -> sam/issue-1 (pre-receive hook declined: mend the file and try again)":                                         false,
		" ! [rejected] HEAD -> sam/issue-1 (fetch first)":                                                                                           false,
		"fatal: unable to access 'http://127.0.0.1:8470/git/t1/': The requested URL returned error: 503":                                            true,
		"fatal: unable to access 'http://127.0.0.1:8470/git/t1/': The requested URL returned error: 403":                                            false,
		"error: RPC failed; HTTP 503 curl 22 The requested URL returned error: 503\nsend-pack: unexpected disconnect while reading sideband packet": true,
	} {
		if got := passing(words); got != want {
			t.Errorf("passing is %v: %s", got, words)
		}
	}
}
