package model

import "strings"

// SAM tells its agent in one text what somebody with the right asks, and beside it what anybody may have written in the
// issue (runner/place.go). The scripts decide on the request alone: what lies between the first of these and the next of the
// other. The text comes behind both, so no issue can ask this model for anything.
const (
	asksBefore = ", who may write to this repository, asks:\n\n"
	asksAfter  = "\n\nBetween the lines of dashes is the text of the "
)

// requestIn is the request that a user's message holds: all of it when SAM has not framed it. A frame that is not closed
// holds none, for nothing tells where the request ends.
func requestIn(text string) string {
	_, request, framed := strings.Cut(text, asksBefore)
	if !framed {
		return text
	}
	request, _, closed := strings.Cut(request, asksAfter)
	if !closed {
		return ""
	}
	return strings.TrimSpace(request)
}
