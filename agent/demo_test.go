package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sam/agent/wire"
	"sam/task"
)

// otherSam is a workspace in which another program stands where sam should be.
type otherSam struct {
	*processWorkspace
	path string
}

func (w otherSam) Sam() string { return w.path }

// Its streams are read by a goroutine each: under the race detector this fails if they share what they write to.
func TestTheLastWordsOfADemoAgentThatTalksNonsenseAreTold(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, script, want string }{
		{"on both streams", "i=0; while [ $i -lt 2000 ]; do echo stray $i; echo word $i >&2; i=$((i+1)); done; exit 9", "word 1999"},
		{"where an agent should talk sense", "echo stray; exit 9", "stray"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newTestWorkspace(t)
			script := filepath.Join(w.tree, "sam")
			if err := os.WriteFile(script, []byte("#!/bin/sh\n"+row.script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			var events []task.Event
			end, err := demoDriver{}.Run(t.Context(), otherSam{w, script}, wire.Start{}, func(e task.Event) error {
				events = append(events, e)
				return nil
			}, nil)
			if err != nil || end.Outcome != task.Died || !strings.Contains(end.Reason, "exit code 9") || !strings.HasSuffix(end.Reason, row.want) {
				t.Errorf("it ended with %+v, %v", end, err)
			}
			if len(events) != 1 || events[0].Step == nil || events[0].Step.Name != task.StepAgent {
				t.Errorf("its events are %+v", events)
			}
		})
	}
}
