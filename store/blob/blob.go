// Package blob keeps what is too large for Redis: a directory on this machine, or a bucket of any S3. Objects are written
// once and whole; a key that is written again gets the same bytes from whoever repeats the step, so the last one wins.
package blob

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// MaxObject is the largest object, bytes: what a process is willing to hold in memory at once.
const MaxObject = 64 << 20

// ErrNotFound says that there is no object with that key.
var ErrNotFound = errors.New("no such object")

// Store keeps objects by key. It is safe for concurrent use, by any number of processes.
type Store interface {
	// Put writes an object; when it has returned nil the object is as durable as the place it is kept in.
	Put(ctx context.Context, key string, data []byte) error
	// Get reads an object whole; ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, key string) error
}

// keyForm keeps keys to what every file system and every S3 takes literally.
var keyForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}(/[a-z0-9][a-z0-9._-]{0,99}){0,7}$`)

// checkKey refuses a key that not every place takes literally.
func checkKey(key string) error {
	if !keyForm.MatchString(key) || strings.Contains(key, "..") {
		return fmt.Errorf("%q is not a key: up to eight parts of a-z, 0-9, dot, dash and underscore, with slashes between", key)
	}
	return nil
}

// check refuses a key or an object's size that not every place would keep: some take no empty objects.
func check(key string, size int) error {
	switch {
	case size < 1:
		return fmt.Errorf("object %s is empty", key)
	case size > MaxObject:
		return fmt.Errorf("object %s has %d bytes, at most %d are kept", key, size, MaxObject)
	}
	return checkKey(key)
}
