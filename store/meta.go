package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"

	"github.com/rs/zerolog"
)

// schemaVersion is the version of the layout of keys.go that this build reads and writes.
const schemaVersion = 3

// record stands for the data it lies with: meta for the whole installation, and in a Cluster a mark in every partition,
// since any of the masters may lose its data.
type record struct {
	schema       int
	installation string     // SAM's own id of this set of data, random
	partitions   partitions // 0 before schema 2
	mode         Mode
	standing
	isNew bool // it was written by this look at it
}

// standing is what tells a record from one that was written in its place, or from itself as it was before.
type standing struct {
	written string // id of its writing, random
	counter int64  // only grows: at each start, and about once a minute
}

// records lists the keys of all of them.
func (s *Store) records() []string {
	keys := []string{keyMeta}
	if s.partitions > 1 {
		for _, p := range s.partitions.all() {
			keys = append(keys, p.mark())
		}
	}
	return keys
}

// openMeta writes the records at the first start; else it checks that this process may work on the data, and brings them
// to this build's schema. It returns what says that data are missing, "" when nothing does.
func (s *Store) openMeta(ctx context.Context) (lost string, err error) {
	there, err := s.rdb.Exists(ctx, keyMeta).Result()
	if err != nil {
		return "", fmt.Errorf("read meta: %w", s.options.explain(err))
	}
	// Marks first: who finds meta is to find them all, so that one that is missing means something.
	for _, key := range s.records()[1:] {
		mark, err := s.readRecord(ctx, key)
		if err != nil {
			return "", err
		}
		if mark.isNew && there == 1 {
			lost = "the data of one of the Cluster's masters are gone: there is no " + key
		}
		s.seen[key] = mark.standing
	}
	meta, err := s.readRecord(ctx, keyMeta)
	if err != nil {
		return "", err
	}
	if err := s.migrate(ctx, meta); err != nil {
		return "", err
	}
	s.installation, s.seen[keyMeta] = meta.installation, meta.standing
	if meta.mode == s.options.mode() {
		return lost, nil
	}
	// A single Redis that is put under Sentinels keeps its data as they are.
	if err := s.rdb.HSet(ctx, keyMeta, "mode", string(s.options.mode())).Err(); err != nil {
		return "", fmt.Errorf("write meta: %w", err)
	}
	return lost, nil
}

// migrate checks that the data are such as this build can read, and brings older ones to its schema.
func (s *Store) migrate(ctx context.Context, meta record) error {
	if meta.schema > schemaVersion {
		return fmt.Errorf("the data in Redis have schema %d and this release of SAM reads %d: start the release that wrote them, or a newer one", meta.schema, schemaVersion)
	}
	if meta.partitions != 0 && meta.partitions != s.partitions {
		return fmt.Errorf("the data in Redis are laid out in %d partition(s), for redis.mode %s, and redis.mode is %s, which has %d: set it back, or start with an empty Redis",
			meta.partitions, meta.mode, s.options.mode(), s.partitions)
	}
	for _, step := range migrations {
		if meta.schema >= step.to {
			continue
		}
		zerolog.Ctx(ctx).Info().Int("schema", step.to).Msg("bringing the data in Redis to a newer schema")
		if err := step.run(ctx, s); err != nil {
			return fmt.Errorf("bring the data in Redis to schema %d: %w", step.to, err)
		}
		if err := s.rdb.HSet(ctx, keyMeta, "schema", step.to).Err(); err != nil {
			return fmt.Errorf("write meta: %w", err)
		}
	}
	return nil
}

func (s *Store) readRecord(ctx context.Context, key string) (record, error) {
	installation := s.installation // what was lost is written again under the same id
	if installation == "" {
		installation = strings.ToLower(rand.Text()[:12])
	}
	answer, err := s.run(ctx, "meta", []string{key},
		schemaVersion, installation, int(s.partitions), string(s.options.mode()), operation()).Slice()
	if err != nil {
		return record{}, s.options.explain(err)
	}
	fields := make([]string, 7)
	for i := range min(len(fields), len(answer)) {
		switch v := answer[i].(type) {
		case string:
			fields[i] = v
		case int64:
			fields[i] = id(v)
		} // nil where schema 1 had no such field
	}
	r := record{installation: fields[1], mode: Mode(fields[3]), isNew: fields[6] == "1"}
	r.written = fields[4]
	if r.schema, err = strconv.Atoi(fields[0]); err != nil {
		return record{}, fmt.Errorf("read %s: schema %q is no number", key, fields[0])
	}
	if r.counter, err = strconv.ParseInt(fields[5], 10, 64); err != nil {
		return record{}, fmt.Errorf("read %s: counter %q is no number", key, fields[5])
	}
	if fields[2] != "" {
		n, err := strconv.Atoi(fields[2])
		if err != nil || n < 1 {
			return record{}, fmt.Errorf("read %s: %q is no number of partitions", key, fields[2])
		}
		r.partitions = partitions(n)
	}
	return r, nil
}

// Counter is a number of the data that only grows: what bears a higher one was made when Redis had data that it has lost since.
func (s *Store) Counter(ctx context.Context) (int64, error) {
	n, err := s.rdb.HGet(ctx, keyMeta, "counter").Int64()
	if err != nil {
		return 0, fmt.Errorf("read the counter of meta: %w", err)
	}
	return n, nil
}

// Count has the counter grow, and returns it.
func (s *Store) Count(ctx context.Context) (int64, error) {
	n, err := s.rdb.HIncrBy(ctx, keyMeta, "counter", 1).Result()
	if err != nil {
		return 0, fmt.Errorf("count in meta: %w", err)
	}
	return n, nil
}
