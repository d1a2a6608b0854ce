package agent

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestALibraryThatARepositoryPreloadsIsLoadedByItsProgramsAndNotByTheShim(t *testing.T) {
	t.Parallel()
	e := docker(t)
	const library = "libutil.so.1"
	preload := []string{"LD_PRELOAD=" + library, "LD_LIBRARY_PATH=/workspace"}
	w := e.workspaceOf(t, false, &environment{
		image: DefaultImage, owner: boxOwner{uid: boxUser(), gid: boxUser()}, folder: boxTree, dir: boxTree, fixed: preload,
	})
	out, err := output(t.Context(), w, "sh", "-c", "cat /proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, library) {
		t.Errorf("a program does not load it, so nothing is shown:\n%s", out)
	}
	if os.Getuid() != 0 {
		t.Skip("SKIPPED, NOT TESTED: what the shim has loaded can be looked at by root alone")
	}
	c, err := e.client.ContainerInspect(t.Context(), w.id)
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", c.State.Pid))
	if err != nil || len(maps) == 0 {
		t.Fatalf("the shim's memory is %q, %v", maps, err)
	}
	if strings.Contains(string(maps), ".so") {
		t.Errorf("the shim has loaded libraries:\n%s", maps)
	}
}

func TestNoContainerIsMadeWithASamThatWouldLoadARepositorysLibraries(t *testing.T) {
	t.Parallel()
	e := docker(t)
	for path, loading := range map[string]bool{e.sam: false, "/bin/sh": true, "/no/such/program": false} {
		one := &engine{client: e.client, sam: path}
		log := zerolog.Nop()
		one.checkShim(&log)
		if one.loading != loading {
			t.Errorf("%s: %v", path, one.loading)
			continue
		}
		if !loading {
			continue
		}
		if _, err := one.create(t.Context(), box{thread: "7-12"}); !errors.Is(err, errNotStatic) {
			t.Errorf("with %s: %v", path, err)
		}
	}
}
