package agent

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types/system"

	"sam/agent/devcontainer"
)

func TestAWorkspaceIsMeasuredAtOnceWhenTheDiskHasLostWhatItMayStillTake(t *testing.T) {
	t.Parallel()
	var looked atomic.Int64
	left := []int64{1000, 999, 950, 941, 939} // bytes: 60 may still be taken
	d := &disk{workspaces: &workspaces{}, limit: 100, space: func() (int64, float64, error) {
		return left[min(looked.Add(1), int64(len(left)))-1], 1, nil
	}}
	if err := d.await(t.Context(), &watched{bytes: 40}, time.Millisecond, time.Hour); err != nil || looked.Load() != int64(len(left)) {
		t.Errorf("it is measured after %d looks, %v", looked.Load(), err)
	}
	looked.Store(0)
	left = []int64{1000}
	if err := d.await(t.Context(), &watched{bytes: 40}, time.Millisecond, 2*time.Millisecond); err != nil {
		t.Errorf("a quiet one is not measured: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := d.await(ended, &watched{}, time.Millisecond, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("it waits for what has ended: %v", err)
	}
}

func TestWhatTheEngineFillsItsDiskWithIsStoppedForRoom(t *testing.T) {
	t.Parallel()
	var free, images atomic.Int64
	free.Store(10 << 30)
	images.Store(10 << 30)
	d := &disk{
		workspaces: &workspaces{}, keep: 2 << 30,
		space:  func() (int64, float64, error) { return free.Load(), 1, nil },
		images: func() (int64, float64, error) { return images.Load(), 1, nil },
	}
	e := &engine{disk: d}
	for name, row := range map[string]struct {
		disk  *atomic.Int64
		words string
	}{
		"the node's":   {&free, "The node's disk is nearly full: it has 1024 MiB left, and 2048 MiB are to stay free"},
		"the engine's": {&images, "The disk of the node's container engine is nearly full: it has 1024 MiB left"},
	} {
		ctx, done := e.filling(t.Context())
		if d.fillers.Load() != 1 || ctx.Err() != nil {
			t.Fatalf("%s: while there is room it ends with %v", name, context.Cause(ctx))
		}
		row.disk.Store(1 << 30)
		<-ctx.Done()
		var lost lostError
		if err := context.Cause(ctx); !errors.As(err, &lost) || !strings.Contains(err.Error(), row.words) {
			t.Errorf("%s: it ends with %v", name, err)
		}
		done()
		row.disk.Store(10 << 30)
	}
	ctx, done := e.filling(t.Context())
	done()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) || d.fillers.Load() != 0 {
		t.Errorf("one that is over ended with %v", err)
	}
}

func TestABuildThatFillsTheDiskIsEndedAndToldAndTheWorkGoesOn(t *testing.T) {
	t.Parallel()
	e := docker(t)
	var free atomic.Int64
	free.Store(100 << 30)
	y := e.repository(t, map[string]string{
		".devcontainer/devcontainer.json": `{"build": {"dockerfile": "Dockerfile"}}`,
		".devcontainer/Dockerfile":        fromDefault + "RUN echo begun; exec sleep 100000\n",
	}, `echo works`, scarce(&free), func(n *Node) {
		n.disk.relieve = func(context.Context, func() bool) {}
		go func() { // ends with the test: its build is waited for
			for n.disk.fillers.Load() == 0 {
				if after(t.Context(), 10*time.Millisecond) != nil {
					return
				}
			}
			free.Store(1 << 30)
			for n.disk.fillers.Load() > 0 {
				if after(t.Context(), 10*time.Millisecond) != nil {
					return
				}
			}
			free.Store(100 << 30) // what was built is gone
		}()
	})
	f := y.work().done(t)
	if !f.noticed(devcontainer.Failed, "devcontainer.json", "1024 MiB left, and 2048 MiB are to stay free (`keep_free`") || f.said != "works\n" {
		t.Errorf("it was told %q, and said %q", f.notices(), f.said)
	}
}

func TestWhetherAnEngineHasQuotasIsSeenOnItsOwnDisk(t *testing.T) {
	t.Parallel()
	for words, info := range map[string]system.Info{
		"not on this machine":           {DockerRootDir: "/gone", Driver: "overlay2"},
		"only overlay2 has quotas":      {DockerRootDir: "/", Driver: "vfs"},
		"look at what the engine keeps": {DockerRootDir: "/", Driver: "overlay2"},
	} {
		if s := storeOf(info); s.quota == nil || !strings.Contains(s.quota.Error(), words) {
			t.Errorf("of %+v it says %v", info, s.quota)
		}
	}
}

func TestAContainerOfAnEngineWithQuotasHasOne(t *testing.T) {
	t.Parallel()
	e := &engine{}
	if _, host := e.allowed(box{}); host.StorageOpt != nil {
		t.Errorf("one that cannot have a quota is asked for with %v, which an engine refuses", host.StorageOpt)
	}
	e.layer = 20 << 20
	if _, host := e.allowed(box{}); host.StorageOpt["size"] != "20971520" {
		t.Errorf("it is asked for with %v", host.StorageOpt)
	}
}
