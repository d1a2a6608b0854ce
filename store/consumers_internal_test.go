package store

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

func TestTheConsumersOfProcessesThatAreGoneAreForgottenAndNoDeliveryIs(t *testing.T) {
	s, server := openInside(t)
	gone := connectInside(t, server)
	ctx, p := t.Context(), s.partitions.bucket(0)
	if err := s.createGroups(ctx, p); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Accept(ctx, task.Delivery{ID: "d", Event: "issues", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Wake(ctx, "tone"); err != nil {
		t.Fatal(err)
	}
	if read, err := gone.rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: group, Consumer: gone.process, Streams: []string{p.intake(), p.work(), ">", ">"}, Count: 1, Block: -1,
	}).Result(); err != nil || len(read) != 2 {
		t.Fatalf("read %v, %v", read, err)
	}
	has := func(stream string) bool {
		t.Helper()
		consumers, err := s.rdb.XInfoConsumers(ctx, stream, group).Result()
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(consumers, func(c redis.XInfoConsumer) bool { return c.Name == gone.process })
	}
	for _, look := range []struct {
		silent       time.Duration
		intake, work bool
	}{{time.Hour, true, true}, {0, true, false}} {
		if err := s.forgetConsumers(ctx, p, look.silent); err != nil {
			t.Fatal(err)
		}
		if has(p.intake()) != look.intake || has(p.work()) != look.work {
			t.Errorf("silent for %s: of deliveries %v, of wake-ups %v", look.silent, has(p.intake()), has(p.work()))
		}
	}
	if _, _, err := s.rdb.XAutoClaim(ctx, &redis.XAutoClaimArgs{Stream: p.intake(), Group: group, Consumer: s.process, Start: "0-0", Count: 9}).Result(); err != nil {
		t.Fatal(err)
	}
	if err := s.forgetConsumers(ctx, p, 0); err != nil {
		t.Fatal(err)
	}
	if has(p.intake()) {
		t.Error("kept although its delivery was taken over")
	}
}
