package app

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sam/sandbox/model"
	"sam/task"
)

func TestAPhaseThatWasNotReachedIsNullAndOneAtOnceIsZero(t *testing.T) {
	posted := time.Now()
	line, err := json.Marshal(summarize(task.Task{Spec: task.Spec{Accepted: posted}}, posted, "redis-server"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"accepted":0,`, `"placed":null`, `"first_event":null`, `"published":null`, `"model":`} {
		if !strings.Contains(string(line), want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
}

func TestTheDemosAgentsAreThoseOfItsNode(t *testing.T) {
	inWorldOf(t, worldOptions{agent: "nobody"}, func(t *testing.T, w *world) {
		w.say(t, maintainer, 1, "/sam add rate limiting to /api/upload")
		if done := w.ends(t, 1)[0]; !strings.Contains(done.Failure, "It has: "+strings.Join(demoAgents(), ", ")+".") {
			t.Errorf("the demo offers %v, and the node says: %s", demoAgents(), done.Failure)
		}
	})
	if !slices.Contains(demoAgents(), demoAgentName) {
		t.Errorf("%s is none of %v", demoAgentName, demoAgents())
	}
}

func TestTheDemoSaysWhoWorksAndWhoPays(t *testing.T) {
	for name, try := range map[string]struct {
		args, env []string
		want      []string
	}{
		"its own agent": {nil, nil, []string{"demo, built in: it has no model"}},
		"a real agent on the scripted model": {
			[]string{"--agent", "claude", "--" + unsafeFlag}, []string{"ANTHROPIC_API_KEY="},
			[]string{"claude, on a scripted stand-in for a model", "the cost it shows is invented", "sam demo --help", "NOT ISOLATED"},
		},
		"a real agent on the real model": {
			[]string{"--agent", "claude", "--" + unsafeFlag}, []string{"ANTHROPIC_API_KEY=sk-ant-of-nobody-at-all-7YxQ"},
			[]string{"claude, on the model at api.anthropic.com", "billed to the key of ANTHROPIC_API_KEY", "NOT ISOLATED"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			env := append([]string{"HOME=" + home, "XDG_CACHE_HOME=" + home, "DOCKER_HOST=unix://" + home + "/nobody.sock"}, try.env...)
			p := startSam(t, env, append([]string{"demo", "--listen", "127.0.0.1:0"}, try.args...)...)
			p.line(t, "Ctrl-C ends it.")
			for _, want := range try.want {
				if !strings.Contains(p.said(), want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if strings.Contains(p.said(), "sk-ant") {
				t.Error("it prints the key")
			}
		})
	}
}

func TestTheDocumentationNamesEveryScenario(t *testing.T) {
	page, err := os.ReadFile("../docs/demo.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range model.Scenarios() {
		if row := fmt.Sprintf("| `%s` | %s |", s, s.Does()); !strings.Contains(string(page), row) {
			t.Errorf("docs/demo.md has no row %q", row)
		}
	}
}
