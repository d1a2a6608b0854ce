package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"sam/store/blob"
	"sam/task"
)

// bodyKey names the object with the text of the issue that a task was asked for on.
func bodyKey(id task.ID) string { return fmt.Sprintf("bodies/%s.md", id) }

// putBody is a task's specification as its record holds it: a long text of its issue lies in the blob store, and its
// beginning in the record. A text that cannot be put aside stays in the record whole.
func (s *Store) putBody(ctx context.Context, spec task.Spec) ([]byte, error) {
	if s.options.Blobs != nil && len(spec.Body) > task.MaxHead {
		if err := s.options.Blobs.Put(ctx, bodyKey(spec.ID), []byte(spec.Body)); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Str("task", string(spec.ID)).Msg("a long text could not be put aside; it stays in Redis")
		} else {
			spec.Body, spec.BodyCut = beginning(spec.Body, task.MaxHead), true
		}
	}
	kept, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode task %s: %w", spec.ID, err)
	}
	return kept, nil
}

// WholeBody is the text of the issue that a task was asked for on, whole. When it is gone its beginning has to do.
func (s *Store) WholeBody(ctx context.Context, spec task.Spec) (string, error) {
	if !spec.BodyCut || s.options.Blobs == nil {
		return spec.Body, nil
	}
	whole, err := s.options.Blobs.Get(ctx, bodyKey(spec.ID))
	if errors.Is(err, blob.ErrNotFound) {
		zerolog.Ctx(ctx).Warn().Err(err).Str("task", string(spec.ID)).Msg("only the beginning of the issue's text is left")
		return spec.Body, nil
	}
	return string(whole), err
}

// beginning is at most the first n bytes of a text, up to the end of a character.
func beginning(text string, n int) string {
	for n = min(n, len(text)); n > 0 && n < len(text) && text[n]&0xc0 == 0x80; {
		n--
	}
	return text[:n]
}
