package forge

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatWasBegunOutlastsTheStopForAWhile(t *testing.T) {
	for name, c := range map[string]struct{ stopped, want time.Duration }{
		"when nothing stops":        {0, 40 * time.Second},
		"when SAM is stopped early": {3 * time.Second, 13 * time.Second},
		"when SAM is stopped late":  {35 * time.Second, 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				if c.stopped > 0 {
					defer time.AfterFunc(c.stopped, stop).Stop()
				}
				begun := time.Now()
				out, end := outlasting(ctx, 40*time.Second, 10*time.Second)
				defer end()
				<-out.Done()
				if took := time.Since(begun); took != c.want {
					t.Errorf("it lasted %s, want %s", took, c.want)
				}
			})
		})
	}
}
