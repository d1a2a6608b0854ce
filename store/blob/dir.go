package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// Dir keeps objects as files under one folder. Several replicas may share it when they see the same file system.
type Dir struct{ root *os.Root }

// OpenDir opens a folder, and makes it when it is not there. Close it.
func OpenDir(folder string) (*Dir, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for large objects: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("open the folder for large objects: %w", err)
	}
	return &Dir{root}, nil
}

// Close lets go of the folder.
func (d *Dir) Close() error { return d.root.Close() }

// Put implements Store: the file is on the disk, and so is its name, before it returns.
func (d *Dir) Put(_ context.Context, key string, data []byte) error {
	if err := check(key, len(data)); err != nil {
		return err
	}
	if err := d.root.MkdirAll(path.Dir(key), 0o700); err != nil {
		return fmt.Errorf("keep object %s: %w", key, err)
	}
	// A name that no key has, in the folder that the key is in: a rename within one folder is atomic.
	draft := path.Join(path.Dir(key), "DRAFT-"+rand.Text())
	if err := d.write(draft, data); err != nil {
		return errors.Join(fmt.Errorf("keep object %s: %w", key, err), d.root.RemoveAll(draft))
	}
	if err := d.root.Rename(draft, key); err != nil {
		return errors.Join(fmt.Errorf("keep object %s: %w", key, err), d.root.RemoveAll(draft))
	}
	// A folder that was made just now is an entry of its parent's, up to the root.
	for folder := path.Dir(key); ; folder = path.Dir(folder) {
		if err := d.sync(folder); err != nil {
			return fmt.Errorf("keep object %s: %w", key, err)
		}
		if folder == "." {
			return nil
		}
	}
}

func (d *Dir) write(name string, data []byte) error {
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *Dir) sync(folder string) error {
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Get implements Store.
func (d *Dir) Get(_ context.Context, key string) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	f, err := d.root.Open(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("object %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read object %s: %w", key, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxObject+1))
	if err = errors.Join(err, f.Close(), check(key, len(data))); err != nil {
		return nil, fmt.Errorf("read object %s: %w", key, err)
	}
	return data, nil
}

// Delete implements Store.
func (d *Dir) Delete(_ context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := d.root.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete object %s: %w", key, err)
	}
	return nil
}
