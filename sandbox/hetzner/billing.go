package hetzner

import "time"

// bill is what one thing costs. Powered off costs the same.
type bill struct {
	line  Line
	price Price
}

// Line is one thing on the bill.
type Line struct {
	Project  string `json:"project"`
	Resource string `json:"resource"` // server, primary_ip or volume
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Location string `json:"location"`
	// Labels that it was made with.
	Labels  map[string]string `json:"labels"`
	Created time.Time         `json:"created"`
	// Deleted is nil while it is there, and costs.
	Deleted *time.Time `json:"deleted"`
	// Hours that have begun since Created.
	Hours int64 `json:"hours"`
	// Hourly is its price, Net what it has come to: hours times price, in each
	// calendar month (UTC) no more than the monthly price.
	Hourly Money `json:"hourly"`
	Net    Money `json:"net"`
}

// Billing is what everything costs, up to now.
type Billing struct {
	At    time.Time `json:"at"`
	Lines []Line    `json:"lines"`
	Net   Money     `json:"net"`
}

// charge opens a bill. With mu held.
func (s *Server) charge(p *project, resource string, id int64, name, kind, location string, labels map[string]string, price Price) *bill {
	b := &bill{price: price, line: Line{
		Project: p.name, Resource: resource, ID: id, Name: name, Type: kind, Location: location, Labels: labels,
		Created: s.now().UTC(), Hourly: price.Hourly,
	}}
	s.bills = append(s.bills, b)
	return b
}

func (b *bill) end(at time.Time) {
	at = at.UTC()
	b.line.Deleted = &at
}

// Billing adds up what every server, address and volume has cost, those included
// that are gone.
func (s *Server) Billing() Billing {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	out := Billing{At: s.now().UTC(), Lines: []Line{}}
	for _, b := range s.bills {
		line, until := b.line, out.At
		if line.Deleted != nil {
			until = *line.Deleted
		}
		line.Hours, line.Net = owed(line.Created, until, b.price)
		out.Lines = append(out.Lines, line)
		out.Net += line.Net
	}
	return out
}

// owed counts the hours that began from one time to another, and what they cost.
// An hour belongs to the calendar month in which it began.
func owed(from, to time.Time, price Price) (hours int64, net Money) {
	for from = from.UTC(); hours == 0 || from.Before(to); {
		turn := time.Date(from.Year(), from.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		until := turn
		if to.Before(turn) {
			until = to
		}
		begun := max(1, int64((until.Sub(from)+time.Hour-1)/time.Hour))
		hours += begun
		net += min(Money(begun)*price.Hourly, price.Monthly)
		from = from.Add(time.Duration(begun) * time.Hour)
	}
	return hours, net
}
