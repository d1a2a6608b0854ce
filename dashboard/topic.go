package dashboard

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sam/task"
)

// maxTopics is how many topics one stream may carry.
const maxTopics = 16

// position is a place in a topic: what comes later compares greater. The zero position is before everything.
type position struct{ major, minor uint64 }

func at(seq int64) position { return position{major: uint64(max(0, seq))} }

func (p position) String() string {
	return strconv.FormatUint(p.major, 10) + "-" + strconv.FormatUint(p.minor, 10)
}

// seq is the number of the event at p.
func (p position) seq() int64 { return int64(min(p.major, 1<<62)) }

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.major, q.major), cmp.Compare(p.minor, q.minor))
}

func parsePosition(s string) (position, error) {
	major, minor, both := strings.Cut(s, "-")
	var p position
	var err error
	if p.major, err = strconv.ParseUint(major, 10, 64); err != nil {
		return position{}, fmt.Errorf("%q is no position", s)
	}
	if !both {
		return p, nil
	}
	if p.minor, err = strconv.ParseUint(minor, 10, 64); err != nil {
		return position{}, fmt.Errorf("%q is no position", s)
	}
	return p, nil
}

// topic is one thing to follow: a task or, where that is empty, a project's conversation.
type topic struct {
	task    task.ID
	project int64
}

func (t topic) String() string {
	if t.task != "" {
		return "task:" + string(t.task)
	}
	return "conv:" + strconv.FormatInt(t.project, 10)
}

func parseTopic(s string) (topic, error) {
	kind, id, _ := strings.Cut(s, ":")
	switch {
	case kind == "task" && plausible(id):
		return topic{task: task.ID(id)}, nil
	case kind == "conv":
		if n, err := strconv.ParseInt(id, 10, 64); err == nil {
			return topic{project: n}, nil
		}
	}
	return topic{}, fmt.Errorf("%q is no topic", s)
}

// plausible reports whether a task could have this id: it keeps a stranger's bytes out of keys and logs.
func plausible(id string) bool {
	return len(id) > 0 && len(id) <= 64 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// parseTopics reads the topics that a page wants, without repetitions.
func parseTopics(s string) ([]topic, error) {
	var all []topic
	seen := map[topic]bool{}
	for one := range strings.SplitSeq(s, ",") {
		t, err := parseTopic(one)
		if err != nil {
			return nil, err
		}
		if !seen[t] {
			all, seen[t] = append(all, t), true
		}
	}
	if len(all) > maxTopics {
		return nil, fmt.Errorf("%d topics, at most %d", len(all), maxTopics)
	}
	return all, nil
}

// vector is how far each topic has been shown.
type vector map[topic]position

var errVector = errors.New("not a vector")

// parseVector reads what an earlier page or stream said; an empty one is at the start of every topic.
func parseVector(s string) (vector, error) {
	v := vector{}
	if s == "" {
		return v, nil
	}
	for one := range strings.SplitSeq(s, ",") {
		name, where, ok := strings.Cut(one, "=")
		t, err := parseTopic(name)
		if !ok || err != nil || len(v) >= maxTopics {
			return nil, errVector
		}
		if v[t], err = parsePosition(where); err != nil {
			return nil, errVector
		}
	}
	return v, nil
}

// format writes the vector of these topics, in their order.
func (v vector) format(topics []topic) string {
	var b strings.Builder
	for i, t := range topics {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(t.String() + "=" + v[t].String())
	}
	return b.String()
}
