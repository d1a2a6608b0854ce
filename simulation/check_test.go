package simulation

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"

	"sam/sandbox/github"
	"sam/task"
)

// busy says what is still to happen, nothing when all is quiet.
func (w *world) busy(ctx context.Context) ([]string, error) {
	var left []string
	for _, key := range w.redis.Keys() {
		_, name, _ := strings.Cut(key, ":")
		kind, rest, _ := strings.Cut(name, ":")
		var members []string
		var err error
		switch kind {
		case "intake":
			var entries []miniredis.StreamEntry
			entries, err = w.redis.Stream(key)
			for _, e := range entries {
				members = append(members, e.ID)
			}
		case "owed", "due", "starved", "thread", "want", "wanting":
			members, err = w.redis.ZMembers(key)
		case "slots", "flight", "flights":
			members, err = w.redis.HKeys(key)
		}
		if err != nil && !errors.Is(err, miniredis.ErrKeyNotFound) { // it may have gone since
			return nil, err
		}
		for _, m := range members {
			left = append(left, strings.TrimSpace(kind+" "+rest)+": "+m)
		}
	}
	if pending := w.hub.History().Pending; pending > 0 {
		left = append(left, fmt.Sprintf("%d deliveries under way", pending))
	}
	for _, n := range w.nodes {
		for _, ref := range n.running() {
			left = append(left, fmt.Sprintf("%s works on %s/%d", n.name, ref.Task, ref.Epoch))
		}
	}
	slices.Sort(left)
	return left, ctx.Err()
}

// marked is the hidden line by which SAM finds its own comments.
var marked = regexp.MustCompile(`<!-- sam:([a-z]+):([^ ]+) -->`)

// told is what GitHub shows of one thread in the end.
type told struct {
	comments  map[string][]github.PastComment // SAM's, not deleted, by the kind in their marker
	pulls     []github.PastPull               // of its branch
	reactions []github.PastReaction
	pushes    []github.PastPush // to the same
}

func (h *hub) told(p place, number int) told {
	t := told{comments: map[string][]github.PastComment{}}
	past := h.History()
	for _, c := range past.Comments {
		if c.RepositoryID != h.ids[p] || c.Number != number || c.App != h.app.Slug || c.DeletedAt != nil {
			continue
		}
		kind := "unmarked"
		if m := marked.FindStringSubmatch(c.Body); m != nil {
			kind = m[1]
		}
		t.comments[kind] = append(t.comments[kind], c)
	}
	branch := regexp.MustCompile(fmt.Sprintf(`^sam/issue-%d(-[0-9]+)?$`, number))
	for _, pull := range past.PullRequests {
		if pull.RepositoryID == h.ids[p] && branch.MatchString(pull.Head) {
			t.pulls = append(t.pulls, pull)
		}
	}
	for _, r := range past.Reactions {
		if r.RepositoryID == h.ids[p] && r.Number == number && r.RemovedAt == nil {
			t.reactions = append(t.reactions, r)
		}
	}
	for _, push := range past.Pushes {
		if push.RepositoryID == h.ids[p] && branch.MatchString(strings.TrimPrefix(push.Ref, "refs/heads/")) {
			t.pushes = append(t.pushes, push)
		}
	}
	return t
}

// liveFor is how soon after the last sign of an attempt that did not end another may not begin to write. Its node's lease is
// task.NodeSilence long and was renewed a beat before at the latest, or, where a replica held that up, when the node had
// found another: after the four tries of a command that Redis does not answer.
const liveFor = task.NodeSilence - task.NodeBeat - 15*time.Second

// stream says what is wrong with a task's stored events: they are numbered without gaps, each once; an attempt's are
// together, and none took over from one that lived.
func (w *world) stream(_ context.Context, t task.Task) []string {
	var wrong []string
	found := func(format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("task %s: ", t.ID)+fmt.Sprintf(format, args...))
	}
	entries, err := w.redis.Stream("{0}:out:" + string(t.ID))
	if err != nil && !errors.Is(err, miniredis.ErrKeyNotFound) {
		return []string{err.Error()}
	}
	var epoch int64 // of the event before
	var before task.Event
	wrote := 0 // how many the attempt has
	for i, entry := range entries {
		fields := map[string]string{}
		for j := 0; j+1 < len(entry.Values); j += 2 {
			fields[entry.Values[j]] = entry.Values[j+1]
		}
		e, err := task.ParseEvent([]byte(fields["event"]))
		if err != nil {
			found("%v", err)
		}
		if want := int64(i) + 1; e.Seq != want || entry.ID != fmt.Sprintf("%d-0", want) {
			found("event %d is stored as %s, and says %d", want, entry.ID, e.Seq)
		}
		now, _ := strconv.ParseInt(fields["epoch"], 10, 64)
		// The nodes' clocks are Redis's here, and what an attempt has written may be stored late.
		switch gap := e.At.Sub(before.At); {
		case i == 0 || now == epoch:
			wrote++
		case now < epoch:
			found("event %d of epoch %d came after one of epoch %d", e.Seq, now, epoch)
		case wrote > 1 && before.Kind != task.Finished && gap < liveFor:
			found("epoch %d took over from epoch %d %s after its last sign, a %s", now, epoch, gap, before.Kind)
		}
		if now != epoch {
			wrote = 1
		}
		epoch, before = now, e
	}
	if t.Last != int64(len(entries)) {
		found("there are %d events, and the record says %d", len(entries), t.Last)
	}
	return wrong
}
