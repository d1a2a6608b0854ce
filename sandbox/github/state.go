package github

import (
	"crypto/rsa"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// The internal state. All of it is guarded by Server.mu, apart from fields that
// never change after creation (ids, logins, directories, keys; a repository's name
// and owner do change).

type account struct {
	id      int64
	login   string
	kind    string // User, Bot or Organization
	created time.Time
	owner   *account           // of an organisation: who set it up
	members map[int64]*account // of an organisation
}

type app struct {
	id         int64
	slug, name string
	owner      *account
	bot        *account
	key        *rsa.PrivateKey
	pem        []byte
	hookID     int64
	hookURL    string
	hookSecret string
	perms      map[string]string
	events     []string
	created    time.Time
	courier    *courier
}

type installation struct {
	id      int64
	app     *app
	account *account
	all     bool
	repos   map[int64]*repository // with all unset
	perms   map[string]string
	events  []string
	created time.Time
	updated time.Time
	// suspended is when its account put it to rest. Zero: it is at work.
	suspended time.Time
}

// token is an installation's token or, with account set, a person's.
type token struct {
	account *account
	inst    *installation
	perms   map[string]string
	repos   map[int64]bool // nil: every repository of the installation
	expires time.Time      // zero: never
}

type repository struct {
	id            int64
	owner         *account
	name          string
	private       bool
	description   string
	defaultBranch string
	dir           string // the bare repository
	protected     map[string]bool
	collaborators map[int64]string // role by account id
	contributors  map[int64]bool
	labels        []*label
	threads       []*thread // by number - 1
	checks        []*checkRun
	created       time.Time
	updated       time.Time
	pushed        time.Time

	// writing serialises what moves refs (pushes, merges), so that events come
	// in the refs' own order. It is taken before Server.mu, never after.
	writing sync.Mutex
}

func (r *repository) fullName() string { return r.owner.login + "/" + r.name }

// existing lists the threads that have not been deleted, by number.
func (r *repository) existing() []*thread {
	return slices.DeleteFunc(slices.Clone(r.threads), func(th *thread) bool { return !th.deleted.IsZero() })
}

type label struct {
	id          int64
	name        string
	color       string
	description string
	standard    bool
}

// thread is an issue; with pull set, a pull request.
type thread struct {
	id          int64
	repo        *repository
	number      int
	title, body string
	state       string
	reason      string // completed, not_planned, reopened or empty
	author      *account
	via         *app
	labels      []*label
	comments    []*comment
	reactions   []*reaction
	created     time.Time
	updated     time.Time
	closed      time.Time
	closedBy    *account
	pull        *pull
	deleted     time.Time // of an issue; zero: it is there
}

type comment struct {
	id        int64
	thread    *thread
	body      string
	author    *account
	via       *app
	reactions []*reaction
	created   time.Time
	updated   time.Time
	edits     int
	deleted   time.Time // zero: it is there
}

type reaction struct {
	id      int64
	content string
	user    *account
	thread  *thread
	comment *comment // nil: it is on the thread itself
	created time.Time
	removed time.Time // zero: it is there
}

type pull struct {
	id        int64
	head      Ref
	base      Ref
	draft     bool
	merged    bool
	mergedAt  time.Time
	mergedBy  *account
	mergeSHA  string
	mergeable bool
	stats     pullStats
}

type pullStats struct{ commits, additions, deletions, files int }

type checkRun struct {
	id          int64
	suite       int64
	app         *app
	name        string
	sha         string
	created     time.Time
	status      string
	conclusion  string
	externalID  string
	detailsURL  string
	started     time.Time
	completed   time.Time
	title       *string
	summary     *string
	text        *string
	annotations []json.RawMessage
}

// actor is who changes something: a person, or an app by its bot account.
type actor struct {
	account *account
	via     *app
}

// kind names what an id counts.
type kind int

const (
	accountID kind = iota
	appID
	installationID
	hookID
	repositoryID
	labelID
	issueID
	pullID
	commentID
	reactionID
	checkRunID
	checkSuiteID
	deliveryID
	kinds
)

// newID hands out ids of today's magnitudes, so that a client that keeps one in
// 32 bits fails here too. With mu held.
func (s *Server) newID(k kind) int64 {
	first := [kinds]int64{
		accountID: 190_000_001, appID: 1_200_001, installationID: 61_000_001, hookID: 530_000_001,
		repositoryID: 940_000_001, labelID: 8_200_000_001, issueID: 2_900_000_001, pullID: 2_300_000_001,
		commentID: 2_700_000_001, reactionID: 280_000_001, checkRunID: 39_000_000_001,
		checkSuiteID: 35_000_000_001, deliveryID: 180_000_000_001,
	}
	s.ids[k]++
	return first[k] + s.ids[k] - 1
}

// fold is how GitHub compares logins, repository names and label names.
func fold(name string) string { return strings.ToLower(name) }
