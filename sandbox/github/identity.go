package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

// identity is who a request comes from: nobody, a person, an app by its key, or
// an installation by its token (then account is the app's bot).
type identity struct {
	account *account
	app     *app
	inst    *installation
	token   *token
	perms   map[string]string // of an installation's token
}

func (id identity) nameless() bool { return id.account == nil && id.app == nil }

// byKey says whether an app has signed for itself, which opens /app alone.
func (id identity) byKey() bool { return id.app != nil && id.inst == nil }

// grants says whether an installation's token has a permission such as
// "issues:write". Write includes read.
func (id identity) grants(need string) bool {
	name, level, _ := strings.Cut(need, ":")
	have := id.perms[name]
	return have == "write" || have == "admin" || have == level
}

// reaches says whether an installation's token covers a repository. With mu
// held.
func (id identity) reaches(r *repository) bool {
	return id.inst != nil && id.inst.has(r) && (id.token.repos == nil || id.token.repos[r.id])
}

// sees says whether a repository exists for someone. With mu held.
func (s *Server) sees(id identity, r *repository) bool {
	switch {
	case !r.private:
		return true
	case id.inst != nil:
		return id.reaches(r)
	case id.account != nil:
		return r.roleOf(id.account) != "none"
	}
	return false
}

func (s *Server) mayFetch(id identity, r *repository) bool {
	return !r.private || id.inst == nil || id.grants("contents:read")
}

func (s *Server) mayPush(id identity, r *repository) bool {
	if id.inst != nil {
		return id.reaches(r) && id.grants("contents:write")
	}
	return id.account != nil && atLeast(r.roleOf(id.account), "write")
}

func suspended() *Error { return refuse(http.StatusForbidden, "This installation has been suspended") }

func badCredentials() *Error { return refuse(http.StatusUnauthorized, "Bad credentials") }

// identify reads the API's Authorization header. With mu held.
func (s *Server) identify(r *http.Request) (identity, *Error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return identity{}, nil
	}
	scheme, secret, _ := strings.Cut(header, " ")
	secret = strings.TrimSpace(secret)
	switch strings.ToLower(scheme) {
	case "bearer", "token":
		if strings.Count(secret, ".") == 2 {
			return s.identifyApp(secret)
		}
	case "basic":
		user, password, ok := r.BasicAuth()
		if !ok {
			return identity{}, badCredentials()
		}
		if secret = password; s.tokens[secret] == nil {
			secret = user
		}
	}
	return s.identifyToken(secret)
}

// identifyToken is called with mu held.
func (s *Server) identifyToken(secret string) (identity, *Error) {
	t := s.tokens[secret]
	switch {
	case t == nil:
		return identity{}, badCredentials()
	case !t.expires.IsZero() && !s.now().Before(t.expires):
		delete(s.tokens, secret)
		return identity{}, badCredentials()
	case t.inst != nil && !t.inst.suspended.IsZero():
		return identity{}, suspended()
	case t.inst != nil:
		return identity{account: t.inst.app.bot, app: t.inst.app, inst: t.inst, token: t, perms: t.perms}, nil
	}
	return identity{account: t.account, token: t}, nil
}

// identifyGit reads what git sends: basic authentication with a token as the
// password, or as the user's name. With mu held.
func (s *Server) identifyGit(r *http.Request) (identity, *Error) {
	if r.Header.Get("Authorization") == "" {
		return identity{}, nil
	}
	user, password, ok := r.BasicAuth()
	if ok {
		for _, secret := range []string{password, user} {
			switch id, err := s.identifyToken(secret); {
			case err == nil:
				return id, nil
			case err.Status == http.StatusForbidden:
				return identity{}, err
			}
		}
	}
	return identity{}, refuse(http.StatusUnauthorized, "Invalid username or token. Password authentication is not supported for Git operations.")
}

const (
	// maxKeyAge is how far ahead an app's JWT may expire.
	maxKeyAge = 10 * time.Minute
	// clockSkew is how far ahead of the server's clock it may have been issued.
	clockSkew = time.Minute
)

// identifyApp checks a JWT that an app has signed with its key. With mu held.
func (s *Server) identifyApp(raw string) (identity, *Error) {
	unreadable := refuse(http.StatusUnauthorized, "A JSON web token could not be decoded")
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation(), jwt.WithJSONNumber())
	claims := jwt.MapClaims{}
	var signer *app
	wrong := (*Error)(nil)
	_, err := parser.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) {
		signer, wrong = s.issuer(claims["iss"])
		if wrong != nil {
			return nil, errors.New("unknown issuer")
		}
		return &signer.key.PublicKey, nil
	})
	switch {
	case wrong != nil:
		return identity{}, wrong
	case err != nil:
		return identity{}, unreadable
	}
	now := s.now()
	exp, ok := moment(claims["exp"])
	switch {
	case !ok || !exp.After(now):
		return identity{}, refuse(http.StatusUnauthorized,
			"'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case exp.After(now.Add(maxKeyAge + time.Second)): // the claim has whole seconds only
		return identity{}, refuse(http.StatusUnauthorized, "'Expiration time' claim ('exp') is too far in the future")
	}
	iat, ok := moment(claims["iat"])
	if !ok || iat.After(now.Add(clockSkew)) {
		return identity{}, refuse(http.StatusUnauthorized,
			"'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	}
	return identity{app: signer}, nil
}

// issuer finds the app by the claim: its id, as number or text, or its client
// id. With mu held.
func (s *Server) issuer(claim any) (*app, *Error) {
	text := fmt.Sprint(claim)
	if id, err := strconv.ParseInt(text, 10, 64); err == nil {
		if a := s.apps[id]; a != nil {
			return a, nil
		}
		return nil, refuse(http.StatusNotFound, "Integration not found")
	}
	for _, a := range s.apps {
		if a.clientID() == text {
			return a, nil
		}
	}
	return nil, refuse(http.StatusUnauthorized, "'Issuer' claim ('iss') must be an Integer")
}

// moment reads a claim of seconds since 1970.
func moment(claim any) (time.Time, bool) {
	number, ok := claim.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := number.Float64()
	return time.Unix(int64(seconds), 0), err == nil
}
