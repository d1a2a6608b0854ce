package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"sam/task"
)

// endOne has a task of project 7 made, with an entry in the conversation, and cancelled.
func endOne(t *testing.T, s *Store, comment int64) task.Spec {
	t.Helper()
	sp := request(comment)
	c := openOne(t, s, sp)
	if err := s.Move(t.Context(), c, task.Cancelled, task.Change{Fields: map[task.Field]string{task.FieldBranch: "sam/issue-1"}}); err != nil {
		t.Fatal(err)
	}
	return sp
}

func request(comment int64) task.Spec {
	return task.Spec{
		ID: task.NewID(7, task.CommentSource(comment), 0), Project: 7, Installation: 3, Account: 5, Repository: "harbour/quayside",
		Thread: task.IssueThread(7, int(comment)), Number: int(comment), Request: "add rate limiting to /api/upload", Requester: "ada",
		Source: task.CommentSource(comment), Comment: comment, Agent: "demo",
	}
}

func openOne(t *testing.T, s *Store, sp task.Spec) task.Task {
	t.Helper()
	if made, err := s.CreateTask(t.Context(), sp, task.Change{Entry: &task.Entry{Kind: task.EntryRequest, Task: sp.ID}}); err != nil || !made {
		t.Fatalf("create: %v, %v", made, err)
	}
	c, err := s.Claim(t.Context(), sp.ID)
	if err != nil {
		t.Fatal(err)
	}
	return c.Task
}

// namedIn are the keys that have a name in their own, and those of sets and hashes that have it as a member.
func namedIn(t *testing.T, s *Store, name task.ID) []string {
	t.Helper()
	ctx, p := t.Context(), s.partitions.task(name)
	named := s.rdb.Keys(ctx, "*"+string(name)+"*").Val()
	for _, key := range []string{p.ended(), p.due(), p.shelf(), p.starved()} {
		if s.rdb.ZScore(ctx, key, string(name)).Err() == nil {
			named = append(named, key)
		}
	}
	for branch, holder := range s.rdb.HGetAll(ctx, p.branches(7)).Val() {
		if holder == string(name) {
			named = append(named, "branch "+branch)
		}
	}
	return named
}

func TestATaskThatEndedLongAgoIsKeptNoLongerAndItsRequestMakesNoOther(t *testing.T) {
	w := newShelving(t, strings.Repeat("long ", 2000))
	id := w.task.ID
	if got, err := w.HoldBranch(t.Context(), w.task.Spec, "sam/issue-1"); err != nil || got != id {
		t.Fatalf("the branch is %s's, %v", got, err)
	}
	if err := w.rdb.HSet(t.Context(), w.partitions.task(id).task(id), "branch", "sam/issue-1").Err(); err != nil {
		t.Fatal(err)
	}
	w.say(t, 1500)
	w.end(t)
	if err := w.shelve(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := w.pruneOlder(t.Context(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.whole(t) // it ended after that
	for range 2 {
		if err := w.pruneOlder(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if named, left := namedIn(t, w.Store, id), w.objects(t, "bodies/*")+w.objects(t, "*/*/*"); len(named) > 0 || left > 0 {
			t.Errorf("it is still in %v, and %d objects are left", named, left)
		}
	}
	if _, err := w.Task(t.Context(), id); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("reading it: %v", err)
	}
	if made, err := w.CreateTask(t.Context(), w.task.Spec, task.Change{}); err != nil || made {
		t.Errorf("asked for again, it was made %v, %v", made, err)
	}
}

func TestOnlyWhatIsOverIsLetGoOfAndTheConversationStays(t *testing.T) {
	s, _ := openInside(t)
	var over []task.Spec
	for comment := range int64(2*retainAtOnce + 1) {
		over = append(over, endOne(t, s, comment+1))
	}
	open := openOne(t, s, request(900))
	if err := s.rdb.ZAdd(t.Context(), partition("0").ended(), goredis.Z{Score: 1, Member: string(open.ID)}, goredis.Z{Score: 1, Member: "tgone"}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.pruneOlder(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, sp := range over {
		if _, err := s.Task(t.Context(), sp.ID); !errors.Is(err, task.ErrNotFound) {
			t.Fatalf("task %s is still there: %v", sp.ID, err)
		}
	}
	if got, err := s.Task(t.Context(), open.ID); err != nil || got.State != task.Placing {
		t.Errorf("the open one is %s, %v", got.State, err)
	}
	if n := s.rdb.ZCard(t.Context(), partition("0").ended()).Val(); n != 0 {
		t.Errorf("%d are listed still", n)
	}
	if said, _, err := s.Conversation(t.Context(), 7, "", 1000); err != nil || len(said) != len(over)+1 {
		t.Errorf("the conversation has %d entries, %v", len(said), err)
	}
}

func TestWhatAnsweredLongAgoStillMakesNoTask(t *testing.T) {
	s, _ := openInside(t)
	ctx := t.Context()
	sp, words := request(1), request(2)
	c := openOne(t, s, sp)
	if err := s.rdb.HSet(ctx, partition("0").task(sp.ID), "state", "running", "node", "").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Ask(ctx, c, c.Epoch, task.Question{ID: "q", Seq: 1, Text: "Which?"}, task.Change{}); err != nil {
		t.Fatal(err)
	}
	asking, err := s.Task(ctx, sp.ID)
	if err != nil {
		t.Fatal(err)
	}
	answer := func() bool {
		t.Helper()
		done, err := s.Answer(ctx, asking, task.Answer{Text: "the first"}, words.ID, time.Now(), task.Change{})
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	for range 2 { // said again it is the same answer
		if !answer() {
			t.Error("it did not answer")
		}
	}
	again, err := s.Claim(ctx, sp.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Move(ctx, again.Task, task.Cancelled, task.Change{}); err != nil {
		t.Fatal(err)
	}
	if err := s.pruneOlder(ctx, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := s.rdb.Exists(ctx, partition("0").answered(words.ID)).Val(); n != 0 {
		t.Error("what answered is kept")
	}
	if made, err := s.CreateTask(ctx, words, task.Change{}); err != nil || made {
		t.Errorf("what answered made a task: %v, %v", made, err)
	}
	if did, err := s.HasAnswered(ctx, words.ID); err != nil || !did {
		t.Errorf("that it answered is forgotten: %v, %v", did, err)
	}
	if answer() {
		t.Error("it answered once more")
	}
}

func TestOldCommandsAndOldTurnsAreForgotten(t *testing.T) {
	s, _ := openInside(t)
	ctx, p := t.Context(), partition("0")
	for _, name := range []string{"dead", "alive"} {
		if err := s.EnsureNode(ctx, task.Node{Name: name, Provider: "local", Slots: 1}); err != nil {
			t.Fatal(err)
		}
		if err := s.rdb.XAdd(ctx, &goredis.XAddArgs{Stream: p.commands(name), ID: "1000-0", Values: []any{"frame", "{}"}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Command(ctx, "alive", task.Command{Kind: task.CommandStop, Task: request(1).ID}); err != nil {
		t.Fatal(err)
	}
	desk := deskPartition.desk()
	if err := s.rdb.HSet(ctx, desk[3], "turn", servedTurns+10, "5", 9, "6", 9, "7", 11).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.rdb.ZAdd(ctx, desk[2], goredis.Z{Score: 9, Member: "6"}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.pruneOlder(ctx, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if s.rdb.Exists(ctx, p.commands("dead")).Val() != 0 || s.rdb.XLen(ctx, p.commands("alive")).Val() != 1 {
		t.Error("an old command is kept, or a new one is not")
	}
	if served := s.rdb.HGetAll(ctx, desk[3]).Val(); len(served) != 3 || served["6"] != "9" || served["7"] != "11" {
		t.Errorf("served are %v", served)
	}
}

func TestAReplicaLetsGoOfOldTasksByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		defer m.Close()
		s, err := Open(t.Context(), Options{
			Addresses: []string{"redis.invalid:6379"}, AllowLossy: true, Keep: 30 * time.Hour,
			Dial: func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		sp := endOne(t, s, 1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- s.Consume(ctx, Handlers{
				Delivery: func(context.Context, task.Delivery) error { return nil },
				Task:     func(context.Context, task.ID) {},
				Owed:     func(context.Context, task.OwedTo) {},
			})
		}()
		wait(ctx, 29*time.Hour)
		if _, err := s.Task(ctx, sp.ID); err != nil {
			t.Errorf("before its time: %v", err)
		}
		wait(ctx, 3*time.Hour)
		if _, err := s.Task(ctx, sp.ID); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("after its time: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestOfAnOldTaskLittleIsLeftInRedis(t *testing.T) {
	s, server := openInside(t)
	if !server.Durable {
		t.Skip("NO redis-server IS INSTALLED: the embedded one does not say how much memory it uses")
	}
	bytes := func(key string) int64 {
		t.Helper()
		n, err := s.rdb.MemoryUsage(t.Context(), key, 0).Result()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const tasks = 200
	p, one := partition("0"), request(1).ID
	for n := range int64(tasks) {
		endOne(t, s, n+1)
	}
	event := fmt.Sprintf(`{"seq":1,"kind":"said","text":%q}`, strings.Repeat("word ", 50))
	for seq := range 20 {
		if err := s.rdb.XAdd(t.Context(), &goredis.XAddArgs{Stream: p.events(one), ID: fmt.Sprint(seq+1, "-0"), Values: []any{"event", event, "epoch", "1", "at", "1"}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	record, events, listed := bytes(p.task(one)), bytes(p.events(one)), bytes(p.ended())/tasks
	if err := s.pruneOlder(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	after := bytes(p.spent()) / tasks
	t.Logf("bytes for each task that ended: %d of its record and %d of its place in the list, %d of 20 events unless they are on the shelf; %d when it is kept no longer",
		record, listed, events, after)
	if after > 100 || record < 5*after {
		t.Errorf("%d bytes are left of %d", after, record+listed)
	}
}
