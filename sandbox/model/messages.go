package model

import (
	"net/http"
	"strconv"
	"time"
)

// messages answers POST /v1/messages.
func (s *Server) messages(w http.ResponseWriter, r *http.Request) {
	req, f := s.read(w, r)
	if f == nil {
		f = s.check(req, false)
	}
	if f != nil {
		s.refuse(w, f)
		return
	}
	seed := seedOf(req)
	t := converse(req)
	t.attempt = func() int { return s.attempt(seed, r.Header) }
	t.pace = s.opts.Pace
	name, a := t.answer(s.opts.Scenario)

	s.opts.Log.Info().Str("model", req.Model).Str("scenario", string(name)).Bool("stream", req.Stream).
		Int("messages", len(req.Messages)).Int("tools", len(req.Tools)).Int("steps", len(t.steps)).Msg("message asked for")
	if a.hang {
		s.hang(w, r)
		return
	}
	if a.fault != nil {
		s.refuse(w, a.fault)
		return
	}
	m := compose(req, seed, a)
	s.mu.Lock()
	s.totals.Messages++
	s.totals.Usage.add(m.Usage)
	s.mu.Unlock()

	if req.Stream {
		s.stream(w, r, m, a)
		return
	}
	body := encode(m)
	switch a.ending {
	case overloads:
		s.refuse(w, overloaded())
	case drops:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		s.send(w, http.StatusOK, body[:len(body)/2])
		if err := http.NewResponseController(w).Flush(); err != nil {
			s.opts.Log.Debug().Err(err).Msg("the client went before half of its answer was written")
		}
		panic(http.ErrAbortHandler) // how a handler drops its connection
	default:
		s.send(w, http.StatusOK, body)
	}
}

// hang holds the request until the client goes, the server is closed or the service's own limit has passed.
func (s *Server) hang(w http.ResponseWriter, r *http.Request) {
	timer := time.NewTimer(hangsFor)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
	case <-s.closed:
		panic(http.ErrAbortHandler)
	case <-timer.C:
		s.refuse(w, &fault{http.StatusGatewayTimeout, "timeout_error", "Request timed out"})
	}
}

// countTokens answers POST /v1/messages/count_tokens.
func (s *Server) countTokens(w http.ResponseWriter, r *http.Request) {
	req, f := s.read(w, r)
	if f == nil {
		f = s.check(req, true)
	}
	if f != nil {
		s.refuse(w, f)
		return
	}
	u := measure(req)
	s.send(w, http.StatusOK, encode(map[string]int{"input_tokens": u.Input + u.CacheCreation + u.CacheRead}))
}

type modelInfo struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Name    string `json:"display_name"`
	Created string `json:"created_at"`
}

func describe(id string) modelInfo {
	return modelInfo{Type: "model", ID: id, Name: "Scripted " + id, Created: "2026-01-01T00:00:00Z"}
}

func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) {
	list := struct {
		Data    []modelInfo `json:"data"`
		HasMore bool        `json:"has_more"`
		First   *string     `json:"first_id"`
		Last    *string     `json:"last_id"`
	}{Data: []modelInfo{}}
	for i, id := range s.opts.Models {
		list.Data = append(list.Data, describe(id))
		if i == 0 {
			list.First = &list.Data[0].ID
		}
		list.Last = &s.opts.Models[i]
	}
	s.send(w, http.StatusOK, encode(list))
}

func (s *Server) oneModel(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	for _, known := range s.opts.Models {
		if id == known {
			s.send(w, http.StatusOK, encode(describe(id)))
			return
		}
	}
	s.refuse(w, notFound("model: "+id))
}
