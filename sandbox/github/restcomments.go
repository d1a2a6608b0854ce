package github

import (
	"cmp"
	"slices"
)

// onComment finds the comment of the path for a handler.
func onComment(level string, serve func(*call, *comment) (reply, error)) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		id, err := c.number("id")
		if err != nil {
			return reply{}, err
		}
		one, err := c.repo.comment(id)
		if err != nil {
			return reply{}, err
		}
		if err := c.mayTouch(one.thread, level); err != nil {
			return reply{}, err
		}
		return serve(c, one)
	}
}

func restComments(c *call, th *thread) (reply, error) {
	since, err := c.since("IssueComment")
	if err != nil {
		return reply{}, err
	}
	list := slices.DeleteFunc(slices.Clone(th.comments), func(one *comment) bool { return one.updated.Before(since) })
	return ok(rendered(page(c, settledIn(c, list, (*comment).madeAt)), c.s.renderComment)), nil
}

// restAllComments lists the comments of all threads, oldest first unless asked
// otherwise.
func restAllComments(c *call) (reply, error) {
	since, err := c.since("IssueComment")
	if err != nil {
		return reply{}, err
	}
	var list []*comment
	for _, th := range c.repo.existing() {
		for _, one := range th.comments {
			if !one.updated.Before(since) && c.mayTouch(th, "read") == nil {
				list = append(list, one)
			}
		}
	}
	slices.SortFunc(list, func(a, b *comment) int {
		order := cmp.Compare(a.id, b.id)
		if c.query("sort") == "updated" {
			order = cmp.Or(a.updated.Compare(b.updated), order)
		}
		if c.query("direction") == "desc" {
			order = -order
		}
		return order
	})
	return ok(rendered(page(c, settledIn(c, list, (*comment).madeAt)), c.s.renderComment)), nil
}

func restComment(c *call, th *thread) (reply, error) {
	body, err := c.commentBody()
	if err != nil {
		return reply{}, err
	}
	one, err := c.s.commentOn(c.by(), th, body)
	if err != nil {
		return reply{}, err
	}
	o := c.s.renderComment(one)
	c.header.Set("Location", o["url"].(string)) //nolint:errcheck // renderComment puts a text there
	return created(o), nil
}

func restEditComment(c *call, one *comment) (reply, error) {
	body, err := c.commentBody()
	if err != nil {
		return reply{}, err
	}
	if err := c.mayEdit(one.author, "write"); err != nil {
		return reply{}, err
	}
	if err := c.s.editComment(c.by(), one, body); err != nil {
		return reply{}, err
	}
	return ok(c.s.renderComment(one)), nil
}

func restDeleteComment(c *call, one *comment) (reply, error) {
	if err := c.mayEdit(one.author, "write"); err != nil {
		return reply{}, err
	}
	c.s.deleteComment(c.by(), one)
	return noContent(), nil
}

func (c *call) commentBody() (string, error) {
	var ask struct {
		Body *string `json:"body"`
	}
	if err := c.read(&ask); err != nil {
		return "", err
	}
	if ask.Body == nil {
		return "", missing("body")
	}
	return *ask.Body, nil
}

func (c *call) reactions(list []*reaction) (reply, error) {
	if content := c.query("content"); content != "" {
		list = slices.DeleteFunc(slices.Clone(list), func(r *reaction) bool { return r.content != content })
	}
	return ok(rendered(page(c, list), c.s.renderReaction)), nil
}

// react answers 201 for a new reaction and 200 for one that was there.
func (c *call) react(th *thread, on *comment) (reply, error) {
	var ask struct {
		Content string `json:"content"`
	}
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	r, fresh, err := c.s.react(c.by(), th, on, ask.Content)
	if err != nil {
		return reply{}, err
	}
	if fresh {
		return created(c.s.renderReaction(r)), nil
	}
	return ok(c.s.renderReaction(r)), nil
}

// unreact takes the caller's own reaction back.
func (c *call) unreact(list *[]*reaction, name string) (reply, error) {
	id, err := c.number(name)
	if err != nil {
		return reply{}, err
	}
	for _, r := range *list {
		if r.id != id {
			continue
		}
		if r.user != c.id.account {
			return reply{}, notAccessible()
		}
		r.removed = c.s.moment()
		*list = slices.DeleteFunc(*list, func(other *reaction) bool { return other == r })
		return noContent(), nil
	}
	return reply{}, notFound()
}
