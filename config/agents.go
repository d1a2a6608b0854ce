package config

import (
	"fmt"
	"slices"
	"strings"
)

// KnownAgents are the agents that nodes have, by their names. A test of agent's holds them against its drivers.
func KnownAgents() []string { return []string{"claude", "demo"} }

func (s *Server) checkAgents() []Error {
	var wrong []Error
	choice := "one of " + strings.Join(KnownAgents(), ", ")
	no := func(key, name string) {
		wrong = append(wrong, Error{key, fmt.Sprintf("%q is no agent that nodes have: write %s", name, choice)})
	}
	switch {
	case s.Agent == "":
		wrong = append(wrong, Error{"agent", "is missing: write " + choice})
	case !slices.Contains(KnownAgents(), s.Agent):
		no("agent", s.Agent)
	}
	for _, name := range s.Agents {
		if !slices.Contains(KnownAgents(), name) {
			no("agents", name)
		}
	}
	return wrong
}
