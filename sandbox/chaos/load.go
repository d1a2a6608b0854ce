package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// How fast tasks arrive: at first one every arriveEvery, so that 50 come in two minutes with some to spare; after
// arriveFirst of them one every arriveLater, or a long run would be nothing but waiting for GitHub's hourly limit on what
// an App may create.
const (
	arriveEvery = 1800 * time.Millisecond
	arriveLater = 8 * time.Second
	arriveFirst = 120
)

// firstWithin bounds how long the first task of an account may take, before any violence.
const firstWithin = time.Minute

// load asks for tasks, as people do.
type load struct {
	world  *world
	random *rand.Rand
	places []place

	mu   sync.Mutex
	asks []asked
}

// place is a repository that tasks are asked for in.
type place struct {
	owner, name string
	threads     []int // issues that something was asked on
}

func newLoad(w *world, random *rand.Rand) *load {
	l := &load{world: w, random: random}
	for _, owner := range accounts {
		for _, name := range repositories {
			l.places = append(l.places, place{owner: owner, name: name})
		}
	}
	return l
}

// requests are what is asked for. The first three are work with commits at their end, unless a thread's earlier task has
// done the same already; the last ends with nothing to show, which is a failure that must be told.
var requests = []string{
	"/sam add rate limiting to /api/upload", "/sam add a health check", "/sam log every request", "/sam demo: pretend to work",
}

// claimNodes has one task of each account end before anything else happens: on a node that stands, and on the first machine.
func (l *load) claimNodes(ctx context.Context) error {
	for i := range l.places {
		if i%len(repositories) != 0 {
			continue
		}
		ask, err := l.ask(&l.places[i], writer, 0, requests[len(requests)-1])
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, firstWithin)
		err = until(ctx, 200*time.Millisecond, func() error {
			r, err := read(ctx, l.world.redis, false)
			if err != nil {
				return err
			}
			for _, t := range r.tasks {
				if t.comment == ask && t.final() {
					return nil
				}
			}
			return fmt.Errorf("the first task of %s is not done", l.places[i].owner)
		})
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// run asks until ctx ends.
func (l *load) run(ctx context.Context) error {
	for {
		every := arriveEvery
		if len(l.all()) > arriveFirst {
			every = arriveLater
		}
		if !rest(ctx, every) {
			return nil
		}
		if err := l.next(); err != nil {
			return err
		}
		zerolog.Ctx(ctx).Debug().Int("asked", len(l.all())).Msg("somebody asked for something")
	}
}

// next asks for one thing: mostly on an issue of its own, at times on one where something was asked before. At times a
// stranger asks too, who must be answered with silence.
func (l *load) next() error {
	p := &l.places[l.random.IntN(len(l.places))]
	number := 0
	if len(p.threads) > 0 && l.random.IntN(6) == 0 {
		number = p.threads[l.random.IntN(len(p.threads))]
	}
	if l.random.IntN(10) == 0 {
		if _, err := l.ask(p, stranger, number, requests[0]); err != nil {
			return err
		}
	}
	_, err := l.ask(p, writer, number, requests[l.random.IntN(len(requests))])
	return err
}

// ask comments on an issue, a new one when number is 0, and returns the comment's id.
func (l *load) ask(p *place, who string, number int, words string) (int64, error) {
	hub := l.world.hub
	if number == 0 {
		issue, err := hub.CreateIssue(who, p.owner, p.name, fmt.Sprintf("Something to do, %d", len(p.threads)+1), "See the comments.")
		if err != nil {
			return 0, fmt.Errorf("open an issue: %w", err)
		}
		number = issue.Number
	}
	comment, err := hub.CreateComment(who, p.owner, p.name, number, words)
	if err != nil {
		return 0, fmt.Errorf("comment on an issue: %w", err)
	}
	if who != writer {
		return comment.ID, nil
	}
	p.threads = append(p.threads, number)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asks = append(l.asks, asked{comment: comment.ID, repository: p.owner + "/" + p.name, number: number, words: words})
	return comment.ID, nil
}

func (l *load) all() []asked {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asks
}
