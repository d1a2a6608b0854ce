package store

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var luaFiles embed.FS

// scripts holds every script of lua/, each with the prelude before it, by its file's name.
type scripts map[string]*redis.Script

func loadScripts() (scripts, error) {
	prelude, err := luaFiles.ReadFile("lua/prelude.lua")
	if err != nil {
		return nil, err
	}
	entries, err := luaFiles.ReadDir("lua")
	if err != nil {
		return nil, err
	}
	all := scripts{}
	for _, entry := range entries {
		body, err := luaFiles.ReadFile("lua/" + entry.Name())
		if err != nil {
			return nil, err
		}
		all[entry.Name()] = redis.NewScript(string(prelude) + protected(string(body)))
	}
	return all, nil
}

// run evaluates lua/<name>.lua by its hash, loading it where Redis does not know it.
func (s *Store) run(ctx context.Context, name string, keys []string, args ...any) *redis.Cmd {
	cmd := s.scripts[name+".lua"].Run(ctx, s.rdb, keys, args...)
	if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
		cmd.SetErr(fmt.Errorf("run %s.lua: %w", name, err))
	}
	return cmd
}
