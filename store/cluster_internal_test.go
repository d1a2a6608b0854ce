package store

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sam/sandbox/redis"
	"sam/store/blob"
	"sam/task"
)

// A Cluster refuses a script whose keys are in two slots, which no other Redis does: so each is run on one.
func TestEveryScriptRunsOnACluster(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("NO redis-server IS INSTALLED: no script is run on a Cluster")
	}
	cluster, err := redis.StartCluster(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	}()
	blobs, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer blobs.Close()
	s, err := Open(t.Context(), Options{Mode: Cluster, Addresses: cluster.Addresses(), Replicas: -1, Blobs: blobs})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for repository := range int64(20) { // they fall on many partitions
		if err := everything(ctx, s, repository+1); err != nil {
			t.Fatalf("repository %d: %v", repository+1, err)
		}
	}
	if err := s.recover(ctx, "a test", func(context.Context, string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.pruneOlder(ctx, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for repository := range int64(20) {
		if _, err := s.Task(ctx, task.NewID(repository+1, task.CommentSource(1), 0)); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("repository %d: the task is kept: %v", repository+1, err)
		}
	}
	for name, script := range s.scripts {
		known := 0
		if err := s.eachMaster(ctx, func(ctx context.Context, master *goredis.Client) error {
			there, err := script.Exists(ctx, master).Result()
			if err == nil && there[0] {
				known++
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if known == 0 && name != "prelude.lua" {
			t.Errorf("%s was not run", name)
		}
	}
}

// everything takes one task of a repository its whole way, and calls what else there is on the way.
func everything(ctx context.Context, s *Store, repository int64) error {
	sp := task.Spec{ID: task.NewID(repository, task.CommentSource(1), 0), Project: repository, Installation: 3, Account: 5, Thread: task.IssueThread(repository, 1)}
	to := task.OwedTo{Partition: string(s.partitions.project(repository)), Installation: 3}
	node, limits := "node-"+id(repository), task.Limits{Account: 100, All: 100}
	status := task.Change{Entry: &task.Entry{Kind: task.EntryStarted, Task: sp.ID}, Effects: []task.Effect{task.StatusEffect(sp)}}
	var t task.Task
	var owed task.Owed
	var link int64
	for _, step := range []func() error{
		func() error { return s.createGroups(ctx, s.partitions.project(repository)) },
		func() error { return s.forgetConsumers(ctx, s.partitions.project(repository), consumerForgotten) },
		func() error { return s.SaveProject(ctx, task.Project{ID: repository, Installation: 3}) },
		func() error { return s.EnsureNode(ctx, task.Node{Name: node, Slots: 1}) },
		func() (err error) { link, err = s.NodeLinked(ctx, task.Node{Name: node, Slots: 1}); return err },
		func() error { return s.NodeBeat(ctx, node, link, task.Vitals{}, &task.Held{}) },
		func() error { return s.NoteMachine(ctx, node, task.Machine{ID: "7"}) },
		func() error { return s.NoteMachineTrouble(ctx, node, "it called from elsewhere") },
		func() error { return s.BindNode(ctx, node, "a key", true) },
		func() error {
			return s.Reserve(ctx, task.Reservation{Account: repository, Node: node, New: true, Hours: 1, Caps: task.Caps{Machines: 1}}, time.Now())
		},
		func() error { return s.Reprice(ctx, repository, node, 3) },
		func() error { _, err := s.Unreserve(ctx, repository, node, 0); return err },
		func() error { _, err := s.LetGoBefore(ctx, repository, []string{node}); return err },
		func() error { return s.NoteObstacle(ctx, repository, task.Obstacle{Why: "no capacity"}) },
		func() error { _, err := s.Doubt(ctx, repository, []string{"machine 7"}, time.Now()); return err },
		func() error { return s.NoteArrival(ctx, sp, time.Now()) },
		func() error { _, err := s.Tend(ctx, node, time.Second); return err },
		func() error { _, err := s.Starved(ctx); return err },
		func() error { _, err := s.AtRest(ctx, []task.ID{sp.ID}); return err },
		func() error {
			other := "other-" + node
			if err := s.EnsureNode(ctx, task.Node{Name: other, Slots: 1}); err != nil {
				return err
			}
			if _, err := s.Drain(ctx, other, "idle", nil); err != nil {
				return err
			}
			return s.RemoveNode(ctx, other)
		},
		func() error { _, err := s.Accept(ctx, task.Delivery{ID: node}); return err },
		func() error { _, err := s.Seen(ctx, node); return err },
		func() error { _, err := s.Hear(ctx, repository, 1, task.Heard{Created: true}); return err },
		func() error { _, err := s.CreateTask(ctx, sp, status); return err },
		func() error { _, err := s.Amend(ctx, sp.ID, "other words", time.Now(), status); return err },
		func() error { _, err := s.Admit(ctx, sp, limits); return err },
		func() error { _, err := s.HoldBranch(ctx, sp, "sam/issue-1"); return err },
		func() error { c, err := s.Claim(ctx, sp.ID); t = c.Task; return err },
		func() error { return s.Renew(ctx, t) },
		func() error { return s.Starve(ctx, t, time.Minute, status) },
		func() error { c, err := s.Claim(ctx, sp.ID); t = c.Task; return err },
		func() error {
			return s.Place(ctx, t, node, task.Command{Kind: task.CommandStart, Task: sp.ID, Epoch: t.Epoch},
				task.Change{Fields: map[task.Field]string{task.FieldBranch: "sam/issue-1"}, Effects: status.Effects})
		},
		func() error {
			_, err := s.AppendEvents(ctx, sp.ID, t.Epoch, node, []task.Numbered{{Seq: 1, JSON: []byte(`{}`)}})
			return err
		},
		func() error {
			return s.NoteProgress(ctx, t, t.Epoch, task.Progress{Started: true, Spoke: true}, status.Effects)
		},
		func() error { return s.Ask(ctx, t, t.Epoch, task.Question{ID: "q", Seq: 1, Text: "which?"}, status) },
		func() (err error) { t, err = s.Asking(ctx, sp.Thread, sp.ID); return err },
		func() error { _, err := s.Wait(ctx, t, status.Effects); return err },
		func() error {
			_, err := s.Answer(ctx, t, task.Answer{Text: "green"}, task.NewID(repository, task.CommentSource(2), 0), time.Now(), status)
			return err
		},
		func() error { return s.NoteStatusComment(ctx, sp.ID, 9) },
		func() error { return s.NoteMisuse(ctx, sp.ID, task.AfterEnd) },
		func() error { return s.BeginPush(ctx, sp.ID, t.Epoch, "sam/issue-1", "abc") },
		func() error { return s.RecordPush(ctx, sp.ID, t.Epoch, "sam/issue-1", "abc") },
		func() error { return s.RecordUsage(ctx, sp.ID, t.Epoch, task.Usage{Input: 1}) },
		func() error { _, err := s.Cancel(ctx, sp.ID, "closed", task.Queued); return err },
		func() error {
			return s.NoteProgress(ctx, t, t.Epoch, task.Progress{End: &task.End{Outcome: task.Done}}, nil)
		},
		func() error { c, err := s.Claim(ctx, sp.ID); t = c.Task; return err },
		func() error { return s.Move(ctx, t, task.Succeeded, status) },
		func() error { return s.Leave(ctx, sp, limits) },
		func() error { return s.sweepShelf(ctx, s.partitions.task(sp.ID)) },
		func() error { return s.shelve(ctx, sp.ID) },
		func() error { return s.Owe(ctx, 3, task.ReplyEffect(repository, 1, "k", "words")) },
		func() (err error) { owed, err = s.TakeOwed(ctx, to); return err },
		func() error { return s.PutOff(ctx, owed, time.Minute) },
		func() error { _, err := s.Pace(ctx, repository, 0); return err },
		func() error { _, err := s.Hold(ctx, repository, time.Second); return err },
		func() error { _, err := s.Held(ctx, repository); return err },
		func() error { _, _, err := s.TakeTurn(ctx, node, time.Minute, time.Minute); return err },
		func() error { return s.SaveMissedLog(ctx, task.MissedLog{}) },
		func() error { _, err := s.MissedLog(ctx); return err },
		func() error {
			return s.PutSecret(ctx, task.SealedSecret{Project: repository, Name: "TOKEN", Sealed: []byte("sealed")})
		},
		func() error { return s.WithdrawAccount(ctx, repository) },
		func() error { _, _, err := s.Accounts(ctx); return err },
		func() error { _, err := s.AllOpenTasks(ctx); return err },
		func() error { _, err := s.TasksOf(ctx, repository, 10); return err },
		func() error { _, err := s.Nodes(ctx); return err },
		func() error { _, err := s.Projects(ctx); return err },
		func() error { _, err := s.Due(ctx, 10); return err },
		func() error { _, err := s.look(ctx); return err },
		func() error { return s.NodeUnlinked(ctx, node, link) },
		func() error { return s.RemoveProject(ctx, task.Project{ID: repository, Installation: 3}) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	got, err := s.Task(ctx, sp.ID)
	if err == nil && got.State != task.Succeeded {
		err = errors.New("the task is " + string(got.State))
	}
	return err
}
