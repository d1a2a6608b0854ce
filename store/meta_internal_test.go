package store

import (
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sam/task"
)

func TestDataOfSchemaOneAreBroughtToTheNewest(t *testing.T) {
	first, server := openInside(t)
	ctx, p := t.Context(), partition("0")
	if err := first.rdb.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	write := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write(first.rdb.HSet(ctx, keyMeta, "schema", "1", "installation", "abc").Err())
	write(first.rdb.SAdd(ctx, p.nodes(), "local", "idle").Err())
	for _, name := range []string{"local", "idle"} {
		write(first.rdb.HSet(ctx, p.node(name), "name", name, "account", "5", "state", "ready", "slots", "2").Err())
	}
	write(first.rdb.SAdd(ctx, p.key("nodetasks:local"), "tgpywrq7pypilqho5", "tgone").Err())
	write(first.rdb.HSet(ctx, p.task("tgpywrq7pypilqho5"), "spec", `{"id":"tgpywrq7pypilqho5"}`, "state", "running", "epoch", "4", "node", "local").Err())

	for range 2 { // a second process does what is done already
		s := connectInside(t, server)
		if s.installation != "abc" {
			t.Errorf("the installation became %s", s.installation)
		}
		nodes, err := s.Nodes(ctx)
		if err != nil || len(nodes) != 2 || len(nodes[1].Tasks) != 1 || nodes[1].Tasks[0] != "tgpywrq7pypilqho5" || nodes[1].Free() != 1 {
			t.Errorf("nodes %+v, %v", nodes, err)
		}
		if got, err := s.Task(ctx, "tgpywrq7pypilqho5"); err != nil || got.Epoch != 4 {
			t.Errorf("a task with an old ID: %+v, %v", got, err)
		}
		if err := s.sweepSlots(ctx, p); err != nil {
			t.Fatal(err)
		}
		if nodes, err := s.Nodes(ctx); err != nil || len(nodes[1].Tasks) != 1 {
			t.Errorf("after a sweep: %+v, %v", nodes, err)
		}
		meta := s.rdb.HGetAll(ctx, keyMeta).Val()
		if meta["schema"] != "3" || meta["partitions"] != "1" || meta["mode"] != "single" {
			t.Errorf("meta %v", meta)
		}
		if n := s.rdb.Exists(ctx, p.key("nodetasks:local")).Val(); n != 0 {
			t.Error("the old key is still there")
		}
	}
}

func TestTasksThatEndedBeforeSchemaThreeAreListedByTheirEnd(t *testing.T) {
	first, server := openInside(t)
	ctx, p := t.Context(), partition("0")
	if err := first.rdb.HSet(ctx, keyMeta, "schema", "2").Err(); err != nil {
		t.Fatal(err)
	}
	for name, fields := range map[string][]string{
		"told":  {"spec", "{}", "state", "succeeded", "at:queued", "500", "at:succeeded", "1000"},
		"topen": {"spec", "{}", "state", "waiting", "at:waiting", "1000"},
		"tmute": {"spec", "{}", "state", "failed"},
	} {
		if err := first.rdb.HSet(ctx, p.task(task.ID(name)), fields).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for instead, answered := range map[task.ID]string{"tsaid": "told", "tlost": "tgone"} {
		if err := first.rdb.Set(ctx, p.answered(instead), answered, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // a second process does what is done already
		s := connectInside(t, server)
		ended := s.rdb.ZRangeWithScores(ctx, p.ended(), 0, -1).Val()
		if len(ended) != 2 || ended[0] != (goredis.Z{Score: 1000, Member: "told"}) || ended[1].Member != "tmute" ||
			time.Since(time.UnixMilli(int64(ended[1].Score))) > time.Minute {
			t.Errorf("ended are %v", ended)
		}
		if said := s.rdb.HGet(ctx, p.task("told"), "answered:tsaid").Val(); said != "1" || s.rdb.Exists(ctx, p.task("tgone")).Val() != 0 {
			t.Errorf("the task was answered by %q, or one was made", said)
		}
		if err := s.rdb.HSet(ctx, keyMeta, "schema", "2").Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDataThatThisProcessCannotReadAreRefusedWithWhatToDo(t *testing.T) {
	s, server := openInside(t)
	for name, c := range map[string]struct{ field, value, want string }{
		"of a newer release": {"schema", "4", "have schema 4 and this release of SAM reads 3: start the release that wrote them, or a newer one"},
		"of a Cluster":       {"partitions", "16", "laid out in 16 partition(s), for redis.mode single, and redis.mode is single, which has 1: set it back"},
		"of no release":      {"schema", "two", `schema "two" is no number`},
	} {
		before := s.rdb.HGet(t.Context(), keyMeta, c.field).Val()
		if err := s.rdb.HSet(t.Context(), keyMeta, c.field, c.value).Err(); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), Options{Addresses: []string{server.Address}, AllowLossy: true})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
		if err := s.rdb.HSet(t.Context(), keyMeta, c.field, before).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// Were one of these to change, what is in a Cluster would not be found.
func TestWhatIsKeptWhereIsTheSameForEver(t *testing.T) {
	n := partitions(16)
	for what, p := range map[string][2]partition{
		"a task":             {n.task("t4gxxxxxxxxxxxxxxxx"), "6"},
		"its project":        {n.project(1), "6"},
		"another project":    {n.project(1296269), "9"},
		"a delivery":         {n.delivery("72d3162e-cc78-11e3-81ab-4c9367dc0958"), "11"},
		"a node":             {n.node("local"), "9"},
		"an installation":    {n.installation(3), "14"},
		"anything in single": {partitions(1).task("t77xxxxxxxxxxxxxxxx"), "0"},
	} {
		if p[0] != p[1] {
			t.Errorf("%s is in partition %s, want %s", what, p[0], p[1])
		}
	}
	if len(n.all()) != 16 || !n.has("15") || n.has("16") || n.has("01") || n.has("-1") || n.has("") {
		t.Errorf("the partitions are %v", n.all())
	}
}
