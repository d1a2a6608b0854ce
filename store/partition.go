package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// clusterPartitions is how many partitions a Cluster's keys are spread over. Their hash tags fall on all of three masters.
const clusterPartitions = 16

// partitions is how many there are. It is recorded at the first start and never changes: a task's ID carries its
// repository's bucket, and the bucket says which partition, so nothing is looked up and nothing is moved.
type partitions int

func (n partitions) bucket(b int) partition { return partition(strconv.Itoa(b % int(n))) }

// task is the partition of a task, its thread, its events and the commands about it.
func (n partitions) task(id task.ID) partition { return n.bucket(id.Bucket()) }

// project is the partition of a project, its conversation, its tasks, and what is owed for them.
func (n partitions) project(project int64) partition { return n.bucket(task.Bucket(project)) }

// delivery is the partition of a delivery by its GUID: the project is not known before it is read.
func (n partitions) delivery(guid string) partition { return n.named("delivery " + guid) }

// node is the partition of a node's record and of its slots.
func (n partitions) node(name string) partition { return n.named("node " + name) }

// account is the partition of an account's machines and money.
func (n partitions) account(account int64) partition { return n.named("account " + id(account)) }

// installation is the partition of what counts for all of an installation's projects together.
func (n partitions) installation(installation int64) partition {
	return n.named("installation " + id(installation))
}

func (n partitions) named(name string) partition {
	sum := sha256.Sum256([]byte(name))
	return n.bucket(int(binary.BigEndian.Uint16(sum[:])))
}

// all lists the partitions.
func (n partitions) all() []partition {
	list := make([]partition, n)
	for i := range list {
		list[i] = n.bucket(i)
	}
	return list
}

// has reports whether p is one of them: a name that came back from a node is not to be trusted.
func (n partitions) has(p partition) bool {
	i, err := strconv.Atoi(string(p))
	return err == nil && i >= 0 && i < int(n) && n.bucket(i) == p
}

// members reads one set of every partition in a round trip to each server.
func (s *Store) members(ctx context.Context, set func(partition) string) ([]string, error) {
	var all []string
	reads := make([]*redis.StringSliceCmd, 0, s.partitions)
	_, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, p := range s.partitions.all() {
			reads = append(reads, pipe.SMembers(ctx, set(p)))
		}
		return nil
	})
	for _, read := range reads {
		all = append(all, read.Val()...)
	}
	return all, err
}
