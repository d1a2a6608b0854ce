package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"time"

	"sam/task"
)

// entryView is one entry of a conversation as templates/conversation.html shows it.
type entryView struct {
	task.Entry
	Position string
	When     time.Time
	HTML     template.HTML
	Words    string
	Sign     string
	PullURL  string
}

// threadView is a thread with some of its entries. Entries is empty where the page adds them itself.
type threadView struct {
	ID      task.ThreadID
	Number  int
	Title   string
	URL     string
	Entries []entryView
}

func (d *Dashboard) entry(p task.Project, where string, e task.Entry) entryView {
	v := entryView{Entry: e, Position: where, HTML: d.render.markdown.html(head(e.Text, maxSummary)), Sign: stateSigns[e.State], Words: stateWords[e.State]}
	if parsed, err := parsePosition(where); err == nil {
		v.When = time.UnixMilli(parsed.seq())
	}
	if e.Pull != 0 {
		v.PullURL = fmt.Sprintf("%s/%s/pull/%d", d.github, p.FullName(), e.Pull)
	}
	return v
}

func (d *Dashboard) thread(p task.Project, e task.Entry, titles map[task.ThreadID]string) threadView {
	return threadView{ID: e.Thread, Number: e.Number, Title: titles[e.Thread],
		URL: fmt.Sprintf("%s/%s/issues/%d", d.github, p.FullName(), e.Number)}
}

// convSource is a project's conversation as a topic.
type convSource struct {
	*Dashboard
	project int64
}

func (s convSource) last(ctx context.Context) (position, error) {
	_, last, err := s.store.ConversationLeft(ctx, s.project)
	if err != nil || last == "" {
		return position{}, err
	}
	return parsePosition(last)
}

func (s convSource) read(ctx context.Context, after position, limit int) ([]item, error) {
	first, last, err := s.store.ConversationLeft(ctx, s.project)
	if err != nil {
		return nil, err
	}
	if gone, err := outside(after, first, last); err != nil {
		return nil, err
	} else if gone {
		return nil, errGone
	}
	p, err := s.store.Project(ctx, s.project)
	if err != nil {
		return nil, err
	}
	var items []item
	err = s.store.ReadConversation(ctx, s.project, after.String(), int64(limit), func(where string, e task.Entry) error {
		one, err := s.item(ctx, p, where, e)
		items = append(items, one)
		return err
	})
	return items, err
}

// outside reports whether a position is not between the ends of what is left. The zero position is the start of all.
func outside(p position, first, last string) (bool, error) {
	if p == (position{}) {
		return false, nil
	}
	if first == "" {
		return true, nil
	}
	from, err := parsePosition(first)
	if err != nil {
		return false, err
	}
	to, err := parsePosition(last)
	return p.compare(from) < 0 || p.compare(to) > 0, err
}

func (s convSource) item(ctx context.Context, p task.Project, where string, e task.Entry) (item, error) {
	when, err := parsePosition(where)
	if err != nil {
		return item{}, err
	}
	titles := map[task.ThreadID]string{}
	if t, err := s.store.Task(ctx, e.Task); err == nil {
		titles[e.Thread] = name(t)
	} else if !errors.Is(err, task.ErrNotFound) {
		return item{}, err
	}
	words, err := s.render.execute("entry", s.entry(p, where, e))
	if err != nil {
		return item{}, err
	}
	section, err := s.render.execute("thread", s.thread(p, e, titles))
	if err != nil {
		return item{}, err
	}
	data, err := json.Marshal(struct {
		Topic  string        `json:"topic"`
		Seq    string        `json:"seq"`
		Thread task.ThreadID `json:"thread"`
		HTML   string        `json:"html"`
		Frame  string        `json:"frame"` // the thread's section without entries, for a page that has none yet
	}{topic{project: s.project}.String(), where, e.Thread, string(words), string(section)})
	if err != nil {
		return item{}, fmt.Errorf("encode entry %s of project %d: %w", where, s.project, err)
	}
	return item{when, data}, nil
}

func (s convSource) follow(ctx context.Context, after position, to sink) error {
	p, err := s.store.Project(ctx, s.project)
	if err != nil {
		return err
	}
	return s.store.FollowConversationAfter(ctx, s.project, after.String(), func(where string, e task.Entry) error {
		one, err := s.item(ctx, p, where, e)
		if err != nil {
			return err
		}
		to.item(one)
		return nil
	})
}
