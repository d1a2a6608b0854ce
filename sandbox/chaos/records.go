package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sam/sandbox/redis"
)

// records are what Redis holds, read by the names of its keys and not through the product's own code.
type records struct {
	tasks   map[string]*record // by id
	entries []entry            // of all conversations, each in its order
	owed    []string           // targets that something is owed to
	intake  int                // deliveries that are accepted and not handled

	machines []string // nodes that were made, by name
	paid     []string // machines that an account's money is reserved for
	tokens   []string // accounts of which a token is kept
}

// record is one task.
type record struct {
	id       string
	state    string
	epoch    int64
	project  int64
	number   int
	comment  int64
	index    int
	head     string
	last     int64
	attempts int
	events   []event
}

func (r *record) final() bool {
	return r.state == "succeeded" || r.state == "failed" || r.state == "cancelled"
}

// event is one entry of a task's stream.
type event struct {
	id    int64 // the entry's own number
	seq   int64 // what the event says its number is
	kind  string
	epoch int64
	at    time.Time // when it was stored, Redis's clock
}

// entry is one of a conversation's.
type entry struct {
	Kind string `json:"kind"`
	Task string `json:"task"`
}

// read reads them all. It is meant for a Redis that has come to rest, or for a look at how far things are.
func read(ctx context.Context, server *redis.Server, withEvents bool) (*records, error) {
	r := &records{tasks: map[string]*record{}}
	keys, err := keysOf(ctx, server)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		switch kindOf(key) {
		case "task":
			err = r.readTask(ctx, server, key, withEvents)
		case "conv":
			err = r.readConversation(ctx, server, key)
		case "owed":
			var targets []string
			targets, err = list(ctx, server, "ZRANGE", key, "0", "-1")
			r.owed = append(r.owed, targets...)
		case "node":
			err = r.readNode(ctx, server, key)
		case "fleet":
			var names []string
			names, err = list(ctx, server, "HKEYS", key)
			r.paid = append(r.paid, names...)
		case "account":
			err = r.readAccount(ctx, server, key)
		case "intake":
			var n []string
			if n, err = list(ctx, server, "XLEN", key); err == nil {
				r.intake += int(number(n[0]))
			}
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", key, err)
		}
	}
	return r, nil
}

// kindOf is the word after a key's partition: "{0}:task:t2x" is a task.
func kindOf(key string) string {
	_, name, _ := strings.Cut(key, "}:")
	kind, _, _ := strings.Cut(name, ":")
	return kind
}

// keysOf lists all keys, each once: a scan may name one twice.
func keysOf(ctx context.Context, server *redis.Server) ([]string, error) {
	seen := map[string]bool{}
	var all []string
	for cursor := "0"; ; {
		found, err := list(ctx, server, "SCAN", cursor, "COUNT", "1000")
		if err != nil {
			return nil, fmt.Errorf("list Redis's keys: %w", err)
		}
		for _, key := range found[1:] {
			if !seen[key] {
				seen[key] = true
				all = append(all, key)
			}
		}
		if cursor = found[0]; cursor == "0" {
			return all, nil
		}
	}
}

func (r *records) readTask(ctx context.Context, server *redis.Server, key string, withEvents bool) error {
	f, err := fields(ctx, server, key)
	if err != nil {
		return err
	}
	id := key[strings.LastIndexByte(key, ':')+1:]
	t := &record{
		id: id, state: f["state"], epoch: number(f["epoch"]), head: f["head"], last: number(f["last"]),
		attempts: int(number(f["attempts"])),
	}
	var spec struct {
		Project int64 `json:"project"`
		Number  int   `json:"number"`
		Comment int64 `json:"comment"`
		Index   int   `json:"index"`
	}
	if err := json.Unmarshal([]byte(f["spec"]), &spec); err != nil {
		return fmt.Errorf("its spec %q: %w", f["spec"], err)
	}
	t.project, t.number, t.comment, t.index = spec.Project, spec.Number, spec.Comment, spec.Index
	r.tasks[t.id] = t
	if !withEvents {
		return nil
	}
	return t.readEvents(ctx, server, strings.Replace(key, ":task:", ":out:", 1))
}

func (r *records) readNode(ctx context.Context, server *redis.Server, key string) error {
	f, err := fields(ctx, server, key)
	if err == nil && f["provider"] == "hetzner" {
		r.machines = append(r.machines, f["name"])
	}
	return err
}

func (r *records) readAccount(ctx context.Context, server *redis.Server, key string) error {
	text, err := list(ctx, server, "GET", key)
	if err != nil || len(text) == 0 {
		return err
	}
	var account struct {
		Token []byte `json:"token"`
	}
	if err := json.Unmarshal([]byte(text[0]), &account); err != nil {
		return fmt.Errorf("what was set: %w", err)
	}
	if len(account.Token) > 0 {
		r.tokens = append(r.tokens, key[strings.LastIndexByte(key, ':')+1:])
	}
	return nil
}

func (r *record) readEvents(ctx context.Context, server *redis.Server, key string) error {
	stream, err := server.Do(ctx, "XRANGE", key, "-", "+")
	if err != nil {
		return err
	}
	return eachEntry(stream, func(id string, fields map[string]string) error {
		e := event{epoch: number(fields["epoch"]), at: time.UnixMilli(number(fields["at"]))}
		digits, _, _ := strings.Cut(id, "-")
		e.id = number(digits)
		var said struct {
			Seq  int64  `json:"seq"`
			Kind string `json:"kind"`
		}
		if err := json.Unmarshal([]byte(fields["event"]), &said); err != nil {
			return fmt.Errorf("event %s: %w", id, err)
		}
		e.seq, e.kind = said.Seq, said.Kind
		r.events = append(r.events, e)
		return nil
	})
}

func (r *records) readConversation(ctx context.Context, server *redis.Server, key string) error {
	stream, err := server.Do(ctx, "XRANGE", key, "-", "+")
	if err != nil {
		return err
	}
	return eachEntry(stream, func(id string, fields map[string]string) error {
		var e entry
		if err := json.Unmarshal([]byte(fields["entry"]), &e); err != nil {
			return fmt.Errorf("entry %s: %w", id, err)
		}
		r.entries = append(r.entries, e)
		return nil
	})
}

// eachEntry calls f for each entry of a stream.
func eachEntry(stream any, f func(id string, fields map[string]string) error) error {
	entries, _ := stream.([]any)
	for _, one := range entries {
		w := redis.Words(one)
		if len(w) == 0 {
			continue
		}
		fields := map[string]string{}
		for i := 1; i+1 < len(w); i += 2 {
			fields[w[i]] = w[i+1]
		}
		if err := f(w[0], fields); err != nil {
			return err
		}
	}
	return nil
}

// fields reads a hash.
func fields(ctx context.Context, server *redis.Server, key string) (map[string]string, error) {
	pairs, err := list(ctx, server, "HGETALL", key)
	f := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		f[pairs[i]] = pairs[i+1]
	}
	return f, err
}

func list(ctx context.Context, server *redis.Server, command ...string) ([]string, error) {
	value, err := server.Do(ctx, command...)
	return redis.Words(value), err
}

// number reads a decimal; what is none is 0.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
