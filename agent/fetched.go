package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/image"
	"github.com/rs/zerolog"
)

// fetchedOnes are the images that this node has fetched for repositories: a file in its folder for each, whose time is that of
// the last use. An engine does not know who had an image fetched, and an operator's machine has images of others, so what is
// not noted here is never removed.
type fetchedOnes struct{ mu sync.Mutex }

// fetchedImage is one of them.
type fetchedImage struct {
	ID string `json:"id"`
	// Names are the references that came with fetching it, as the engine writes them: names with tags, and with digests.
	Names []string `json:"names"`

	used time.Time
}

func (e *engine) fetchedFolder() string { return filepath.Join(e.folder, "images") }

func (e *engine) fetchedPath(id string) string {
	return filepath.Join(e.fetchedFolder(), digest(id)+".json")
}

// references are the engine's images with their names, also those without any.
func (e *engine) references(ctx context.Context) (map[string][]string, error) {
	ctx, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	all, err := e.client.ImageList(ctx, image.ListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list the images on the node: %w", err)
	}
	found := make(map[string][]string, len(all))
	for _, one := range all {
		found[one.ID] = named(one.RepoTags, one.RepoDigests)
	}
	return found, nil
}

// named are an image's references, tags first. Older engines list one for what has none.
func named(tags, digests []string) []string {
	return slices.DeleteFunc(slices.Concat(tags, digests), func(name string) bool { return strings.Contains(name, "<none>") })
}

// use looks an image up that is about to be used, and notes that where the node has fetched it: it does not go within the time
// that making an environment of it may take.
func (e *engine) use(ctx context.Context, name string) (builtImage, error) {
	e.fetched.mu.Lock()
	defer e.fetched.mu.Unlock()
	found, err := e.inspect(ctx, name)
	if err == nil {
		now := time.Now()
		_ = os.Chtimes(e.fetchedPath(found.id), now, now) // mostly there is none: somebody else has put it there
	}
	return found, err
}

// keepTrack notes an image that was just fetched, unless it was on the node before under another name, and so is somebody else's.
// What cannot be noted stays on the node.
func (e *engine) keepTrack(ctx context.Context, id string, before map[string][]string) {
	err := e.track(ctx, id, before)
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Str("image", id).Msg("an image that was fetched is not noted, so it is not removed when the disk is nearly full")
	}
}

func (e *engine) track(ctx context.Context, id string, before map[string][]string) error {
	e.fetched.mu.Lock()
	defer e.fetched.mu.Unlock()
	var one fetchedImage
	if _, there := before[id]; there {
		noted, err := e.readFetched(e.fetchedPath(id))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		one = noted
	}
	now, err := e.references(ctx)
	if err != nil {
		return err
	}
	one.ID = id
	for _, name := range now[id] {
		if !slices.Contains(before[id], name) && !slices.Contains(one.Names, name) {
			one.Names = append(one.Names, name)
		}
	}
	data, err := json.Marshal(one)
	if err != nil {
		return err
	}
	path := e.fetchedPath(id)
	return errors.Join(os.MkdirAll(e.fetchedFolder(), 0o700), os.WriteFile(path+".new", data, 0o600), os.Rename(path+".new", path))
}

func (e *engine) readFetched(path string) (fetchedImage, error) {
	var one fetchedImage
	info, err := os.Stat(path)
	if err != nil {
		return one, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return one, err
	}
	one.used = info.ModTime()
	if err := json.Unmarshal(data, &one); err != nil || e.fetchedPath(one.ID) != path {
		return fetchedImage{}, fmt.Errorf("%s is not what was noted there", path)
	}
	return one, nil
}

// fetchedByUse lists what the node has fetched, the one that was used longest ago first.
func (e *engine) fetchedByUse() ([]fetchedImage, error) {
	files, err := os.ReadDir(e.fetchedFolder())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for what was fetched: %w", err)
	}
	var found []fetchedImage
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".json") {
			continue // it was never finished
		}
		if one, err := e.readFetched(filepath.Join(e.fetchedFolder(), file.Name())); err == nil {
			found = append(found, one)
		}
	}
	slices.SortStableFunc(found, func(a, b fetchedImage) int { return a.used.Compare(b.used) })
	return found, nil
}
