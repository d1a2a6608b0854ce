package devcontainer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Bounds of a build's context.
const (
	MaxContext = 1 << 30 // bytes
	maxEntries = 200_000 // files, folders and links
)

// DockerfileName is what the Dockerfile is called in what Pack writes, wherever it stands in the tree.
const DockerfileName = ".sam.Dockerfile"

// Plan is an image to be built.
type Plan struct {
	Dockerfile Dockerfile
	Target     string
	Args       map[string]string
	Whole      bool // the context is packed even if the Dockerfile itself copies nothing: a base image's ONBUILD may

	tree   *os.Root
	folder string
	extra  func(context.Context, *tar.Writer) error // packs what is of no tree; may be nil
}

// Plan checks a build of the tree and says how it is to be done. The error is an *UnusableError.
func (b Build) Plan(tree *os.Root) (Plan, error) {
	read, err := ReadDockerfile(tree, b)
	return Plan{Dockerfile: read, Target: b.Target, Args: b.Args, tree: tree, folder: b.Context}, err
}

// Key is of all that the image depends on but the images that it is made from: equal keys, equal builds.
func (p Plan) Key(ctx context.Context) (string, error) {
	sum := sha256.New()
	said, err := json.Marshal(struct {
		Target string
		Args   map[string]string
		Images []string
	}{p.Target, p.Args, p.Dockerfile.Images})
	if err != nil {
		return "", fmt.Errorf("name the environment's image: %w", err)
	}
	sum.Write(said)
	if err := p.Pack(ctx, sum); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]), nil
}

// Pack writes the context as a tar archive: the same bytes for the same files. .git is left out, and what .dockerignore
// says; links are packed as links. What is too large, or leads out of the tree, is an *UnusableError.
func (p Plan) Pack(ctx context.Context, w io.Writer) error {
	archive := tar.NewWriter(w)
	// The engine takes both names away again before anything can copy them, for this file says so.
	for _, file := range []struct{ name, text string }{
		{".dockerignore", DockerfileName + "\n.dockerignore\n"}, {DockerfileName, string(p.Dockerfile.Text)},
	} {
		if err := addText(archive, file.name, 0o644, file.text); err != nil {
			return err
		}
	}
	if p.tree != nil && (p.Dockerfile.Copies || p.Whole) {
		folder, err := p.tree.OpenRoot(p.folder)
		if err != nil {
			if escapes(err) {
				return outside("build.context", p.folder)
			}
			return failedWhole("build.context", "The context %s cannot be opened: %s. Mend the path.", keepShort(p.folder), plain(err))
		}
		defer folder.Close()
		leave, err := readIgnore(folder)
		if err != nil {
			return err
		}
		if err := addFolder(ctx, archive, folder, "", leave); err != nil {
			return err
		}
	}
	if p.extra != nil {
		if err := p.extra(ctx, archive); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("pack the build's context: %w", err)
	}
	return nil
}

func addText(archive *tar.Writer, name string, mode int64, text string) error {
	err := archive.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(text)), Typeflag: tar.TypeReg, Format: tar.FormatPAX})
	if err == nil {
		_, err = io.WriteString(archive, text)
	}
	if err != nil {
		return fmt.Errorf("pack the build's context: %w", err)
	}
	return nil
}

// addFolder packs a folder's content below a prefix.
func addFolder(ctx context.Context, archive *tar.Writer, folder *os.Root, prefix string, leave ignore) error {
	left, entries := int64(MaxContext), 0
	return fs.WalkDir(folder.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("pack the build's context: %w", err)
		case name == ".":
			return nil
		case name == ".git" || leave.ignored(name):
			if entry.IsDir() && (name == ".git" || !leave.again) {
				return fs.SkipDir
			}
			return nil
		case name == ".dockerignore" || name == DockerfileName:
			return nil // ours stand there
		}
		if entries++; entries > maxEntries {
			return failedWhole("build.context", "The build's context has more than %d files. Name what it does not need in .dockerignore, or choose a smaller context.", maxEntries)
		}
		size, err := addEntry(archive, folder, prefix, name, entry, left)
		left -= size
		return err
	})
}

func addEntry(archive *tar.Writer, folder *os.Root, prefix, name string, entry fs.DirEntry, left int64) (int64, error) {
	info, err := entry.Info()
	if err != nil {
		return 0, fmt.Errorf("pack the build's context: %w", err)
	}
	header := &tar.Header{Name: prefix + name, Mode: int64(info.Mode().Perm()), Format: tar.FormatPAX}
	switch {
	case info.IsDir():
		header.Typeflag, header.Name, header.Mode = tar.TypeDir, header.Name+"/", 0o755
	case info.Mode()&fs.ModeSymlink != 0:
		header.Typeflag, header.Mode = tar.TypeSymlink, 0o777
		if header.Linkname, err = folder.Readlink(name); err != nil {
			return 0, fmt.Errorf("pack the build's context: %w", err)
		}
	case info.Mode().IsRegular():
		return addFile(archive, folder, name, header, left)
	default:
		return 0, nil
	}
	if err := archive.WriteHeader(header); err != nil {
		return 0, fmt.Errorf("pack the build's context: %w", err)
	}
	return 0, nil
}

func addFile(archive *tar.Writer, folder *os.Root, name string, header *tar.Header, left int64) (int64, error) {
	file, err := folder.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return 0, fmt.Errorf("pack the build's context: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, fmt.Errorf("pack the build's context: %w", err)
	}
	if info.Size() > left {
		return 0, failedWhole("build.context", "The build's context has more than %d MiB. Name what it does not need in .dockerignore, or choose a smaller context.", MaxContext>>20)
	}
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	// What counts of a mode is whether it may be executed: the rest is the umask of whoever wrote the tree.
	header.Mode = 0o644
	if info.Mode().Perm()&0o100 != 0 {
		header.Mode = 0o755
	}
	if err := archive.WriteHeader(header); err != nil {
		return 0, fmt.Errorf("pack the build's context: %w", err)
	}
	if _, err := io.CopyN(archive, file, info.Size()); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("pack %s: %w", strings.ToValidUTF8(name, "?"), err)
	}
	return info.Size(), nil
}
