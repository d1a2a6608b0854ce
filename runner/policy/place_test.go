package policy_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"sam/runner/policy"
	"sam/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// ready is a node of account 5 with free slots, seen at its last beat.
func ready(name string, free int, mirrors ...int64) task.Node {
	return task.Node{
		Name: name, Account: 5, State: task.NodeReady, Slots: free + 1, Tasks: []task.ID{"tx"}, Mirrors: mirrors,
		Seen: now.Add(-task.NodeBeat),
	}
}

// silent is a node whose record says ready, though nothing was heard of it for so long that it is lost.
func silent(n task.Node) task.Node { n.Seen = now.Add(-task.NodeSilence); return n }

func of(account int64, n task.Node) task.Node { n.Account = account; return n }

func in(s task.NodeState, n task.Node) task.Node { n.State = s; return n }

func TestPlaceChoosesTheNodeThatIsReadySoonest(t *testing.T) {
	for name, c := range map[string]struct {
		nodes []task.Node
		want  string
	}{
		"the only one":                              {[]task.Node{ready("a", 1)}, "a"},
		"the one with the mirror":                   {[]task.Node{ready("a", 9), ready("b", 1, 8, 7)}, "b"},
		"of two mirrors the one with more room":     {[]task.Node{ready("a", 1, 7), ready("b", 2, 7)}, "b"},
		"another repository's mirror is of no use":  {[]task.Node{ready("a", 1, 8), ready("b", 2)}, "b"},
		"the one with more room":                    {[]task.Node{ready("a", 1), ready("b", 3), ready("c", 2)}, "b"},
		"of equals the one whose name sorts first":  {[]task.Node{ready("b", 1), ready("a", 1), ready("c", 1)}, "a"},
		"a full one not, though it has the mirror":  {[]task.Node{ready("a", 0, 7), ready("b", 1)}, "b"},
		"a lost one not, though it has the mirror":  {[]task.Node{in(task.NodeLost, ready("a", 5, 7)), ready("b", 1)}, "b"},
		"another account's not, though it has more": {[]task.Node{of(6, ready("a", 5, 7)), ready("b", 1)}, "b"},
		"one that nobody has used yet":              {[]task.Node{of(0, ready("a", 1))}, "a"},
		"another than the one that lost it":         {[]task.Node{ready("lost", 9, 7), ready("z", 1)}, "z"},
		"the one that lost it where there is none":  {[]task.Node{ready("lost", 1), ready("z", 0), in(task.NodeLost, ready("a", 1))}, "lost"},
		"a silent one not, whatever its record":     {[]task.Node{silent(ready("a", 9, 7)), ready("b", 1)}, "b"},
		"one heard of just in time":                 {[]task.Node{{Name: "a", Account: 5, State: task.NodeReady, Slots: 1, Seen: now.Add(time.Millisecond - task.NodeSilence)}}, "a"},
	} {
		got := policy.Place(policy.Wanted{Spec: task.Spec{Project: 7, Account: 5}, Avoid: "lost", Now: now}, c.nodes)
		if got.Node != c.want || got.Wait != "" {
			t.Errorf("%s: %+v, want node %s", name, got, c.want)
		}
	}
}

func TestPlaceSaysWhyATaskWaitsAndWhatHelps(t *testing.T) {
	const (
		busy      = "Every node is at work; this starts as soon as one is free."
		exclusive = "The nodes that are here serve another account, and a node serves one account only. The operator can connect one more with `sam node`."
		none      = "No node is connected. On the machine that is to do the work the operator starts `sam node`; this then goes on by itself."
	)
	for name, c := range map[string]struct {
		nodes []task.Node
		want  string
	}{
		"no node at all":              {nil, none},
		"one that boots":              {[]task.Node{in(task.NodeBooting, ready("a", 1))}, none},
		"one that is silent":          {[]task.Node{silent(ready("a", 1))}, none},
		"one that is lost":            {[]task.Node{in(task.NodeLost, ready("a", 1))}, none},
		"a full one":                  {[]task.Node{ready("a", 0)}, busy},
		"a full one and a lost one":   {[]task.Node{in(task.NodeLost, ready("a", 1)), ready("b", 0)}, busy},
		"another account's":           {[]task.Node{of(6, ready("a", 1))}, exclusive},
		"another's and a lost one":    {[]task.Node{of(6, ready("a", 1)), in(task.NodeLost, ready("b", 1))}, none},
		"another's and a full one":    {[]task.Node{of(6, ready("a", 1)), ready("b", 0)}, busy},
		"another's, which is lost":    {[]task.Node{in(task.NodeLost, of(6, ready("a", 1)))}, exclusive},
		"one without slots, not used": {[]task.Node{{Name: "a", State: task.NodeReady, Seen: now}}, busy},
	} {
		got := policy.Place(policy.Wanted{Spec: task.Spec{Project: 7, Account: 5}, Avoid: "lost", Now: now}, c.nodes)
		if got.Wait != c.want || got.Node != "" {
			t.Errorf("%s: %+v, want to wait: %s", name, got, c.want)
		}
	}
}

func TestPlaceNeverChoosesANodeThatCannotTakeTheTask(t *testing.T) {
	account := rapid.Int64Range(0, 3)
	node := rapid.Custom(func(t *rapid.T) task.Node {
		return task.Node{
			Account: account.Draw(t, "account"),
			State:   rapid.SampledFrom([]task.NodeState{task.NodeReady, task.NodeReady, task.NodeLost, task.NodeBooting}).Draw(t, "state"),
			Slots:   rapid.IntRange(0, 3).Draw(t, "slots"),
			Tasks:   slices.Repeat([]task.ID{"tx"}, rapid.IntRange(0, 4).Draw(t, "tasks")),
			Mirrors: rapid.SliceOfN(rapid.Int64Range(1, 3), 0, 3).Draw(t, "mirrors"),
			Seen:    now.Add(-time.Duration(rapid.Int64Range(0, 60).Draw(t, "silent for")) * time.Second),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		spec := task.Spec{Account: rapid.Int64Range(1, 3).Draw(t, "wanted"), Project: rapid.Int64Range(1, 3).Draw(t, "project")}
		nodes := rapid.SliceOfN(node, 0, 6).Draw(t, "nodes")
		for i := range nodes {
			nodes[i].Name = strings.Repeat("n", i+1)
		}
		want := policy.Wanted{Spec: spec, Avoid: strings.Repeat("n", rapid.IntRange(0, 6).Draw(t, "avoid")), Now: now}
		usable := func(n task.Node) bool {
			return (n.Account == 0 || n.Account == spec.Account) && n.Free() > 0 && now.Sub(n.Seen) < task.NodeSilence
		}
		got := policy.Place(want, nodes)
		if (got.Node == "") == (got.Wait == "") {
			t.Fatalf("not exactly one of node and wait: %+v", got)
		}
		if got.Node == "" && slices.ContainsFunc(nodes, usable) {
			t.Fatalf("waits (%s) though a node could take it", got.Wait)
		}
		for _, n := range nodes {
			if n.Name == got.Node && !usable(n) {
				t.Fatalf("chose %+v for account %d", n, spec.Account)
			}
			if n.Name != want.Avoid && usable(n) && got.Node == want.Avoid && want.Avoid != "" {
				t.Fatalf("chose %s, which lost the task, though %s could take it", got.Node, n.Name)
			}
		}
		shuffled := slices.Clone(nodes)
		seed := rapid.Uint64().Draw(t, "seed")
		rand.New(rand.NewPCG(seed, seed)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again := policy.Place(want, shuffled); again != got {
			t.Fatalf("%+v, and with the same nodes in another order %+v", got, again)
		}
	})
}
