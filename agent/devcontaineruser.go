package agent

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/docker/docker/api/types/container"

	"sam/agent/devcontainer"
)

// boxOwner is a container's user, to whom its tree belongs.
type boxOwner struct {
	uid, gid int
	name     string // empty for the default one
	home     string // where the image has it; empty: the workspace's own
}

// account is a line of an image's /etc/passwd.
type account struct {
	name, home string
	uid, gid   int
}

// accounts are of images, by their IDs, which never change what they mean.
type accounts struct {
	mu    sync.Mutex
	known map[string][]account
}

const (
	maxAccounts   = 64 // images that are remembered
	maxPasswd     = 1 << 20
	highestUserID = 1<<31 - 2
)

// ownerIn finds out who the container's user is in an image. wanted is what the repository says, empty for what the image
// does. A root that nobody asked for by name is not taken: then the user is the default one.
func (e *engine) ownerIn(ctx context.Context, image builtImage, wanted string) (boxOwner, []devcontainer.Finding, error) {
	name := wanted
	if name == "" {
		name, _, _ = strings.Cut(image.user, ":")
	}
	all, err := e.accountsOf(ctx, image.id)
	if err != nil {
		return boxOwner{}, nil, err
	}
	fallback := boxOwner{uid: boxUser(), gid: boxUser()}
	for _, one := range all {
		if one.uid == fallback.uid {
			fallback.home = one.home
		}
	}
	if name == "" || wanted == "" && (name == "root" || name == "0") {
		return fallback, nil, nil
	}
	found, ok := accountOf(all, name)
	switch {
	case !ok:
		return fallback, []devcontainer.Finding{{Code: devcontainer.Ignored, Property: "remoteUser",
			Text: fmt.Sprintf("The image has no user %q, so the agent works as the number %d. Name a user that is in the image's /etc/passwd.", name, fallback.uid)}}, nil
	case os.Getuid() != 0 && found.uid != os.Getuid():
		return fallback, []devcontainer.Finding{{Code: devcontainer.Ignored, Property: "remoteUser",
			Text: fmt.Sprintf("The agent works as the number %d and not as %s: this node does not run as root, so it can give files to nobody else. Have the operator run sam node as root.", fallback.uid, name)}}, nil
	}
	return boxOwner{found.uid, found.gid, found.name, found.home}, nil, nil
}

func accountOf(all []account, name string) (account, bool) {
	number, err := strconv.Atoi(name)
	for _, one := range all {
		if one.name == name || err == nil && one.uid == number {
			return one, true
		}
	}
	return account{name: name, uid: number, gid: number}, err == nil && number >= 0 && number <= highestUserID
}

// accountsOf reads an image's /etc/passwd from a container that is never started.
func (e *engine) accountsOf(ctx context.Context, image string) ([]account, error) {
	e.accounts.mu.Lock()
	known, ok := e.accounts.known[image]
	e.accounts.mu.Unlock()
	if ok {
		return known, nil
	}
	made, err := e.client.ContainerCreate(ctx, &container.Config{
		Image: image, Entrypoint: []string{boxSam}, Cmd: []string{}, Labels: map[string]string{labelNode: e.node, labelFolder: e.folder, labelOwner: e.owner},
	}, &container.HostConfig{NetworkMode: "none"}, nil, nil, "")
	if err != nil {
		return nil, fmt.Errorf("look into the image: %w", err)
	}
	defer func() { _ = e.remove(context.WithoutCancel(ctx), made.ID) }()
	var found []account
	archive, _, err := e.client.CopyFromContainer(ctx, made.ID, "/etc/passwd")
	if err == nil {
		defer archive.Close()
		if found, err = readPasswd(archive); err != nil {
			return nil, fmt.Errorf("read the image's users: %w", err)
		}
	} // an image without the file has no users by name
	e.accounts.mu.Lock()
	defer e.accounts.mu.Unlock()
	if e.accounts.known == nil || len(e.accounts.known) >= maxAccounts {
		e.accounts.known = map[string][]account{}
	}
	e.accounts.known[image] = found
	return found, nil
}

// readPasswd reads the one file of an archive.
func readPasswd(from io.Reader) ([]account, error) {
	archive := tar.NewReader(from)
	if header, err := archive.Next(); err != nil || header.Typeflag != tar.TypeReg {
		return nil, errors.Join(err, nil)
	}
	var found []account
	lines := bufio.NewScanner(io.LimitReader(archive, maxPasswd))
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) < 7 {
			continue
		}
		uid, err := strconv.Atoi(fields[2])
		gid, wrong := strconv.Atoi(fields[3])
		if err != nil || wrong != nil || uid < 0 || gid < 0 || uid > highestUserID || gid > highestUserID || !strings.HasPrefix(fields[5], "/") {
			continue
		}
		found = append(found, account{fields[0], fields[5], uid, gid})
	}
	return found, lines.Err()
}

// giveTree gives a container's user all of a folder, in which nothing runs. No link is followed.
func giveTree(path string, to boxOwner) error {
	if os.Getuid() != 0 {
		return nil
	}
	folder, err := os.OpenRoot(path)
	if err != nil {
		return fmt.Errorf("give the workspace its files: %w", err)
	}
	defer folder.Close()
	err = fs.WalkDir(folder.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = giveFolder(folder, name, to)
		}
		return err
	})
	if err == nil {
		err = folder.Lchown(".", to.uid, to.gid)
	}
	if err != nil {
		return fmt.Errorf("give the workspace its files: %w", err)
	}
	return nil
}

// giveFolder gives away what is in a folder, but not what is below. Each file by its path from the top would be looked for
// through all folders on its way: of a tree with many that was most of the time.
func giveFolder(top *os.Root, name string, to boxOwner) error {
	folder, err := top.OpenRoot(name)
	if err != nil {
		return err
	}
	defer folder.Close()
	list, err := folder.Open(".")
	if err != nil {
		return err
	}
	defer list.Close()
	names, err := list.Readdirnames(-1)
	for _, each := range names {
		err = errors.Join(err, folder.Lchown(each, to.uid, to.gid))
	}
	return err
}

// giveHome gives a thread's home to a container's user, which is another one than before when the environment has changed.
func giveHome(path string, to boxOwner) error {
	if has, err := ownerOfFolder(path); err != nil || has.uid == to.uid && has.gid == to.gid {
		return err
	}
	return giveTree(path, to)
}
