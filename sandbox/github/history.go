package github

import (
	"maps"
	"slices"
	"time"
)

// past keeps what the present no longer shows. It is guarded by Server.mu.
type past struct {
	comments  []*comment
	reactions []*reaction
	refs      []refMove
}

type refMove struct {
	refUpdate
	repo *repository
	by   actor
	at   time.Time
}

// History is all that ever was, deleted things too, each list in the order in
// which it came about. A repository has the name it has now; RepositoryID survives
// renames. Times of content are whole seconds, as GitHub's are.
type History struct {
	Issues       []PastIssue    `json:"issues"`
	PullRequests []PastPull     `json:"pull_requests"`
	Comments     []PastComment  `json:"comments"`
	Reactions    []PastReaction `json:"reactions"`
	Pushes       []PastPush     `json:"pushes"`
	Deliveries   []PastDelivery `json:"deliveries"`
	// Pending counts the deliveries that have still to be attempted.
	Pending int `json:"pending"`
}

// PastIssue is an issue; pull requests are not among them.
type PastIssue struct {
	ID           int64      `json:"id"`
	RepositoryID int64      `json:"repository_id"`
	Repository   string     `json:"repository"`
	Number       int        `json:"number"`
	Title        string     `json:"title"`
	Author       string     `json:"author"`
	State        string     `json:"state"`
	Labels       []string   `json:"labels"`
	CreatedAt    time.Time  `json:"created_at"`
	ClosedAt     *time.Time `json:"closed_at"`
	DeletedAt    *time.Time `json:"deleted_at"`
}

// PastPull is a pull request. App is the slug of the app that opened it.
type PastPull struct {
	ID           int64      `json:"id"`
	RepositoryID int64      `json:"repository_id"`
	Repository   string     `json:"repository"`
	Number       int        `json:"number"`
	Title        string     `json:"title"`
	Body         string     `json:"body"`
	Author       string     `json:"author"`
	App          string     `json:"app,omitempty"`
	Head         string     `json:"head"`
	HeadSHA      string     `json:"head_sha"`
	Base         string     `json:"base"`
	State        string     `json:"state"`
	Merged       bool       `json:"merged"`
	CreatedAt    time.Time  `json:"created_at"`
	ClosedAt     *time.Time `json:"closed_at"`
}

// PastComment is a comment as it was at last. Edits counts how often its body was
// changed.
type PastComment struct {
	ID           int64      `json:"id"`
	RepositoryID int64      `json:"repository_id"`
	Repository   string     `json:"repository"`
	Number       int        `json:"number"`
	Author       string     `json:"author"`
	App          string     `json:"app,omitempty"`
	Body         string     `json:"body"`
	Edits        int        `json:"edits"`
	CreatedAt    time.Time  `json:"created_at"`
	UpdatedAt    time.Time  `json:"updated_at"`
	DeletedAt    *time.Time `json:"deleted_at"`
}

// PastReaction is a reaction to a comment or, with no CommentID, to the issue or
// pull request itself.
type PastReaction struct {
	ID           int64      `json:"id"`
	RepositoryID int64      `json:"repository_id"`
	Repository   string     `json:"repository"`
	Number       int        `json:"number"`
	CommentID    int64      `json:"comment_id,omitempty"`
	Content      string     `json:"content"`
	Author       string     `json:"author"`
	CreatedAt    time.Time  `json:"created_at"`
	RemovedAt    *time.Time `json:"removed_at"`
}

// PastPush is one ref that a push or a merge has moved. Old and New are forty
// zeros for "did not exist" and "was deleted".
type PastPush struct {
	RepositoryID int64     `json:"repository_id"`
	Repository   string    `json:"repository"`
	Ref          string    `json:"ref"`
	Old          string    `json:"old"`
	New          string    `json:"new"`
	By           string    `json:"by"`
	At           time.Time `json:"at"`
}

// PastDelivery is all attempts under one GUID. TwinOf is the GUID that a fault has
// repeated under this one.
type PastDelivery struct {
	GUID           string        `json:"guid"`
	TwinOf         string        `json:"twin_of,omitempty"`
	AppID          int64         `json:"app_id"`
	InstallationID int64         `json:"installation_id,omitempty"`
	RepositoryID   int64         `json:"repository_id,omitempty"`
	Event          string        `json:"event"`
	Action         string        `json:"action,omitempty"`
	Attempts       []PastAttempt `json:"attempts"`
}

// PastAttempt is one attempt. StatusCode and Status are what the app's log of
// deliveries says; Answered is what the app really answered, 0 for nothing. Where
// a fault is named, the two differ.
type PastAttempt struct {
	ID         int64     `json:"id"`
	At         time.Time `json:"at"`
	Redelivery bool      `json:"redelivery"`
	StatusCode int       `json:"status_code"`
	Status     string    `json:"status"`
	Answered   int       `json:"answered"`
	Fault      FaultKind `json:"fault,omitempty"`
}

// attempt is what is kept of a delivery for ever: all but the payload.
type attempt struct {
	PastAttempt
	parcel
}

func (d *delivered) attempt() attempt {
	a := attempt{parcel: d.parcel, PastAttempt: PastAttempt{
		ID: d.id, At: d.at, Redelivery: d.redelivery, StatusCode: d.code, Status: d.status, Answered: d.answered, Fault: d.fault,
	}}
	a.payload = nil
	return a
}

// History returns all that ever was. It is for checkers: nothing of it can be
// asked of a real GitHub.
func (s *Server) History() History {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := History{
		Issues: []PastIssue{}, PullRequests: []PastPull{}, Comments: []PastComment{}, Reactions: []PastReaction{},
		Pushes: []PastPush{}, Deliveries: []PastDelivery{},
	}
	for _, id := range slices.Sorted(maps.Keys(s.repositories)) {
		for _, th := range s.repositories[id].threads {
			if th.pull != nil {
				h.PullRequests = append(h.PullRequests, th.pastPull())
			} else {
				h.Issues = append(h.Issues, th.past())
			}
		}
	}
	for _, c := range s.past.comments {
		r := c.thread.repo
		h.Comments = append(h.Comments, PastComment{
			ID: c.id, RepositoryID: r.id, Repository: r.fullName(), Number: c.thread.number, Author: c.author.login, App: c.via.slugOrNone(),
			Body: c.body, Edits: c.edits, CreatedAt: c.created, UpdatedAt: c.updated,
			DeletedAt: orNever(firstOf(c.deleted, c.thread.deleted)),
		})
	}
	for _, one := range s.past.reactions {
		r := one.thread.repo
		p := PastReaction{
			ID: one.id, RepositoryID: r.id, Repository: r.fullName(), Number: one.thread.number, Content: one.content,
			Author: one.user.login, CreatedAt: one.created, RemovedAt: orNever(one.removed),
		}
		if one.comment != nil {
			p.CommentID = one.comment.id
		}
		h.Reactions = append(h.Reactions, p)
	}
	for _, m := range s.past.refs {
		h.Pushes = append(h.Pushes, PastPush{
			RepositoryID: m.repo.id, Repository: m.repo.fullName(), Ref: m.ref, Old: m.before, New: m.after, By: m.by.account.login, At: m.at,
		})
	}
	for _, id := range slices.Sorted(maps.Keys(s.apps)) {
		list, pending := s.apps[id].courier.history()
		h.Deliveries, h.Pending = append(h.Deliveries, list...), h.Pending+pending
	}
	return h
}

func (th *thread) past() PastIssue {
	p := PastIssue{
		ID: th.id, RepositoryID: th.repo.id, Repository: th.repo.fullName(), Number: th.number, Title: th.title, Author: th.author.login,
		State: th.state, Labels: []string{}, CreatedAt: th.created, ClosedAt: orNever(th.closed), DeletedAt: orNever(th.deleted),
	}
	for _, l := range th.labels {
		p.Labels = append(p.Labels, l.name)
	}
	return p
}

func (th *thread) pastPull() PastPull {
	return PastPull{
		ID: th.pull.id, RepositoryID: th.repo.id, Repository: th.repo.fullName(), Number: th.number, Title: th.title, Body: th.body,
		Author: th.author.login, App: th.via.slugOrNone(), Head: th.pull.head.Branch, HeadSHA: th.pull.head.SHA, Base: th.pull.base.Branch,
		State: th.state, Merged: th.pull.merged, CreatedAt: th.created, ClosedAt: orNever(th.closed),
	}
}

// history groups the attempts by GUID, in the order of the first.
func (c *courier) history() (list []PastDelivery, pending int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := map[string]int{}
	for _, a := range c.past {
		i, known := at[a.guid]
		if !known {
			i, at[a.guid] = len(list), len(list)
			list = append(list, PastDelivery{
				GUID: a.guid, TwinOf: a.twinOf, AppID: c.app.id, InstallationID: a.installation, RepositoryID: a.repository,
				Event: a.event, Action: a.action,
			})
		}
		list[i].Attempts = append(list[i].Attempts, a.PastAttempt)
	}
	return list, c.open
}

func (a *app) slugOrNone() string {
	if a == nil {
		return ""
	}
	return a.slug
}

// orNever is a time as JSON's null when it has not come.
func orNever(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// firstOf is the first that has come.
func firstOf(first, second time.Time) time.Time {
	if first.IsZero() {
		return second
	}
	return first
}
