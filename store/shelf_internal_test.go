package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"sam/sandbox/redis"
	"sam/store/blob"
	"sam/task"
)

// shelving is a store with a blob store in a folder, and a task that runs on a node.
type shelving struct {
	*Store
	task   task.Task
	folder string
	said   []task.Numbered // every event, as the node sent it
}

func newShelving(t *testing.T, body string) *shelving {
	t.Helper()
	server, err := redis.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	w := &shelving{folder: t.TempDir()}
	blobs, err := blob.OpenDir(w.folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = blobs.Close() })
	if w.Store, err = Open(t.Context(), Options{Addresses: []string{server.Address}, AllowLossy: !server.Durable, Blobs: blobs}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	sp := task.Spec{ID: task.NewID(7, task.CommentSource(1), 0), Project: 7, Installation: 3, Account: 5, Thread: task.IssueThread(7, 1), Number: 1, Body: body}
	node := task.Node{Name: "local", Slots: 1}
	for _, step := range []func() error{
		func() error { return w.EnsureNode(t.Context(), node) },
		func() error { _, err := w.NodeLinked(t.Context(), node); return err },
		func() error { _, err := w.CreateTask(t.Context(), sp, task.Change{}); return err },
		func() error { c, err := w.Claim(t.Context(), sp.ID); w.task = c.Task; return err },
		func() error {
			return w.Place(t.Context(), w.task, "local", task.Command{Kind: task.CommandStart}, task.Change{})
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// say has the node send so many events, every tenth a large one.
func (w *shelving) say(t *testing.T, n int) {
	t.Helper()
	for n > 0 {
		var run []task.Numbered
		for ; n > 0 && len(run) < 500; n-- {
			seq := int64(len(w.said) + len(run) + 1)
			words := fmt.Sprintf("event %d", seq)
			if seq%10 == 0 {
				words += strings.Repeat(" and more", 1000)
			}
			line, err := json.Marshal(task.Event{Seq: seq, Kind: task.Said, Text: words, Raw: json.RawMessage(`{"a":"<b>"}`)})
			if err != nil {
				t.Fatal(err)
			}
			run = append(run, task.Numbered{Seq: seq, JSON: line})
		}
		last, err := w.AppendEvents(t.Context(), w.task.ID, w.task.Epoch, "local", run)
		if err != nil || last != run[len(run)-1].Seq {
			t.Fatalf("append: %d, %v", last, err)
		}
		w.said = append(w.said, run...)
	}
}

// end brings the task to its end, as the runner does.
func (w *shelving) end(t *testing.T) {
	t.Helper()
	if err := w.NoteProgress(t.Context(), w.task, w.task.Epoch, task.Progress{Started: true, End: &task.End{Outcome: task.Done}}, nil); err != nil {
		t.Fatal(err)
	}
	c, err := w.Claim(t.Context(), w.task.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Move(t.Context(), c.Task, task.Failed, task.Change{}); err != nil {
		t.Fatal(err)
	}
}

func (w *shelving) inRedis(t *testing.T) int64 {
	t.Helper()
	n, err := w.rdb.XLen(t.Context(), w.partitions.task(w.task.ID).events(w.task.ID)).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *shelving) objects(t *testing.T, pattern string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.folder, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// whole compares what is read with what was said, from any place on and in any portions.
func (w *shelving) whole(t *testing.T) {
	t.Helper()
	same := func(a, b task.Numbered) bool { return a.Seq == b.Seq && string(a.JSON) == string(b.JSON) }
	rapid.Check(t, func(rt *rapid.T) {
		after := rapid.Int64Range(0, int64(len(w.said))).Draw(rt, "after")
		limit := rapid.Int64Range(1, 3000).Draw(rt, "limit")
		got, err := w.Events(t.Context(), w.task.ID, after, limit)
		want := w.said[after:min(after+limit, int64(len(w.said)))]
		if err != nil || !slices.EqualFunc(got, want, same) {
			rt.Fatalf("%d events after %d, %v; want %d, whole", len(got), after, err, len(want))
		}
	})
	var heard []task.Numbered
	enough := errors.New("that is all")
	err := w.FollowEvents(t.Context(), w.task.ID, 0, func(e task.Numbered) error {
		if heard = append(heard, e); len(heard) == len(w.said) {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || !slices.EqualFunc(heard, w.said, same) {
		t.Errorf("a follower heard %d of %d events, %v", len(heard), len(w.said), err)
	}
	first, last, err := w.EventsLeft(t.Context(), w.task.ID)
	if err != nil || first != 1 || last != int64(len(w.said)) {
		t.Errorf("events %d to %d can be read, %v", first, last, err)
	}
}

func TestTheEventsOfATaskThatIsOverLeaveRedisAndAreReadAsBefore(t *testing.T) {
	w := newShelving(t, "")
	w.say(t, 2345)
	if n := w.objects(t, "whole/*/*"); n != 234 {
		t.Errorf("%d large events are put aside, of 234", n)
	}
	w.whole(t)
	w.end(t)
	p := w.partitions.task(w.task.ID)
	if err := w.sweepShelf(t.Context(), p); err != nil || w.inRedis(t) != 2345 {
		t.Fatalf("right after its end %d events are left, %v", w.inRedis(t), err)
	}
	at, err := w.rdb.ZScore(t.Context(), p.shelf(), string(w.task.ID)).Result()
	if in := time.Until(time.UnixMilli(int64(at))); err != nil || in < shelveAfter-time.Minute || in > shelveAfter {
		t.Errorf("it is shelved in %s, %v", in, err)
	}
	for range 2 { // it may be repeated
		if err := w.shelve(t.Context(), w.task.ID); err != nil {
			t.Fatal(err)
		}
		if w.inRedis(t) != 0 || w.objects(t, "events/*/*") != 3 || w.objects(t, "whole/*/*") != 0 {
			t.Errorf("%d events in Redis, %d chunks, %d large events aside", w.inRedis(t), w.objects(t, "events/*/*"), w.objects(t, "whole/*/*"))
		}
		w.whole(t)
	}
	if n, err := w.rdb.ZCard(t.Context(), p.shelf()).Result(); err != nil || n != 0 {
		t.Errorf("%d tasks are to be shelved still, %v", n, err)
	}
}

func TestATaskThatSaysVeryMuchKeepsItsNewestEventsInRedisAndWhoFollowsMissesNothing(t *testing.T) {
	w := newShelving(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const all = 9000
	heard, done := make(chan int64, all), make(chan error, 1)
	go func() {
		done <- w.FollowEvents(ctx, w.task.ID, 0, func(e task.Numbered) error { heard <- e.Seq; return nil })
	}()
	for range all / 500 {
		w.say(t, 500)
		if err := w.sweepShelf(t.Context(), w.partitions.task(w.task.ID)); err != nil {
			t.Fatal(err)
		}
		if err := w.shelve(t.Context(), w.task.ID); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.inRedis(t); n < streamKeeps || n > streamKeeps+2*chunkEvents {
		t.Errorf("%d events are in Redis", n)
	}
	for want := int64(1); want <= all; want++ {
		select {
		case got := <-heard:
			if got != want {
				t.Fatalf("heard %d after %d", got, want-1)
			}
		case err := <-done:
			t.Fatalf("the follower ended after %d events: %v", want-1, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.whole(t)
}

func TestALongTextOfAnIssueLiesAsideAndComesBackForTheAgent(t *testing.T) {
	body := strings.Repeat("Übermäßig lang. ", 4000)
	w := newShelving(t, body)
	if !w.task.BodyCut || len(w.task.Body) > task.MaxHead || !strings.HasPrefix(body, w.task.Body) {
		t.Errorf("the record has %d bytes of it", len(w.task.Body))
	}
	if whole, err := w.WholeBody(t.Context(), w.task.Spec); err != nil || whole != body {
		t.Errorf("%d bytes come back of %d, %v", len(whole), len(body), err)
	}
	if err := w.options.Blobs.Delete(t.Context(), bodyKey(w.task.ID)); err != nil {
		t.Fatal(err)
	}
	if beginning, err := w.WholeBody(t.Context(), w.task.Spec); err != nil || beginning != w.task.Body {
		t.Errorf("when it is gone %d bytes have to do, %v", len(beginning), err)
	}
}

func TestATaskThatIsGoneLeavesTheShelf(t *testing.T) {
	w := newShelving(t, "")
	p := w.partitions.task(w.task.ID)
	if err := w.rdb.ZAdd(t.Context(), p.shelf(), goredis.Z{Score: 1, Member: "tgone"}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := w.sweepShelf(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if n := w.rdb.ZCard(t.Context(), p.shelf()).Val(); n != 0 {
		t.Errorf("%d entries of it are left, and come up again every minute", n)
	}
}

// brittle is a blob store that fails to delete so many times.
type brittle struct {
	blob.Store
	fails int
}

func (b *brittle) Delete(ctx context.Context, key string) error {
	if b.fails--; b.fails >= 0 {
		return errors.New("the bucket is away")
	}
	return b.Store.Delete(ctx, key)
}

func TestShelvingThatIsCutShortLeavesNothingBehindAndLosesNothing(t *testing.T) {
	for _, fails := range []int{1, 4} {
		w := newShelving(t, "")
		w.say(t, 1500)
		w.end(t)
		w.options.Blobs = &brittle{w.options.Blobs, fails}
		for tries := 1; w.shelve(t.Context(), w.task.ID) != nil; tries++ {
			w.whole(t)
			if tries > fails {
				t.Fatal("it fails for ever")
			}
		}
		w.whole(t)
		if n := w.objects(t, "whole/*/*"); n != 0 || w.inRedis(t) != 0 {
			t.Errorf("%d objects that nobody needs stay, %d events in Redis", n, w.inRedis(t))
		}
	}
}
