package forge

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v62/github"

	"sam/task"
)

// How an effect is tried again: from retryFirst, doubled each time, to retryMost. After giveUpAfter attempts what GitHub
// refuses for good is given up. Right after an event GitHub may say 404 of what is there: what is gone is believed to be
// gone after goneAfter attempts, which are at least 15 s.
const (
	retryFirst     = time.Second
	retryMost      = 5 * time.Minute
	retrySuspended = 10 * time.Minute
	giveUpAfter    = 3
	goneAfter      = 5
)

// verdict is what a failed exchange means.
type verdict string

const (
	transient   verdict = "transient"   // 5xx, a timeout, a lost connection, a credential that will be minted anew
	limited     verdict = "limited"     // a limit of GitHub's: nothing was done, and nobody may call for a while
	refused     verdict = "refused"     // the same answer next time
	missing     verdict = "missing"     // 404 or 410: gone, moved away, or not yet there
	moved       verdict = "moved"       // GitHub names another address: the repository was renamed or transferred
	suspended   verdict = "suspended"   // the installation is, until its owner undoes that
	uninstalled verdict = "uninstalled" // there is no such installation any more
)

// judge says what an error of an exchange with GitHub means, and for a limit how long GitHub wants to be left alone, 0
// when it did not say.
func judge(err error) (verdict, time.Duration) {
	if err == nil {
		return "", 0
	}
	var later task.LaterError
	if errors.As(err, &later) {
		return limited, later.After
	}
	var found movedError
	if errors.As(err, &found) {
		return moved, 0
	}
	var minting *ghinstallation.HTTPError
	if errors.As(err, &minting) && minting.Response != nil {
		if after, ok := markedLimit(minting.Response); ok {
			return limited, after
		}
		switch minting.Response.StatusCode {
		case http.StatusNotFound, http.StatusGone:
			return uninstalled, 0
		case http.StatusForbidden: // what GitHub answers for a suspended one
			return suspended, 0
		}
		return transient, 0
	}
	var primary *github.RateLimitError
	if errors.As(err, &primary) {
		if after, ok := markedLimit(primary.Response); ok {
			return limited, after
		}
		return limited, max(time.Until(primary.Rate.Reset.Time), retryFirst) // go-github's own refusal
	}
	var secondary *github.AbuseRateLimitError
	if errors.As(err, &secondary) {
		if after, ok := markedLimit(secondary.Response); ok {
			return limited, after
		}
		return limited, max(secondary.GetRetryAfter(), retryFirst)
	}
	var answer *github.ErrorResponse
	if !errors.As(err, &answer) || answer.Response == nil {
		return transient, 0
	}
	if after, ok := markedLimit(answer.Response); ok {
		return limited, after
	}
	switch s := answer.Response.StatusCode; {
	case s == http.StatusUnauthorized: // a new token was tried already: the App's key or a clock is wrong, or GitHub is
		return transient, 0
	case s == http.StatusForbidden && strings.Contains(answer.Message, "suspended"):
		return suspended, 0
	case s == http.StatusNotFound || s == http.StatusGone:
		return missing, 0
	case s >= 300 && s < 400:
		return moved, 0
	case s == http.StatusRequestTimeout || s == http.StatusConflict || s >= 500:
		return transient, 0
	default:
		return refused, 0
	}
}

// markedLimit reads what bounded wrote on an answer.
func markedLimit(res *http.Response) (time.Duration, bool) {
	if res == nil {
		return 0, false
	}
	ms, err := strconv.ParseInt(res.Header.Get(headerLimit), 10, 64)
	if err != nil {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}

// backoff is how long to wait before the attempt after the given one, counted from 1.
func backoff(attempt int) time.Duration {
	return min(retryFirst<<min(max(attempt-1, 0), 20), retryMost)
}

// status is the HTTP status of GitHub's refusal, 0 when there was none.
func status(err error) int {
	var refused *github.ErrorResponse
	if errors.As(err, &refused) && refused.Response != nil {
		return refused.Response.StatusCode
	}
	return 0
}
