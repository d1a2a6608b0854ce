package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"sam/agent/shim"
)

// runFolder holds a workspace's sockets: shim is the container's to write, node the node's.
type runFolder string

func (f runFolder) shim() string { return filepath.Join(string(f), "shim") }
func (f runFolder) node() string { return filepath.Join(string(f), "node") }

// make makes it anew.
func (f runFolder) make() error {
	if err := removeAll(string(f)); err != nil {
		return fmt.Errorf("clear the workspace's sockets: %w", err)
	}
	if err := errors.Join(os.MkdirAll(f.shim(), 0o700), os.MkdirAll(f.node(), 0o755)); err != nil { //nolint:gosec // the container's user reads it; who else is there comes no further than the node's folder
		return fmt.Errorf("make the folder of the workspace's sockets: %w", err)
	}
	return give(f.shim())
}

// give makes a folder or file the container's user's. A node that is not root has the same user.
func give(path string) error {
	if os.Getuid() != 0 {
		return nil
	}
	if err := os.Lchown(path, boxUser(), boxUser()); err != nil {
		return fmt.Errorf("give the workspace its files: %w", err)
	}
	return nil
}

// shortName is a name of a fixed length for a longer one.
func shortName(long string) string {
	sum := sha256.Sum256([]byte(long))
	return hex.EncodeToString(sum[:4])
}

// open opens a folder, or a file in one, without following a link, to go on from there. A socket's address holds 108
// bytes; with what is opened here its path is short however long the folder's is.
func open(folder string, flags int) (fd int, path string, err error) {
	fd, err = syscall.Open(folder, flags|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return 0, "", fmt.Errorf("open %s: %w", folder, err)
	}
	return fd, "/proc/self/fd/" + strconv.Itoa(fd), nil
}

const onlyPath = 0x200000 // O_PATH of open(2)

// listen listens on the node's socket, for the container's user.
func (f runFolder) listen(ctx context.Context) (net.Listener, error) {
	path := filepath.Join(f.node(), shim.NodeSocket)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen for the workspace: %w", err)
	}
	fd, short, err := open(f.node(), syscall.O_DIRECTORY|onlyPath)
	if err != nil {
		return nil, fmt.Errorf("listen for the workspace: %w", err)
	}
	defer func() { _ = syscall.Close(fd) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", short+"/"+shim.NodeSocket)
	if err != nil {
		return nil, fmt.Errorf("listen for the workspace: %w", err)
	}
	if unix, ok := listener.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false) // the short path means nothing once fd is closed
	}
	if err := os.Chmod(path, 0o666); err != nil { //nolint:gosec // see make
		_ = listener.Close()
		return nil, fmt.Errorf("listen for the workspace: %w", err)
	}
	return listener, nil
}

// dial connects to the shim. The folder is the container's to write, so what is there may be a link to another program's
// socket: none is followed.
func (f runFolder) dial(ctx context.Context) (net.Conn, error) {
	fd, short, err := open(filepath.Join(f.shim(), shim.Socket), onlyPath)
	if err != nil {
		return nil, err
	}
	defer func() { _ = syscall.Close(fd) }()
	var what syscall.Stat_t
	if err := syscall.Fstat(fd, &what); err != nil {
		return nil, fmt.Errorf("look at the shim's socket: %w", err)
	}
	if what.Mode&syscall.S_IFMT != syscall.S_IFSOCK {
		return nil, errors.New("what is in the place of the shim's socket is none")
	}
	return (&net.Dialer{}).DialContext(ctx, "unix", short)
}
