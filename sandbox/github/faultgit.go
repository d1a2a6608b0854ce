package github

import (
	"net/http"
	"strings"
)

// gitFault refuses the request with which a fetch or a push begins, and says whether
// it has.
func (s *Server) gitFault(w http.ResponseWriter, method, path string) bool {
	if !strings.HasSuffix(path, "/info/refs") {
		return false
	}
	rule, strikes := s.roll(occasion{at: onGit, method: method, path: path}, func(r Rule) bool {
		return r.Kind == Git502 || r.Kind == Git503
	})
	if !strikes {
		return false
	}
	s.dice.Hit(rule.Kind)
	if rule.Kind == Git502 {
		gitRefusal(w, http.StatusBadGateway, "Bad Gateway")
	} else {
		gitRefusal(w, http.StatusServiceUnavailable, "Service Unavailable")
	}
	return true
}

// loseAnswer closes the connection in place of the answer to a push that was
// taken. Then it does not return.
func (s *Server) loseAnswer(method, path string) {
	_, strikes := s.roll(occasion{at: onGit, method: method, path: path}, func(r Rule) bool { return r.Kind == PushAnswerLost })
	if strikes {
		s.dice.Hit(PushAnswerLost)
		panic(http.ErrAbortHandler)
	}
}

// forgetEarly ends the token of a request of git. With mu held.
func (s *Server) forgetEarly(id identity, r *http.Request) *Error {
	if id.inst == nil {
		return nil
	}
	_, strikes := s.roll(occasion{at: onGit, method: r.Method, path: r.URL.Path}, func(r Rule) bool { return r.Kind == TokenForgotten })
	if !strikes {
		return nil
	}
	s.forget(id.token)
	s.dice.Hit(TokenForgotten)
	return refuse(http.StatusUnauthorized, "Invalid username or token. Password authentication is not supported for Git operations.")
}
