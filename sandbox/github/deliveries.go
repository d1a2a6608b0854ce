package github

import (
	"context"
	"maps"
)

// Settle waits until every webhook so far has been sent, whatever came of it.
func (s *Server) Settle(ctx context.Context) error {
	s.mu.Lock()
	var couriers []*courier
	for _, a := range s.apps {
		couriers = append(couriers, a.courier)
	}
	s.mu.Unlock()
	for _, c := range couriers {
		if err := c.settled(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Deliveries returns the log of an app's webhooks, newest first; nil for an
// unknown app.
func (s *Server) Deliveries(appID int64) []Delivery {
	s.mu.Lock()
	a := s.apps[appID]
	s.mu.Unlock()
	if a == nil {
		return nil
	}
	var list []Delivery
	for _, d := range a.courier.entries() {
		list = append(list, Delivery{
			ID: d.id, GUID: d.guid, Event: d.event, Action: d.action, StatusCode: d.code, Status: d.status,
			Duration: d.duration, DeliveredAt: d.at, Redelivery: d.redelivery,
			RequestHeaders: maps.Clone(d.requestHeaders), Payload: d.payload,
			ResponseHeaders: maps.Clone(d.responseHeaders), ResponseBody: d.responseBody,
		})
	}
	return list
}

// Redeliver sends a delivery's payload once more, under its GUID and a new id. One
// that has left the log, by its age, is not found.
func (s *Server) Redeliver(appID, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[appID]
	if a == nil {
		return notFound()
	}
	d := a.courier.find(id)
	if d == nil {
		return notFound()
	}
	a.courier.post(parcel{
		guid: d.guid, event: d.event, action: d.action, installation: d.installation, repository: d.repository,
		payload: d.payload, redelivery: true, twinOf: d.twinOf,
	})
	return nil
}
