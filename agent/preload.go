package agent

import (
	"debug/elf"
	"slices"

	"github.com/rs/zerolog"
)

// A repository says what its programs load before all else: LD_PRELOAD, LD_LIBRARY_PATH and LD_AUDIT in its environment or its
// image's, and /etc/ld.so.preload in the image. That is its own affair, for whatever loads it is the repository's anyway, and
// may be told any lie by it: the agent's words, and git's in the workspace, are not believed (docs/workspaces.md). It would be
// another thing if the shim loaded it, which is the container's first process and has that environment: the shim keeps the quota
// of the disk, and holds what programs are started with. A static program loads nothing, whatever its environment says.

// loads reports whether a program has the kernel start a loader for it: then it is not static. What cannot be read as a program
// does not; that it does not run is told when it is started.
func loads(path string) bool {
	program, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer program.Close()
	return slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// errNotStatic is why no container is made with a sam that loads what a repository says.
const errNotStatic = gaveUpError("The sam on this node is not a static program, so that a repository could have it load a library of its own before it limits anything. " +
	"Whoever runs the node builds it with CGO_ENABLED=0, as `make build` does, or installs a release.")

// checkShim looks at the program that is to be the first process of containers. The node starts all the same, for it may have work
// that needs none; each workspace says what is wrong.
func (e *engine) checkShim(log *zerolog.Logger) {
	if e.loading = loads(e.sam); e.loading {
		log.Warn().Str("sam", e.sam).Msg("no container is made, for sam is not a static program: build it with CGO_ENABLED=0")
	}
}
