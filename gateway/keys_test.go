package gateway

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"sam/task"
)

func testKeys(t *testing.T, secret string) Keys {
	t.Helper()
	k, err := NewKeys([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func whose(k Keys, token string) string {
	name, _ := k.node(token, time.Now())
	return name
}

func TestTokensOfDifferentPartsNeverCollide(t *testing.T) {
	t.Parallel()
	k := testKeys(t, "a secret of all replicas")
	type attempt struct {
		id    task.ID
		epoch int64
		node  string
	}
	// Few characters, and those that the making of tokens itself uses: what could be taken for something else is likely.
	part := rapid.StringOfN(rapid.RuneFrom([]rune("1:.ntask")), 0, 6, -1)
	draw := func(r *rapid.T, label string) attempt {
		return attempt{task.ID(part.Draw(r, label+" task")), rapid.Int64Range(-2, 12).Draw(r, label+" epoch"), part.Draw(r, label+" node")}
	}
	rapid.Check(t, func(r *rapid.T) {
		a, b := draw(r, "a"), draw(r, "b")
		token := k.taskToken(a.id, a.epoch, a.node)
		if !k.isTaskToken(token, a.id, a.epoch, a.node) {
			r.Errorf("%v does not know its own token", a)
		}
		if k.isTaskToken(token, b.id, b.epoch, b.node) != (a == b) {
			r.Errorf("the token of %v is that of %v", a, b)
		}
		if whose(k, token) != "" || whose(k, a.node+"."+token) != "" {
			r.Errorf("the token of %v is a node's", a)
		}
		if (k.NodeToken(a.node) == k.NodeToken(b.node)) != (a.node == b.node) {
			r.Errorf("nodes %q and %q share a token", a.node, b.node)
		}
	})
}

func TestANodeTokenNamesItsNodeAndNoOther(t *testing.T) {
	t.Parallel()
	k, others := testKeys(t, "a secret of all replicas"), testKeys(t, "a secret of another house")
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9.-]{1,20}`).Draw(r, "name")
		token := k.NodeToken(name)
		if got := whose(k, token); got != name {
			r.Errorf("the token of %q is that of %q", name, got)
		}
		at := rapid.IntRange(0, len(token)-1).Draw(r, "at")
		with := rapid.Byte().Draw(r, "with")
		changed := token[:at] + string([]byte{with}) + token[at+1:]
		if changed != token && whose(k, changed) != "" {
			r.Errorf("%q is taken for %q", changed, whose(k, changed))
		}
		if whose(k, token[:at]) != "" {
			r.Errorf("%q is taken for %q", token[:at], whose(k, token[:at]))
		}
		if whose(others, token) != "" {
			r.Error("another secret takes the token")
		}
	})
}

func TestAMachinesCredentialIsItsOwnUntilItsTime(t *testing.T) {
	t.Parallel()
	k := testKeys(t, "a secret of all replicas")
	until := time.Unix(1_800_000_000, 0)
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9.-]{1,20}`).Draw(r, "name")
		token := k.machineCredential(name, until)
		if got, made := k.node(token, until.Add(-time.Second)); got != name || !made {
			r.Errorf("the credential of %q is that of %q, made: %v", name, got, made)
		}
		if got, _ := k.node(token, until); got != "" {
			r.Errorf("the credential of %q is good after its end", name)
		}
		at := rapid.IntRange(0, len(token)-1).Draw(r, "at")
		changed := token[:at] + string(rapid.RuneFrom([]rune("0aZ.~")).Draw(r, "to")) + token[at+1:]
		if got, _ := k.node(changed, until.Add(-time.Second)); changed != token && got != "" {
			r.Errorf("%q is taken for %q", changed, got)
		}
	})
}
