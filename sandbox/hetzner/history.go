package hetzner

import (
	"maps"
	"slices"
	"time"
)

// Call is a call of the API that was made.
type Call struct {
	At      time.Time `json:"at"`
	Project string    `json:"project"` // empty: its token is unknown
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Status  int       `json:"status"` // what was done came to; a fault may have let nobody hear it
	Code    string    `json:"code,omitempty"`
	Fault   FaultKind `json:"fault,omitempty"`
}

// ServerRecord is a server that is, or was.
type ServerRecord struct {
	ID        int64             `json:"id"`
	Project   string            `json:"project"`
	Name      string            `json:"name"`
	Type      string            `json:"type"`
	Location  string            `json:"location"`
	IPv4      string            `json:"ipv4"`
	Labels    map[string]string `json:"labels"`
	Status    string            `json:"status"`
	CreatedAt time.Time         `json:"created_at"`
	DeletedAt *time.Time        `json:"deleted_at"`
	// Machine says what became of what the server boots: none, booting, up, down,
	// gone, or why it could not boot.
	Machine string `json:"machine"`
}

// History is everything that ever happened, for checkers.
type History struct {
	Servers []ServerRecord `json:"servers"`
	Calls   []Call         `json:"calls"`
}

// remember keeps a server that is gone. With mu held.
func (s *Server) remember(sv *server, at time.Time) {
	record := sv.record()
	at = at.UTC()
	record.Status, record.DeletedAt = "deleted", &at
	s.past = append(s.past, record)
}

func (sv *server) record() ServerRecord {
	record := ServerRecord{
		ID: sv.id, Project: sv.project.name, Name: sv.name, Type: sv.typ.Name, Location: sv.location.Name, Labels: maps.Clone(sv.labels),
		Status: sv.status, CreatedAt: sv.created.UTC(), Machine: sv.tender.state(),
	}
	if sv.ipv4 != nil {
		record.IPv4 = sv.ipv4.ip
	}
	return record
}

// History tells of all servers, oldest first, and of all calls.
func (s *Server) History() History {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	out := History{Servers: slices.Concat([]ServerRecord{}, s.past), Calls: slices.Concat([]Call{}, s.calls)}
	for _, p := range s.projects {
		for _, sv := range p.servers {
			out.Servers = append(out.Servers, sv.record())
		}
	}
	slices.SortFunc(out.Servers, func(a, b ServerRecord) int { return int(a.ID - b.ID) })
	return out
}
