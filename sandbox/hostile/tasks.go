package hostile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sam/sandbox/hostile/orders"
	"sam/sandbox/redis"
)

// taskWithin bounds one task, from its comment to its end.
const taskWithin = 90 * time.Second

// job is a task that somebody asked for.
type job struct {
	world   *world
	repo    string
	number  int // of its issue
	comment int64
	orders  orders.Orders
	id      string // of the task, once it is known
}

// record is a task as Redis has it.
type record struct {
	id, state, head string
	events          []event
}

type event struct {
	Kind   string `json:"kind"`
	Text   string `json:"text"`
	Notice struct {
		Code, Subject string
	} `json:"notice"`
	Step struct {
		Name, Note string
	} `json:"step"`
	End struct {
		Outcome, Reason string
	} `json:"end"`
}

func (r *record) final() bool {
	return slices.Contains([]string{"succeeded", "failed", "cancelled"}, r.state)
}

// report finds what the intruder said of an attempt.
func (r *record) report(attempt string) (orders.Report, bool) {
	for _, e := range r.events {
		if said, is := orders.Read(e.Text); is && e.Kind == "said" && said.Attempt == attempt {
			return said, true
		}
	}
	return orders.Report{}, false
}

// reason is how the task's last attempt ended.
func (r *record) reason() string {
	for _, e := range slices.Backward(r.events) {
		if e.Kind == "finished" {
			return e.End.Outcome + ": " + e.End.Reason
		}
	}
	return r.state
}

// ask asks for a task, on a new issue when number is 0.
func (w *world) ask(repo string, number int, o orders.Orders) (*job, error) {
	words, err := o.Request()
	if err != nil {
		return nil, err
	}
	j := &job{world: w, repo: repo, number: number, orders: o}
	if number == 0 {
		issue, err := w.hub.CreateIssue(maintainer, owner, repo, "Something to do", "See the comments.")
		if err != nil {
			return nil, fmt.Errorf("open an issue: %w", err)
		}
		j.number = issue.Number
	}
	return j, j.say("/sam " + words)
}

// say comments on the job's issue.
func (j *job) say(words string) error {
	comment, err := j.world.hub.CreateComment(maintainer, owner, j.repo, j.number, words)
	if err != nil {
		return fmt.Errorf("comment on an issue: %w", err)
	}
	if j.comment == 0 {
		j.comment = comment.ID
	}
	return nil
}

// until waits until something is so of the job's task, and returns the task then.
func (j *job) until(ctx context.Context, what string, is func(*record) bool) (*record, error) {
	var r *record
	err := until(ctx, taskWithin, func() error {
		var err error
		if r, err = j.read(ctx); err != nil {
			return err
		}
		if !is(r) {
			return fmt.Errorf("its task %s is %s", r.id, r.reason())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("wait until %s: %w", what, err)
	}
	return r, nil
}

// ends waits for the end of the job's task.
func (j *job) ends(ctx context.Context) (*record, error) {
	return j.until(ctx, "its task has ended", (*record).final)
}

// reports waits until the intruder has said something of an attempt.
func (j *job) reports(ctx context.Context, attempt string) (*record, error) {
	return j.until(ctx, "the intruder has tried "+attempt, func(r *record) bool {
		_, said := r.report(attempt)
		return said || r.final()
	})
}

var errNoTask = errors.New("no task was made of its comment")

// read reads the job's task.
func (j *job) read(ctx context.Context) (*record, error) {
	keys, err := j.world.keys(ctx)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if !strings.Contains(key, "}:task:") || j.id != "" && !strings.HasSuffix(key, ":"+j.id) {
			continue
		}
		value, err := j.world.redis.Do(ctx, "HGETALL", key)
		if err != nil {
			return nil, fmt.Errorf("read a task: %w", err)
		}
		fields := pairs(redis.Words(value))
		var spec struct {
			Comment int64 `json:"comment"`
		}
		if err := json.Unmarshal([]byte(fields["spec"]), &spec); err != nil {
			return nil, fmt.Errorf("read a task: %w", err)
		}
		if spec.Comment != j.comment {
			continue
		}
		j.id = key[strings.LastIndexByte(key, ':')+1:]
		r := &record{id: j.id, state: fields["state"], head: fields["head"]}
		return r, j.readEvents(ctx, strings.Replace(key, ":task:", ":out:", 1), r)
	}
	return nil, errNoTask
}

func (j *job) readEvents(ctx context.Context, key string, r *record) error {
	stream, err := j.world.redis.Do(ctx, "XRANGE", key, "-", "+")
	if err != nil {
		return fmt.Errorf("read a task's events: %w", err)
	}
	entries, _ := stream.([]any)
	for _, one := range entries {
		words := redis.Words(one)
		if len(words) < 1 {
			continue
		}
		var e event
		if text := pairs(words[1:])["event"]; text != "" {
			if err := json.Unmarshal([]byte(text), &e); err != nil {
				return fmt.Errorf("read a task's events: %w", err)
			}
		}
		r.events = append(r.events, e)
	}
	return nil
}

func pairs(words []string) map[string]string {
	all := map[string]string{}
	for i := 0; i+1 < len(words); i += 2 {
		all[words[i]] = words[i+1]
	}
	return all
}

// keys lists Redis's keys.
func (w *world) keys(ctx context.Context) ([]string, error) {
	value, err := w.redis.Do(ctx, "KEYS", "*")
	if err != nil {
		return nil, fmt.Errorf("list Redis's keys: %w", err)
	}
	return redis.Words(value), nil
}
