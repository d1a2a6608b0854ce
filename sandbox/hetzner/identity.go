package hetzner

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Token opens one project.
type Token struct {
	Secret string `json:"token"`
	// Project is made when it is not there yet.
	Project string `json:"project"`
	// ReadOnly tokens may only GET.
	ReadOnly bool `json:"read_only"`
}

type token struct {
	project  *project
	readOnly bool
}

// project owns everything but the catalogue.
type project struct {
	name      string
	servers   map[int64]*server
	images    map[int64]*image // its snapshots
	keys      map[int64]*sshKey
	ips       map[int64]*primaryIP
	volumes   map[int64]*volume
	firewalls map[int64]*firewall
	rate      rate
}

// AddToken makes a token, and its project when there is none of that name.
func (s *Server) AddToken(t Token) error {
	if t.Secret == "" || t.Project == "" {
		return errors.New("a token needs its secret and the name of its project")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens[t.Secret] != nil {
		return fmt.Errorf("there is a token with this secret already, of project %q", s.tokens[t.Secret].project.name)
	}
	p := s.projects[t.Project]
	if p == nil {
		p = &project{
			name: t.Project, servers: map[int64]*server{}, images: map[int64]*image{}, keys: map[int64]*sshKey{},
			ips: map[int64]*primaryIP{}, volumes: map[int64]*volume{}, firewalls: map[int64]*firewall{},
			rate: rate{left: float64(s.limits.RequestsPerHour), at: s.now()},
		}
		s.projects[t.Project] = p
	}
	s.tokens[t.Secret] = &token{p, t.ReadOnly}
	return nil
}

// RevokeToken withdraws a token: it is unknown from now on. What its project has
// stays, and goes on costing.
func (s *Server) RevokeToken(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, secret)
}

// identify says whose call it is. With mu held.
func (s *Server) identify(r *http.Request) (*token, error) {
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if t := s.tokens[secret]; ok && t != nil {
		return t, nil
	}
	return nil, unauthorized()
}

// rate is a bucket that refills evenly over the hour.
type rate struct {
	left float64
	at   time.Time
}
