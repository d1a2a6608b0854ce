package gateway

import (
	"net/http"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sam/agent/wire"
	"sam/task"
)

// show uses a task's remote and returns how it was answered.
func (w *nodeWorld) show(id task.ID, header http.Header) int {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.server.URL+wire.GitPath+string(id)+"/info/refs?service="+uploadPackService, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header = header
	response, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// refusedTokens are the counts of the metric, by why.
func (w *nodeWorld) refusedTokens() map[string]float64 {
	w.t.Helper()
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(w.gateway.misused.refused)
	families, err := metrics.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "sam_task_token_refused_total" {
		w.t.Fatalf("counted are %v, %v", families, err)
	}
	counts := map[string]float64{}
	for _, one := range families[0].GetMetric() {
		counts[one.GetLabel()[0].GetValue()] = one.GetCounter().GetValue()
	}
	return counts
}

func TestATokenThatIsUsedElsewhereIsRefusedCountedAndToldOnceOnItsTasksPage(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, _ := w.link("local")
	placed := w.place(1, "local")
	token := p.hear(wire.TypeStart).Start.Token

	stranger := http.Header{}
	stranger.Set(wire.TaskTokenHeader, token)
	if status := w.show(placed.ID, stranger); status != http.StatusUnauthorized {
		t.Errorf("a stranger is answered %d", status)
	}
	told := p.hear(wire.TypeNotice).Notice
	if told.Ref != refOf(placed) || told.Code != "token_refused" || told.Subject != "the task's token, elsewhere" || told.Text == "" {
		t.Errorf("told is %+v", told)
	}
	for range 2 {
		if status := w.show(placed.ID, workspace(w.keys.NodeToken("other"), token)); status != http.StatusUnauthorized {
			t.Errorf("another node is answered %d", status)
		}
	}
	w.place(2, "local")
	p.hear(wire.TypeStart) // and nothing before it: once is enough
	if counts := w.refusedTokens(); counts[tokenElsewhere] != 3 || counts[tokenEnded] != 0 || counts[tokenUnknown] != 0 {
		t.Errorf("counted are %v", counts)
	}
}

func TestATokenThatIsUsedAfterItsAttemptIsCountedAndToldByAnEventOrByTheTasksRecord(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, _ := w.link("local")
	moved := w.place(1, "local")
	old := p.hear(wire.TypeStart).Start.Token
	moved = w.placeAgain(w.move(w.lose(moved), task.Placing), "local")
	p.hear(wire.TypeStart)
	over := w.place(2, "local")
	token := p.hear(wire.TypeStart).Start.Token
	w.move(over, task.Cancelled)
	p.hear(wire.TypeDrop)

	local := w.keys.NodeToken("local")
	w.show(over.ID, workspace(local, token))
	w.show(moved.ID, workspace(local, old))
	if told := p.hear(wire.TypeNotice).Notice; told.Ref != refOf(moved) || told.Subject != "the task's token, after its attempt" {
		t.Errorf("told is %+v", told)
	}
	if counts := w.refusedTokens(); counts[tokenElsewhere] != 0 || counts[tokenEnded] != 2 {
		t.Errorf("counted are %v", counts)
	}
	if over, moved := w.read(over.ID), w.read(moved.ID); !slices.Equal(over.Misused, []task.Misuse{task.AfterEnd}) || len(moved.Misused) > 0 || over.State != task.Cancelled {
		t.Errorf("noted are %v of the one that is over, now %s, and %v of the one whose page was told", over.Misused, over.State, moved.Misused)
	}
}

func TestATokenThatIsNoTasksIsCountedAndToldToNobody(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, _ := w.link("local")
	placed := w.place(1, "local")
	token := p.hear(wire.TypeStart).Start.Token
	local := w.keys.NodeToken("local")
	w.show(placed.ID, workspace(local, token+"A"))
	w.show("tnone", workspace(local, token))
	w.show(placed.ID, bearer(local)) // shows none
	stranger := http.Header{}
	stranger.Set(wire.TaskTokenHeader, "made up")
	for range 3 {
		w.show(placed.ID, stranger)
	}
	w.place(2, "local")
	p.hear(wire.TypeStart) // and nothing before it
	if counts := w.refusedTokens(); counts[tokenUnknown] != 5 || counts[tokenElsewhere]+counts[tokenEnded] != 0 {
		t.Errorf("counted are %v", counts)
	}
}

func TestWhatANodeOfAnOlderProtocolCannotTellTheTasksRecordDoes(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	old := w.dial("local")
	greeting := hello()
	greeting.Hello.Protocols = []int{wire.Notices - 1}
	old.say(greeting)
	old.hear(wire.TypeWelcome)
	placed := w.place(1, "local")
	stranger := http.Header{}
	stranger.Set(wire.TaskTokenHeader, old.hear(wire.TypeStart).Start.Token)
	w.show(placed.ID, stranger)
	w.place(2, "local")
	old.hear(wire.TypeStart) // and nothing before it
	if counts := w.refusedTokens(); counts[tokenElsewhere] != 1 {
		t.Errorf("counted are %v", counts)
	}
	if noted := w.read(placed.ID).Misused; !slices.Equal(noted, []task.Misuse{task.Elsewhere}) {
		t.Errorf("noted are %v", noted)
	}
}
