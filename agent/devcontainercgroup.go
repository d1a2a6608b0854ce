package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/system"
	"github.com/rs/zerolog"
)

// cgroups is where builds can be limited as an engine's own options cannot: it takes no limit of a build's processes.
// The zero value limits nothing.
type cgroups struct {
	pids string   // folder of the controller that counts processes
	all  []string // folders of all controllers, in which the engine makes groups of the same name
}

const cgroupRoot = "/sys/fs/cgroup"

// cgroupsOf finds the groups of an engine of this machine that keeps them itself, where this process may make some. systemd
// keeps its own account of groups, and is not interfered with.
func cgroupsOf(info system.Info) cgroups {
	if info.CgroupDriver != "cgroupfs" || os.Getuid() != 0 {
		return cgroups{}
	}
	if info.CgroupVersion == "2" {
		return cgroups{cgroupRoot, []string{cgroupRoot}}
	}
	all, err := filepath.Glob(cgroupRoot + "/*")
	if err != nil {
		return cgroups{}
	}
	return cgroups{cgroupRoot + "/pids", all}
}

// buildGroup makes a group for a build, in which at most as many processes run as in a workspace. Where it cannot, the
// name is empty, and memory alone limits the build.
func (e *engine) buildGroup(ctx context.Context, thread string) (name string, done func()) {
	if e.groups.pids == "" {
		return "", func() {}
	}
	name = "sam-build-" + shortName(e.folder) + "-" + thread
	path := filepath.Join(e.groups.pids, name)
	done = func() {
		for range 50 { // a program of a build that was ended may still be going
			var left error
			for _, controller := range e.groups.all { // an engine makes it in some of them
				if err := os.Remove(filepath.Join(controller, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
					left = err
				}
			}
			if left == nil || after(context.WithoutCancel(ctx), 100*time.Millisecond) != nil {
				return
			}
		}
	}
	err := os.Mkdir(path, 0o755) //nolint:gosec // groups are for all to see
	if err == nil || errors.Is(err, os.ErrExist) {
		err = os.WriteFile(filepath.Join(path, "pids.max"), []byte(strconv.FormatInt(e.processes, 10)), 0o644) //nolint:gosec // likewise
	}
	if err != nil {
		done()
		zerolog.Ctx(ctx).Warn().Err(fmt.Errorf("make a control group: %w", err)).Msg("the processes of a build are limited by its memory alone")
		return "", func() {}
	}
	return "/" + name, done
}
