package github

import (
	"encoding/json"
	"time"
)

// User is an account: a person (type User), an app's own account (type Bot) or
// an organisation (type Organization).
type User struct {
	ID    int64
	Login string
	Type  string
}

// Repository is what there is to say about a repository in a list.
type Repository struct {
	ID            int64
	Owner         string
	Name          string
	Description   string
	DefaultBranch string
	Private       bool
}

// Label is a label of a repository. Color is six hexadecimal digits.
type Label struct {
	Name        string
	Color       string
	Description string
}

// Issue is an issue, or the issue side of a pull request. State is open or
// closed. Reactions counts by content ("+1", "eyes", …).
type Issue struct {
	ID          int64
	Number      int
	Title       string
	Body        string
	State       string
	Author      User
	Labels      []Label
	PullRequest bool
	Reactions   map[string]int
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Comment is a comment on an issue or a pull request. App is the slug of the app
// that wrote it, empty for people.
type Comment struct {
	ID        int64
	Author    User
	Body      string
	App       string
	Reactions map[string]int
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Ref is one end of a pull request.
type Ref struct {
	Branch string
	SHA    string
}

// PullRequest is a pull request. State is open or closed; a merged one is closed.
type PullRequest struct {
	Number    int
	Title     string
	Body      string
	State     string
	Merged    bool
	Author    User
	Head      Ref
	Base      Ref
	CreatedAt time.Time
}

// Commit is one commit of a pull request.
type Commit struct {
	SHA        string
	Message    string
	AuthorName string
	Date       time.Time
}

// App is a GitHub App as its owner sees it once, at creation.
type App struct {
	ID            int64
	Slug          string
	Name          string
	PrivateKeyPEM []byte
	WebhookSecret string
}

// Installation is an app's installation on an account. Repositories holds full
// names; with All set it is every repository of the account.
type Installation struct {
	ID           int64
	AppID        int64
	Account      User
	All          bool
	Repositories []string
}

// Delivery is one attempt to hand a webhook to an app. StatusCode is what the
// app answered; 502 and 504 also stand for "could not connect" and "timed out".
type Delivery struct {
	ID              int64
	GUID            string
	Event           string
	Action          string
	StatusCode      int
	Status          string
	Duration        time.Duration
	DeliveredAt     time.Time
	Redelivery      bool
	RequestHeaders  map[string]string
	Payload         json.RawMessage
	ResponseHeaders map[string]string
	ResponseBody    string
}
