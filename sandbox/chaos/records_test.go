package chaos

import (
	"os/exec"
	"slices"
	"testing"

	"sam/sandbox/redis"
)

// startRedis gives a test a redis-server of its own.
func startRedis(t *testing.T) *redis.Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("NO redis-server IS INSTALLED: apt-get install redis-server, or `make tools` as root on Debian")
	}
	server, err := redis.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func TestTheRecordsAreReadFromEveryPartition(t *testing.T) {
	server := startRedis(t)
	for _, command := range [][]string{
		{"HSET", "meta", "schema", "2"},
		{"HSET", "{3}:task:t1", "spec", `{"project":7,"number":1,"comment":100,"index":1}`, "state", "running", "epoch", "2", "last", "2", "attempts", "1", "head", "c1"},
		{"XADD", "{3}:out:t1", "1-0", "event", `{"seq":1,"kind":"said"}`, "epoch", "1", "at", "1000"},
		{"XADD", "{3}:out:t1", "2-0", "event", `{"seq":2,"kind":"finished"}`, "epoch", "2", "at", "2000"},
		{"XADD", "{3}:conv:7", "*", "entry", `{"kind":"request","task":"t1"}`, "at", "1"},
		{"ZADD", "{4}:owed:5", "1", "status:t1"},
		{"HSET", "{4}:owedbody:5", "body:status:t1", "{}"},
		{"XADD", "{5}:intake", "*", "id", "g"},
		{"HSET", "{5}:node:local", "name", "local", "provider", "local"},
		{"HSET", "{6}:node:sam-x", "name", "sam-x", "provider", "hetzner"},
		{"HSET", "{6}:fleet:5", "sam-x", `{"hours":1}`, "sam-y", `{"hours":1}`},
		{"SET", "{6}:account:5", `{"id":5,"token":"c2VhbGVk"}`},
		{"SET", "{6}:account:6", `{"id":6,"machines":0}`},
	} {
		if _, err := server.Do(t.Context(), command...); err != nil {
			t.Fatal(err)
		}
	}
	r, err := read(t.Context(), server, true)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.owed, []string{"status:t1"}) || r.intake != 1 || !slices.Equal(r.entries, []entry{{"request", "t1"}}) || len(r.tasks) != 1 {
		t.Fatalf("read %+v", r)
	}
	slices.Sort(r.paid)
	if !slices.Equal(r.machines, []string{"sam-x"}) || !slices.Equal(r.paid, []string{"sam-x", "sam-y"}) || !slices.Equal(r.tokens, []string{"5"}) {
		t.Errorf("read machines %v, paid %v, tokens of %v", r.machines, r.paid, r.tokens)
	}
	got := *r.tasks["t1"]
	events := got.events
	got.events = nil
	if got.id != "t1" || got.state != "running" || got.epoch != 2 || got.project != 7 || got.number != 1 || got.comment != 100 ||
		got.index != 1 || got.head != "c1" || got.last != 2 || got.attempts != 1 {
		t.Errorf("read task %+v", got)
	}
	if len(events) != 2 || events[1].id != 2 || events[1].seq != 2 || events[1].epoch != 2 || events[1].kind != "finished" || events[1].at.UnixMilli() != 2000 {
		t.Errorf("read events %+v", events)
	}
}
