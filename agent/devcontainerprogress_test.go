package agent

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sam/agent/wire"
	"sam/task"
)

// onlooker is what a progress told.
type onlooker struct {
	mu     sync.Mutex
	events []task.Event
}

func (w *onlooker) tell(e task.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	return nil
}

// news is what was told since it was last asked, each as its note and its text.
func (w *onlooker) news() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, e := range w.events {
		all = append(all, e.Step.Note+"|"+e.Text)
	}
	w.events = nil
	return all
}

func inProgress(t *testing.T, use func(p *environmentProgress, w *onlooker)) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		w := &onlooker{}
		p := startProgress(w.tell, time.Now())
		defer p.close()
		use(p, w)
	})
}

func TestProgressIsToldWithinASecondInWholeLines(t *testing.T) {
	inProgress(t, func(p *environmentProgress, w *onlooker) {
		expect := func(after time.Duration, want ...string) {
			t.Helper()
			<-time.After(after)
			if got := w.news(); !slices.Equal(got, want) {
				t.Errorf("told is %q, want %q", got, want)
			}
		}
		expect(3 * time.Second)
		p.begin("building Dockerfile")
		expect(time.Second, "building Dockerfile|")
		_, _ = p.Write([]byte("Step 1/2 : RUN make\n ---> Running in 0123456789ab\n\x1b[32mcc\x1b[0m a.c\nlinki"))
		expect(time.Second, "building Dockerfile: cc a.c|Step 1/2 : RUN make\n\x1b[32mcc\x1b[0m a.c\n")
		expect(5 * time.Second)
		_, _ = p.Write([]byte("ng\n"))
		expect(time.Second, "building Dockerfile: linking|linking\n")
		_, _ = p.Write([]byte("ok"))
		p.begin("postCreateCommand")
		expect(0, "building Dockerfile: ok|ok")
		p.begin("postStartCommand") // the one before ended at once, and printed nothing
		_, _ = p.Write([]byte("10 %\r50 %\r99 %\n"))
		expect(time.Second, "postStartCommand: 99 %|10 %\r50 %\r99 %\n")
		_, _ = p.Write([]byte("the end"))
		p.flush()
		expect(0, "postStartCommand: the end|the end")
	})
}

func TestProgressOfAFloodIsBoundedAndCutWhereALineBegins(t *testing.T) {
	inProgress(t, func(p *environmentProgress, w *onlooker) {
		p.begin("building Dockerfile")
		line := strings.Repeat("x", 97) + "\n"
		told, size := 0, 0
		for second := range 15 * 60 {
			_, _ = p.Write([]byte(strings.Repeat(line, 1000)))
			<-time.After(time.Second)
			for _, one := range w.news() {
				told, size = told+1, size+len(one)
				_, text, _ := strings.Cut(one, "|")
				mark, rest, _ := strings.Cut(text, "\n")
				if second == 0 && mark != cutMark(int64(1000*len(line)-len(rest))) || strings.ReplaceAll(rest, line, "") != "" || len(rest) > maxProgress {
					t.Fatalf("told is %q", one)
				}
			}
		}
		if told < 200 || told > 240 || size > 1<<20 {
			t.Errorf("in 15 minutes %d events of %d bytes were told", told, size)
		}
		_, _ = p.Write(bytes.Repeat([]byte("secret"), maxProgress)) // one line, in pieces
		_, _ = p.Write([]byte("secret"))
		<-time.After(progressSlow * time.Second)
		_, _ = p.Write([]byte("secret\nnext\n"))
		<-time.After(progressSlow * time.Second)
		if got := fmt.Sprint(w.news()); strings.Contains(got, "secret") || !strings.Contains(got, "next") || !strings.Contains(got, "left out") {
			t.Errorf("told is %s", got)
		}
	})
}

func TestABuildAndACommandAreWatchedWhileTheyRun(t *testing.T) {
	t.Parallel()
	e := docker(t)
	// Each stops at a gate of the test's until what it printed before has arrived.
	var gates sync.Map
	gate := func(name string) chan struct{} {
		one, _ := gates.LoadOrStore(name, make(chan struct{}))
		return one.(chan struct{}) //nolint:errcheck // nothing else is in it
	}
	o := newOutside(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-gate(strings.TrimPrefix(r.URL.Path, "/upstream/")):
			fmt.Fprintln(w, "past the gate")
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
	}))
	pass := func(name string) string { return "curl -sS http://deb.example.com/upstream/" + name }
	const value = "correct-horse-battery-staple"
	y := e.repository(t, map[string]string{
		".devcontainer/devcontainer.json": `{"build": {"dockerfile": "Dockerfile"}, "postCreateCommand": "echo fetching packages with ` + value + `; ` + pass("command") + `"}`,
		".devcontainer/Dockerfile":        fromDefault + "RUN echo compiling; " + pass("build") + "\n",
	}, `true`, func(n *Node) { n.workspaces.out.Resolver, n.workspaces.out.Dial = o, o.dial })
	s := start(y.g, "twatched", 1, "anything")
	s.Network = &wire.Network{Policy: "registries", Hosts: []string{"deb.example.com"}}
	s.Secrets = wire.Secrets{"API_TOKEN": value}
	y.g.command(frame(s))
	printed := func(words string) *task.Event {
		y.g.await("the line "+words, func() bool {
			return slices.ContainsFunc(y.g.events[s.Ref], func(e task.Event) bool { return e.Step != nil && strings.Contains("\n"+e.Text, words) })
		})
		y.g.mu.Lock()
		defer y.g.mu.Unlock()
		i := slices.IndexFunc(y.g.events[s.Ref], func(e task.Event) bool { return strings.Contains("\n"+e.Text, words) })
		return &y.g.events[s.Ref][i]
	}
	for _, row := range []struct{ words, doing, gate string }{
		{"\ncompiling\n", "building .devcontainer/Dockerfile: compiling", "build"},
		{"fetching packages with «API_TOKEN»\n", "postCreateCommand of devcontainer.json: fetching packages with «API_TOKEN»", "command"},
	} {
		one := printed(row.words)
		if one.Step.Name != task.StepEnvironment || !one.Step.UnderWay || !strings.HasPrefix(one.Step.Note, row.doing) || strings.Contains(one.Text, "past the gate") {
			t.Errorf("told is %+v: %+v", one, one.Step)
		}
		close(gate(row.gate))
	}
	f := furnished{events: y.g.finished(s.Ref), start: s, dir: y.node.options.Dir}
	f.end = last(f.events)
	f.done(t)
	underWay := true
	for _, one := range f.events {
		if one.Step == nil || one.Step.Name != task.StepEnvironment {
			continue
		}
		if !underWay {
			t.Errorf("told after the step was done: %+v", one)
		}
		underWay = one.Step.UnderWay
	}
	if step := f.step(task.StepEnvironment); underWay || step == nil || !strings.Contains(step.Note, "postCreateCommand in") {
		t.Errorf("the step is %+v", step)
	}
}
