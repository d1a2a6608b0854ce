package forge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-github/v62/github"

	"sam/task"
)

// The delivery log is read from its newest entry back, a page of 100 after the other, logPages at one go. Entries may
// come into it a little out of their order, so logOverlap is read again.
const (
	logPages   = 20
	logOverlap = 2 * time.Minute
)

// DeliveryLog reads what GitHub has delivered to the App since a cursor, and returns the cursor to go on from: to be kept
// when everything has been dealt with, for what was missed and is not sent again is not listed again either. When the
// cursor has a Page there is more at once. Attempts under one GUID are one delivery, unless they fall into different goes.
func (f *Forge) DeliveryLog(ctx context.Context, since task.LogCursor) ([]task.Logged, task.LogCursor, error) {
	next := since
	if next.Newest.Before(next.Since) {
		next.Newest = next.Since
	}
	index := map[string]int{}
	var log []task.Logged
	for range logPages {
		page, response, err := f.app.Apps.ListHookDeliveries(ctx, &github.ListCursorOptions{PerPage: 100, Cursor: next.Page})
		if err != nil {
			return nil, since, fmt.Errorf("read the App's delivery log: %w", err)
		}
		reached := false
		for _, d := range page {
			at := d.GetDeliveredAt().Time
			if at.After(next.Newest) {
				next.Newest = at
			}
			if reached = at.Before(since.Since.Add(-logOverlap)); reached {
				break
			}
			i, known := index[d.GetGUID()]
			if !known {
				i = len(log)
				index[d.GetGUID()] = i
				log = append(log, task.Logged{
					Missed: task.Missed{ID: d.GetID(), GUID: d.GetGUID()}, Event: d.GetEvent(), Action: d.GetAction(),
					Installation: d.GetInstallationID(), Repository: d.GetRepositoryID(), At: at,
				})
			}
			log[i].Attempts++
			log[i].Delivered = log[i].Delivered || d.GetStatusCode() >= 200 && d.GetStatusCode() < 300
		}
		if next.Page = response.Cursor; reached || next.Page == "" {
			return log, task.LogCursor{Since: next.Newest}, nil
		}
	}
	return log, next, nil
}

// MissedDeliveries is DeliveryLog without what SAM has taken.
func (f *Forge) MissedDeliveries(ctx context.Context, since task.LogCursor) ([]task.Missed, task.LogCursor, error) {
	log, next, err := f.DeliveryLog(ctx, since)
	var missed []task.Missed
	for _, d := range log {
		if !d.Delivered {
			missed = append(missed, d.Missed)
		}
	}
	return missed, next, err
}

// Redeliver asks GitHub to send a delivery again, under its GUID. It comes a little later, as any delivery.
// task.ErrNotFound when GitHub has forgotten it.
func (f *Forge) Redeliver(ctx context.Context, id int64) error {
	_, _, err := f.app.Apps.RedeliverHookDelivery(ctx, id)
	var accepted *github.AcceptedError // go-github's word for 202
	switch meaning, _ := judge(err); {
	case err == nil || errors.As(err, &accepted):
		return nil
	case meaning == missing:
		return fmt.Errorf("send delivery %d again: %w", id, task.ErrNotFound)
	default:
		return fmt.Errorf("send delivery %d again: %w", id, err)
	}
}
