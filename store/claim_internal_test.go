package store

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// afterScript calls what happens between a script's answer and the process's next command.
type afterScript struct {
	hash string
	then func()
}

func (afterScript) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h afterScript) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if args := cmd.Args(); err == nil && len(args) > 1 && args[1] == h.hash {
			h.then()
		}
		return err
	}
}

func (afterScript) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestAProcessThatIsFrozenPastItsClaimDoesNotTakeTheNextOnesEpochForItsOwn(t *testing.T) {
	frozen, server := openInside(t)
	other := connectInside(t, server)
	ctx := t.Context()
	sp := task.Spec{ID: task.NewID(7, task.CommentSource(1), 0), Project: 7, Installation: 3, Thread: task.IssueThread(7, 1)}
	if err := frozen.scripts["claim.lua"].Load(ctx, frozen.rdb).Err(); err != nil {
		t.Fatal(err)
	}
	if made, err := other.CreateTask(ctx, sp, task.Change{}); err != nil || !made {
		t.Fatalf("create: %v, %v", made, err)
	}
	var theirs task.Claimed
	frozen.rdb.AddHook(afterScript{frozen.scripts["claim.lua"].Hash(), func() {
		// Its lease ends, and another process takes over.
		if err := other.rdb.HSet(ctx, other.partitions.task(sp.ID).task(sp.ID), "lease_until", 0).Err(); err != nil {
			t.Error(err)
		}
		var err error
		if theirs, err = other.Claim(ctx, sp.ID); err != nil {
			t.Error(err)
		}
	}})
	mine, err := frozen.Claim(ctx, sp.ID)
	var not task.NotYoursError
	if !errors.As(err, &not) {
		t.Errorf("it holds epoch %d, and the other holds %d: %v", mine.Epoch, theirs.Epoch, err)
	}
}

func TestADeadlineWhoseTaskIsGoneIsForgotten(t *testing.T) {
	s, _ := openInside(t)
	ctx, p := t.Context(), partition("0")
	for _, key := range []string{p.due(), p.starved()} {
		if err := s.rdb.ZAdd(ctx, key, redis.Z{Score: 1, Member: "tgone"}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	var not task.NotYoursError
	if _, err := s.Claim(ctx, "tgone"); !errors.As(err, &not) || not.Why != "missing" {
		t.Errorf("claiming it: %v", err)
	}
	if left := s.rdb.ZCard(ctx, p.due()).Val() + s.rdb.ZCard(ctx, p.starved()).Val(); left != 0 {
		t.Errorf("%d entries of it are left, and come up again every second", left)
	}
}

func TestWhatIsNotedOfATaskThatRedisHasLostDoesNotKeepItFromBeingMadeAgain(t *testing.T) {
	s, _ := openInside(t)
	sp := task.Spec{ID: task.NewID(7, task.CommentSource(1), 0), Project: 7, Installation: 3, Thread: task.IssueThread(7, 1)}
	if err := s.NoteStatusComment(t.Context(), sp.ID, 9); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("noting its status comment: %v", err)
	}
	if made, err := s.CreateTask(t.Context(), sp, task.Change{}); err != nil || !made {
		t.Errorf("asked for again: made %v, %v", made, err)
	}
}
