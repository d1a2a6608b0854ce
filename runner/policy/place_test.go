package policy_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"sam/runner/policy"
	"sam/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ready is a node of account 5 with free slots.
func ready(name string, free int, mirrors ...int64) task.Node {
	return task.Node{Name: name, Account: 5, State: task.NodeReady, Slots: free + 1, Tasks: []task.ID{"tx"}, Mirrors: mirrors}
}

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
	} {
		got := policy.Place(task.Spec{Project: 7, Account: 5}, c.nodes)
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
		"one that is lost":            {[]task.Node{in(task.NodeLost, ready("a", 1))}, none},
		"a full one":                  {[]task.Node{ready("a", 0)}, busy},
		"a full one and a lost one":   {[]task.Node{in(task.NodeLost, ready("a", 1)), ready("b", 0)}, busy},
		"another account's":           {[]task.Node{of(6, ready("a", 1))}, exclusive},
		"another's and a lost one":    {[]task.Node{of(6, ready("a", 1)), in(task.NodeLost, ready("b", 1))}, none},
		"another's and a full one":    {[]task.Node{of(6, ready("a", 1)), ready("b", 0)}, busy},
		"another's, which is lost":    {[]task.Node{in(task.NodeLost, of(6, ready("a", 1)))}, exclusive},
		"one without slots, not used": {[]task.Node{{Name: "a", State: task.NodeReady}}, busy},
	} {
		got := policy.Place(task.Spec{Project: 7, Account: 5}, c.nodes)
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
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		spec := task.Spec{Account: rapid.Int64Range(1, 3).Draw(t, "wanted"), Project: rapid.Int64Range(1, 3).Draw(t, "project")}
		nodes := rapid.SliceOfN(node, 0, 6).Draw(t, "nodes")
		for i := range nodes {
			nodes[i].Name = strings.Repeat("n", i+1)
		}
		usable := func(n task.Node) bool { return (n.Account == 0 || n.Account == spec.Account) && n.Free() > 0 }
		got := policy.Place(spec, nodes)
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
		}
		shuffled := slices.Clone(nodes)
		seed := rapid.Uint64().Draw(t, "seed")
		rand.New(rand.NewPCG(seed, seed)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again := policy.Place(spec, shuffled); again != got {
			t.Fatalf("%+v, and with the same nodes in another order %+v", got, again)
		}
	})
}
