package github

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// CreateUser makes a person's account.
func (s *Server) CreateUser(login string) (User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.newAccount(login, "User")
	if err != nil {
		return User{}, err
	}
	return a.snapshot(), nil
}

// CreateOrganization makes an organisation. Its owner administers all of its
// repositories, and is who acts when an app is installed on it.
func (s *Server) CreateOrganization(login, owner string) (User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, err := s.person(owner)
	if err != nil {
		return User{}, err
	}
	a, err := s.newAccount(login, "Organization")
	if err != nil {
		return User{}, err
	}
	a.owner, a.members[who.id] = who, who
	return a.snapshot(), nil
}

// AddMember makes a person a member of an organisation, who may read all of its
// repositories.
func (s *Server) AddMember(organization, login string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	org := s.accounts[fold(organization)]
	if org == nil || org.kind != "Organization" {
		return notFound()
	}
	who, err := s.person(login)
	if err != nil {
		return err
	}
	org.members[who.id] = who
	return nil
}

// CreatePersonalToken makes a token by which a person uses the API and git, with
// every right that the person has. It does not expire.
func (s *Server) CreatePersonalToken(login string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, err := s.person(login)
	if err != nil {
		return "", err
	}
	secret := "ghp_" + randomText(36)
	s.tokens[secret] = &token{account: who}
	return secret, nil
}

// Users returns all accounts, organisations and apps' bots included, oldest
// first.
func (s *Server) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	users := make([]User, 0, len(s.accounts))
	for _, a := range s.accounts {
		users = append(users, a.snapshot())
	}
	slices.SortFunc(users, func(a, b User) int { return int(a.ID - b.ID) })
	return users
}

func (a *account) snapshot() User { return User{ID: a.id, Login: a.login, Type: a.kind} }

// loginShape is what GitHub lets a login be: 39 letters, digits and hyphens.
var loginShape = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9]|-[A-Za-z0-9]){0,38}$`)

// newAccount is called with mu held.
func (s *Server) newAccount(login, kind string) (*account, error) {
	if !loginShape.MatchString(strings.TrimSuffix(login, "[bot]")) || (kind != "Bot" && strings.HasSuffix(login, "[bot]")) {
		return nil, invalid(FieldError{Resource: kind, Field: "login", Code: "invalid", Message: fmt.Sprintf("login %q is not possible", login)})
	}
	if s.accounts[fold(login)] != nil {
		return nil, invalid(FieldError{Resource: kind, Field: "login", Code: "already_exists", Message: fmt.Sprintf("login %q is taken", login)})
	}
	a := &account{id: s.newID(accountID), login: login, kind: kind, created: s.moment()}
	if kind == "Organization" {
		a.members = map[int64]*account{}
	}
	s.accounts[fold(login)] = a
	return a, nil
}

// person finds an account that can act. With mu held.
func (s *Server) person(login string) (*account, error) {
	a := s.accounts[fold(login)]
	if a == nil {
		return nil, notFound()
	}
	if a.kind == "Organization" {
		return nil, refuse(http.StatusForbidden, login+" is an organization and cannot act")
	}
	return a, nil
}

// actorNamed is the actor of a Go method: a person, or an app by its bot's login.
// With mu held.
func (s *Server) actorNamed(login string) (actor, error) {
	a, err := s.person(login)
	if err != nil {
		return actor{}, err
	}
	by := actor{account: a}
	if a.kind == "Bot" {
		for _, one := range s.apps {
			if one.bot == a {
				by.via = one
			}
		}
	}
	return by, nil
}

// responsible is the person behind an account: itself, or an organisation's
// owner.
func (a *account) responsible() *account {
	if a.owner != nil {
		return a.owner
	}
	return a
}

// randomText returns n random letters and digits.
func randomText(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	text := make([]byte, n)
	for i := range text {
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			panic(err) // crypto/rand never fails on a supported system
		}
		text[i] = alphabet[k.Int64()]
	}
	return string(text)
}
