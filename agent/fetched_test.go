package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"

	"sam/agent/wire"
	"sam/task"
)

// imageRegistry is a registry of images on loopback, from which an engine fetches without TLS. Every image has one file of its own,
// so that no two are the same, and none is one that the engine had before.
type imageRegistry struct {
	host  string
	blobs map[string][]byte // manifests too, by their digests
	tags  map[string]string // digest of a manifest, by repository:tag
}

func newImageRegistry(t *testing.T, names ...string) *imageRegistry {
	t.Helper()
	r := &imageRegistry{blobs: map[string][]byte{}, tags: map[string]string{}}
	for _, name := range names {
		r.add(t, name)
	}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

func (r *imageRegistry) add(t *testing.T, name string) {
	t.Helper()
	keep := func(data []byte) string {
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
		r.blobs[digest] = data
		return digest
	}
	encode := func(value any) []byte {
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var files bytes.Buffer
	archive := tar.NewWriter(&files)
	if err := errors.Join(archive.WriteHeader(&tar.Header{Name: rand.Text(), Mode: 0o644}), archive.Close()); err != nil {
		t.Fatal(err)
	}
	layer := keep(files.Bytes())
	config := encode(map[string]any{"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{}, "rootfs": map[string]any{"type": "layers", "diff_ids": []string{layer}}})
	part := func(kind string, data []byte) map[string]any {
		return map[string]any{"mediaType": "application/vnd.docker." + kind, "size": len(data), "digest": keep(data)}
	}
	r.tags[name] = keep(encode(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": part("container.image.v1+json", config), "layers": []any{part("image.rootfs.diff.tar", files.Bytes())},
	}))
}

const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

// ServeHTTP is what an engine asks of a registry: a manifest by tag or digest, and blobs.
func (r *imageRegistry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	kind, name := path.Base(path.Dir(q.URL.Path)), path.Base(q.URL.Path)
	if q.URL.Path == "/v2/" {
		return
	}
	digest := name
	if kind == "manifests" {
		w.Header().Set("Content-Type", manifestType)
		if !strings.HasPrefix(name, "sha256:") {
			digest = r.tags[path.Base(path.Dir(path.Dir(q.URL.Path)))+":"+name]
		}
	}
	data, ok := r.blobs[digest]
	if !ok {
		http.NotFound(w, q)
		return
	}
	w.Header().Set("Docker-Content-Digest", digest)
	http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(data))
}

// fetcher is a node that fetches images for a repository.
type fetcher struct {
	*environs
	t        *testing.T
	e        testEngine
	registry *imageRegistry
}

func (e testEngine) fetcher(t *testing.T, names ...string) *fetcher {
	t.Helper()
	r, dir := newImageRegistry(t, names...), nodeFolder(t)
	watch := startProgress(func(task.Event) error { return nil }, time.Now())
	t.Cleanup(watch.close)
	log, err := openEnvironmentLog(dir, "7-12", watch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.close)
	w := &workspaces{dir: t.TempDir(), engine: &engine{client: e.client, folder: dir, image: DefaultImage}}
	f := &fetcher{&environs{workspaces: w, start: wire.Start{Network: &wire.Network{Images: []string{r.host}}}, log: log}, t, e, r}
	t.Cleanup(func() {
		for _, name := range names {
			_, _ = e.client.ImageRemove(context.Background(), f.name(name), image.RemoveOptions{Force: true})
		}
	})
	return f
}

// name is an image's of the registry.
func (f *fetcher) name(short string) string { return f.registry.host + "/" + short }

// fetch has an image as a repository's environment has it.
func (f *fetcher) fetch(short string) builtImage {
	f.t.Helper()
	found, err := f.present(f.t.Context(), f.name(short))
	if err != nil {
		f.t.Fatal(err)
	}
	return found
}

// pulls has the operator, or another program, fetch one.
func (f *fetcher) pulls(short string) {
	f.t.Helper()
	said, err := f.e.client.ImagePull(f.t.Context(), f.name(short), image.PullOptions{})
	if err == nil {
		_, err = f.follow(said)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fetcher) tag(from, to string) {
	f.t.Helper()
	if err := f.e.client.ImageTag(f.t.Context(), from, to); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fetcher) untag(name string) {
	f.t.Helper()
	if _, err := f.e.client.ImageRemove(f.t.Context(), name, image.RemoveOptions{}); err != nil {
		f.t.Fatal(err)
	}
}

// contains makes a container of an image, that never runs.
func (f *fetcher) contains(name string) (id string, gone func()) {
	f.t.Helper()
	made, err := f.e.client.ContainerCreate(f.t.Context(), &container.Config{Image: name, Cmd: []string{"/never-run"}}, nil, nil, nil, "")
	if err != nil {
		f.t.Fatal(err)
	}
	gone = func() {
		_ = f.e.client.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{Force: true})
	}
	f.t.Cleanup(gone)
	return made.ID, gone
}

// left are those of the names that the engine has.
func (f *fetcher) left(all ...string) (found []string) {
	f.t.Helper()
	for _, short := range all {
		if _, err := f.engine.inspect(f.t.Context(), f.name(short)); err == nil {
			found = append(found, short)
		} else if !errdefs.IsNotFound(err) {
			f.t.Fatal(err)
		}
	}
	return found
}

// ago has an image count as used so long ago.
func (f *fetcher) ago(one builtImage, since time.Duration) {
	f.t.Helper()
	at := time.Now().Add(-since)
	if err := os.Chtimes(f.engine.fetchedPath(one.id), at, at); err != nil {
		f.t.Fatal(err)
	}
}

func TestFetchedImagesThatNobodyUsesGoTheOneUsedLongestAgoFirst(t *testing.T) {
	t.Parallel()
	names := []string{"first:1", "second:1", "third:1", "fresh:1"}
	f := docker(t).fetcher(t, names...)
	for i, short := range names[:3] {
		f.ago(f.fetch(short), time.Duration(10-i)*time.Hour)
	}
	f.fetch("fresh:1")
	since := time.Now().Add(-environmentLimit)
	f.spareFetched(t.Context(), since, never)
	if got := f.left(names...); len(got) != len(names) {
		t.Fatalf("where there is room, left are %v", got)
	}
	f.fetch("first:1") // which another attempt is about to use
	f.spareFetched(t.Context(), since, func() bool { return len(f.left(names...)) == len(names) })
	if got := f.left(names...); !slices.Equal(got, []string{"first:1", "third:1", "fresh:1"}) {
		t.Errorf("until there is room, left are %v", got)
	}
	f.spareFetched(t.Context(), since, always)
	if got := f.left(names...); !slices.Equal(got, []string{"first:1", "fresh:1"}) {
		t.Errorf("where there is never room, left are %v", got)
	}
	if f.fetch("second:1"); len(f.left("second:1")) == 0 { // as the next task does
		t.Error("what has gone cannot be fetched again")
	}
}

func TestOfAnOperatorsEngineOnlyWhatTheNodeHasFetchedGoesAndNothingThatSomebodyUses(t *testing.T) {
	t.Parallel()
	names := []string{"theirs:1", "again:1", "named:1", "worked:1", "below:1", "moved:1", "own:1"}
	f := docker(t).fetcher(t, names...)
	f.pulls("theirs:1")
	f.fetch("theirs:1")
	// What the operator has under another name is his when the node fetches it under its own.
	f.pulls("again:1")
	kept := "sam-test-kept-" + strings.ToLower(rand.Text()[:8])
	f.tag(f.name("again:1"), kept+":again")
	t.Cleanup(func() {
		for _, name := range []string{kept + ":again", kept + ":named", kept + ":above"} {
			_, _ = f.e.client.ImageRemove(context.Background(), name, image.RemoveOptions{Force: true})
		}
	})
	f.untag(f.name("again:1"))
	f.fetch("again:1")
	f.fetch("named:1") // which the operator gives a name of his own
	f.tag(f.name("named:1"), kept+":named")
	f.fetch("worked:1")
	_, ends := f.contains(f.name("worked:1"))
	f.fetch("below:1") // from which somebody has made another
	id, over := f.contains(f.name("below:1"))
	if _, err := f.e.client.ContainerCommit(t.Context(), id, container.CommitOptions{Reference: kept + ":above"}); err != nil {
		t.Fatal(err)
	}
	over()
	moved := f.fetch("moved:1") // whose name somebody gives to another image
	f.fetch("own:1")
	f.engine.image = f.name("own:1") // what workspaces are made from by default

	soon := time.Now().Add(time.Hour)
	f.tag(kept+":again", f.name("moved:1"))
	f.spareFetched(t.Context(), soon, always)
	if got := f.left(names...); !slices.Equal(got, names) {
		t.Errorf("left are %v of %v", got, names)
	}
	if _, err := f.engine.inspect(t.Context(), moved.id); !errdefs.IsNotFound(err) {
		t.Errorf("what the node has fetched under a name that another image has now is there: %v", err)
	}

	ends()
	f.untag(kept + ":named")
	f.untag(kept + ":above")
	f.spareFetched(t.Context(), soon, always)
	if got, want := f.left(names...), []string{"theirs:1", "again:1", "moved:1", "own:1"}; !slices.Equal(got, want) {
		t.Errorf("when nobody uses them any more, left are %v, not %v", got, want)
	}
	if noted, err := f.engine.fetchedByUse(); err != nil || len(noted) != 1 {
		t.Errorf("noted are %+v, %v", noted, err)
	}
}

func TestAFetchedImageThatIsRemovedByHandIsSomebodyElsesWhenItIsBack(t *testing.T) {
	t.Parallel()
	f := docker(t).fetcher(t, "image:1")
	f.fetch("image:1")
	f.untag(f.name("image:1"))
	if err := f.engine.sweepFetched(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.pulls("image:1")
	f.spareFetched(t.Context(), time.Now().Add(time.Hour), always)
	if len(f.left("image:1")) == 0 {
		t.Error("an image that the operator has fetched is gone")
	}
}

func TestFetchedImagesGoAfterWhatIsCheaperToGetAgain(t *testing.T) {
	t.Parallel()
	f := docker(t).fetcher(t, "image:1")
	f.ago(f.fetch("image:1"), time.Hour)
	m, _ := testRooms(t, t.TempDir())
	mirrored(t, m, 7, time.Hour)
	early := false
	n := &Node{workspaces: f.workspaces, mirrors: m, disk: &disk{
		keep: 2 << 30, images: func() (int64, float64, error) { return 0, 1, nil },
		space: func() (int64, float64, error) {
			early = early || len(m.held()) > 0 && len(f.left("image:1")) == 0
			return 0, 1, nil
		},
	}}
	n.spare(t.Context())
	if early || len(m.held()) > 0 || len(f.left("image:1")) > 0 {
		t.Errorf("the image went before the mirror: %v; left are %v and %v", early, m.held(), f.left("image:1"))
	}
}

func TestANoteOfAFetchedImageThatCannotBeReadRemovesNothing(t *testing.T) {
	t.Parallel()
	e := &engine{folder: t.TempDir()}
	if err := os.MkdirAll(e.fetchedFolder(), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		filepath.Base(e.fetchedPath("sha256:1")): `{"id": "sha256:2", "names": ["another:1"]}`, filepath.Base(e.fetchedPath("sha256:3")): `{"id":`, "x.json.new": `{}`,
	} {
		if err := os.WriteFile(filepath.Join(e.fetchedFolder(), name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if noted, err := e.fetchedByUse(); err != nil || len(noted) != 0 {
		t.Errorf("noted are %+v, %v", noted, err)
	}
}
