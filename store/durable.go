package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// checkDurability compares the settings of every server that takes writes with what the promises need.
func (s *Store) checkDurability(ctx context.Context) error {
	var wrong []string
	err := s.eachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		for _, want := range [][2]string{{"appendonly", "yes"}, {"appendfsync", "always"}, {"maxmemory-policy", "noeviction"}} {
			got, err := master.ConfigGet(ctx, want[0]).Result()
			if err != nil {
				return fmt.Errorf("ask Redis for its %s: %w (allow CONFIG GET, or set redis.allow_lossy when you are sure)", want[0], err)
			}
			if got[want[0]] != want[1] {
				wrong = append(wrong, fmt.Sprintf("%s is %q and must be %q", want[0], got[want[0]], want[1]))
			}
		}
		return nil
	})
	if err != nil {
		return s.options.explain(err)
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return fmt.Errorf("redis would lose accepted work: %s (see deploy/redis.conf, or set redis.allow_lossy to go on all the same)", strings.Join(slices.Compact(wrong), "; "))
	}
	return nil
}
