package agent

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rs/zerolog"
)

// claudeRelease is the Claude Code that the driver was written against: the native program, which needs no Node.
func claudeRelease() release {
	return release{
		what:      "Claude Code",
		pack:      "@anthropic-ai/claude-code-linux-x64",
		version:   "2.1.330",
		integrity: "9Gn+V7DtJ8M1nztP9CeDVl9g3RtrepI7rOFTyPRRnZe8D6zebIHKmC7OvBauucuAP0X0k85SDN/LPVZyjsGezQ==",
		folder:    "claude-code-2.1.330",
		program:   "claude",
		platform:  "linux/amd64",
	}
}

// release is a program that a node fetches once, in the version that is pinned here.
type release struct {
	what      string // for people
	pack      string // the npm package; it holds the program as package/<program>
	version   string
	integrity string // SHA-512 of the package as npm makes it, base64
	folder    string // within the node's folder of agents
	program   string
	platform  string // the one it is built for, GOOS/GOARCH
}

// Bounds of fetching a release: generous to a slow line, and to twice the size that today's program has.
const (
	fetchLimit = 20 * time.Minute
	maxProgram = 1 << 30 // bytes
)

// releases are what is installed in a node's folder of agents.
type releases struct {
	dir      string
	registry string // that is asked where there is no npm; empty: npm's own
	locks    locks
}

// ensure returns when the release is installed, which takes a fetch the first time. It cannot be where
// what comes is not what is pinned: then the error is a gaveUpError.
func (r *releases) ensure(ctx context.Context, one release) error {
	path := filepath.Join(r.dir, one.folder, one.program)
	unlock, err := r.locks.lock(ctx, one.folder)
	if err != nil {
		return err
	}
	defer unlock()
	if err := r.open(); err != nil {
		return fmt.Errorf("open the folder of agents to workspaces: %w", err)
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0:
		return nil
	case err == nil:
		return gaveUpError(fmt.Sprintf("%s on this node, %s, is not a program. Remove it, then ask again.", one.what, path))
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look for %s: %w", one.what, err)
	}
	if here := runtime.GOOS + "/" + runtime.GOARCH; here != one.platform {
		return gaveUpError(fmt.Sprintf("%s %s is fetched for %s only, and this node is %s. Put a build for it at %s.", one.what, one.version, one.platform, here, path))
	}
	began := time.Now()
	if err := r.fetch(ctx, one); err != nil {
		return fmt.Errorf("fetch %s %s: %w", one.what, one.version, err)
	}
	zerolog.Ctx(ctx).Info().Str("package", one.pack).Str("version", one.version).Dur("took", time.Since(began)).Msg("agent fetched")
	return nil
}

// open lets workspaces see the folder, as users of their own. One that is mounted read-only is left as it is when they do.
func (r *releases) open() error {
	if info, err := os.Stat(r.dir); err == nil && info.Mode().Perm() == 0o755 {
		return nil
	}
	return os.Chmod(r.dir, 0o755) //nolint:gosec // G302: programs without a secret
}

// FetchClaude puts Claude Code into a folder of agents that nodes may share, unless it is there.
func FetchClaude(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // programs without a secret, that the users of containers run
		return fmt.Errorf("make the folder of agents: %w", err)
	}
	return (&releases{dir: dir}).ensure(ctx, claudeRelease())
}

// fetch downloads the package, and installs its program.
func (r *releases) fetch(ctx context.Context, one release) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchLimit, errors.New("it took longer than "+fetchLimit.String()))
	defer cancel()
	home := filepath.Join(r.dir, one.folder)
	if err := os.MkdirAll(home, 0o755); err != nil { //nolint:gosec // G301: the workspaces' users read it
		return err
	}
	scratch := filepath.Join(home, ".fetch") // within the lock there is one; an interrupted fetch left its own
	if err := errors.Join(os.RemoveAll(scratch), os.Mkdir(scratch, 0o700)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()

	packed, err := r.download(ctx, one, scratch)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	return one.install(packed, home)
}

// download has npm do it where there is one, so that its registry and its credentials are those that the machine is set up
// for. A machine that SAM made has none: it asks npm's own registry.
func (r *releases) download(ctx context.Context, one release, to string) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		packed := filepath.Join(to, "package.tgz")
		if err := one.get(ctx, cmp.Or(r.registry, npmRegistry), packed); err != nil {
			return "", fmt.Errorf("%w; or put the program at %s", err, filepath.Join(r.dir, one.folder, one.program))
		}
		return packed, nil
	}
	words := &tail{max: 4 << 10}
	program, args := expendable(npm, []string{"npm", "pack", one.pack + "@" + one.version, "--pack-destination", to, "--ignore-scripts", "--silent"})
	cmd := exec.CommandContext(ctx, program)
	cmd.Args = args
	cmd.Dir = to
	cmd.Stdout, cmd.Stderr = words, words
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("npm pack: %w: %s", err, words.lastLines(5))
	}
	packed, err := filepath.Glob(filepath.Join(to, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return "", fmt.Errorf("npm pack left %d packages, not one", len(packed))
	}
	return packed[0], nil
}

// install checks a package and unpacks the program, and nothing else, into a folder. The program appears whole or not at all.
func (one release) install(packed, home string) error {
	file, err := os.Open(packed)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha512.New()
	if _, err := io.Copy(hash, file); err != nil {
		return fmt.Errorf("read the package: %w", err)
	}
	want, err := base64.StdEncoding.DecodeString(one.integrity)
	if err != nil {
		return fmt.Errorf("the pinned integrity: %w", err)
	}
	if subtle.ConstantTimeCompare(hash.Sum(nil), want) != 1 {
		return gaveUpError(fmt.Sprintf("What npm's registry brought as %s %s is not the release that SAM is pinned to: its SHA-512 is another. Nothing of it was used. Check npm's registry.",
			one.pack, one.version))
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the package: %w", err)
	}
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("read the package: %w", err)
	}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the package holds no %s", one.program)
		}
		if err != nil {
			return fmt.Errorf("read the package: %w", err)
		}
		if header.Name != "package/"+one.program || header.Typeflag != tar.TypeReg {
			continue
		}
		if header.Size > maxProgram {
			return fmt.Errorf("%s has %d bytes, at most %d are unpacked", one.program, header.Size, maxProgram)
		}
		return one.write(home, io.LimitReader(archive, maxProgram))
	}
}

func (one release) write(home string, program io.Reader) error {
	root, err := os.OpenRoot(home)
	if err != nil {
		return err
	}
	defer root.Close()
	part := ".fetch/" + one.program
	file, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, program)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("unpack %s: %w", one.program, err)
	}
	// umask may have taken what the workspaces' users need.
	return errors.Join(root.Chmod(part, 0o755), root.Rename(part, one.program))
}
