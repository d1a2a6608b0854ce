package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"sam/task"
)

// secretKept is how long a value that was replaced or removed is kept, sealed, for what still prints it to be redacted. It is
// longer than an attempt and a wait for an answer take.
const secretKept = 30 * 24 * time.Hour

// secretRecord is a sealed secret as Redis has it.
type secretRecord struct {
	Account int64     `json:"account"`
	Set     time.Time `json:"set"`
	Sealed  []byte    `json:"sealed"`
}

// Secrets lists a project's sealed secrets by name, and behind each those that it replaced lately.
func (s *Store) Secrets(ctx context.Context, project int64) ([]task.SealedSecret, error) {
	fields, err := s.rdb.HGetAll(ctx, s.partitions.project(project).secrets(project)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the secrets of project %d: %w", project, err)
	}
	list := make([]task.SealedSecret, 0, len(fields))
	for field, text := range fields {
		one, err := decodeSecret(project, field, text)
		if err != nil {
			return nil, fmt.Errorf("decode secret %s of project %d: %w", field, project, err)
		}
		list = append(list, one)
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if a.Name != b.Name {
			return a.Name < b.Name
		}
		return a.Replaced.IsZero() || !b.Replaced.IsZero() && a.Replaced.After(b.Replaced)
	})
	return list, nil
}

// PutSecret gives a project a secret, new or in the place of the one of its name. task.ErrTooManySecrets.
func (s *Store) PutSecret(ctx context.Context, one task.SealedSecret) error {
	wanted, err := encodeSecret(one)
	if err != nil {
		return err
	}
	for {
		is, err := s.secretText(ctx, one.Project, one.Name)
		if err != nil || is == wanted {
			return err
		}
		switch done, err := s.swapSecret(ctx, one.Project, one.Name, is, wanted, true); {
		case err != nil:
			return fmt.Errorf("set secret %s of project %d: %w", one.Name, one.Project, err)
		case done:
			return nil
		}
	}
}

// RemoveSecret takes a secret from a project. task.ErrNotFound when it has none of that name.
func (s *Store) RemoveSecret(ctx context.Context, project int64, name string) error {
	for first := true; ; first = false {
		is, err := s.secretText(ctx, project, name)
		switch {
		case err != nil:
			return err
		case is == "" && first:
			return fmt.Errorf("secret %s of project %d: %w", name, project, task.ErrNotFound)
		case is == "":
			return nil
		}
		switch done, err := s.swapSecret(ctx, project, name, is, "", true); {
		case err != nil:
			return fmt.Errorf("remove secret %s of project %d: %w", name, project, err)
		case done:
			return nil
		}
	}
}

// ResealSecret puts a secret that was sealed anew in the place of what it was. It returns false when that is not there any
// more: somebody else has changed it, and it is to be read again.
func (s *Store) ResealSecret(ctx context.Context, was, now task.SealedSecret) (bool, error) {
	field := was.Name
	if !was.Replaced.IsZero() {
		field += "@" + strconv.FormatInt(was.Replaced.UnixMilli(), 10)
	}
	before, err := encodeSecret(was)
	if err != nil {
		return false, err
	}
	after, err := encodeSecret(now)
	if err != nil {
		return false, err
	}
	done, err := s.swapSecret(ctx, was.Project, field, before, after, false)
	if err != nil {
		return false, fmt.Errorf("reseal secret %s of project %d: %w", field, was.Project, err)
	}
	if !done { // or the answer to the first try was lost
		is, err := s.secretText(ctx, was.Project, field)
		return is == after, err
	}
	return true, nil
}

// SealedProjects lists the projects that have secrets, of those too where SAM is not installed any more.
func (s *Store) SealedProjects(ctx context.Context) ([]int64, error) {
	members, err := s.members(ctx, partition.sealed)
	if err != nil {
		return nil, fmt.Errorf("list projects with secrets: %w", err)
	}
	projects := make([]int64, len(members))
	for i, m := range members {
		if projects[i], err = strconv.ParseInt(m, 10, 64); err != nil {
			return nil, fmt.Errorf("list projects with secrets: %q is no id: %w", m, err)
		}
	}
	return projects, nil
}

func (s *Store) secretText(ctx context.Context, project int64, field string) (string, error) {
	all, err := s.rdb.HMGet(ctx, s.partitions.project(project).secrets(project), field).Result()
	if err != nil {
		return "", fmt.Errorf("read secret %s of project %d: %w", field, project, err)
	}
	text, _ := all[0].(string)
	return text, nil
}

func (s *Store) swapSecret(ctx context.Context, project int64, field, is, wanted string, keep bool) (bool, error) {
	p := s.partitions.project(project)
	what, err := s.runKept(ctx, p, "secret", []string{p.secrets(project), p.sealed()},
		field, is, wanted, flag(keep), task.MaxSecrets, secretKept.Milliseconds(), project).Int()
	if err == nil && what < 0 {
		err = task.ErrTooManySecrets
	}
	return what == 1, err
}

func encodeSecret(one task.SealedSecret) (string, error) {
	text, err := json.Marshal(secretRecord{Account: one.Account, Set: one.Set.UTC(), Sealed: one.Sealed})
	if err != nil {
		return "", fmt.Errorf("encode secret %s of project %d: %w", one.Name, one.Project, err)
	}
	return string(text), nil
}

func decodeSecret(project int64, field, text string) (task.SealedSecret, error) {
	name, replaced, old := strings.Cut(field, "@")
	one := task.SealedSecret{Project: project, Name: name}
	if old {
		ms, err := strconv.ParseInt(replaced, 10, 64)
		if err != nil {
			return one, errors.New("its field is no name")
		}
		one.Replaced = time.UnixMilli(ms)
	}
	var r secretRecord
	strict := json.NewDecoder(bytes.NewReader([]byte(text)))
	strict.DisallowUnknownFields() // else resealing would lose what a newer release wrote
	if err := strict.Decode(&r); err != nil {
		return one, err
	}
	one.Account, one.Set, one.Sealed = r.Account, r.Set, r.Sealed
	return one, nil
}
