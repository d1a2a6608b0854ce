package forge

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-github/v62/github"
)

func TestAgesAreToldByGitHubsClockWhereItSaysTheTime(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	said := &github.Response{Response: &http.Response{Header: http.Header{"Date": {at.Format(http.TimeFormat)}}}}
	if got := clock(said); !got.Equal(at) {
		t.Errorf("it is %s by GitHub, and %s was taken", at, got)
	}
	for name, silent := range map[string]*github.Response{
		"no answer": nil, "no date": {Response: &http.Response{Header: http.Header{}}},
		"no time": {Response: &http.Response{Header: http.Header{"Date": {"yesterday"}}}},
	} {
		if off := time.Since(clock(silent)); off < 0 || off > time.Minute {
			t.Errorf("%s: it is %s ago", name, off)
		}
	}
}
