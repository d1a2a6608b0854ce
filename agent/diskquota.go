package agent

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// Project quotas of XFS: a file belongs to a project, which is a number; a folder can hand its project on to what is made in
// it; and the kernel lets no project take more than its limit, whoever writes. See xfs_quota(8), ioctl_xfs_fsgetxattr(2) and
// quotactl(2), whose words these are. The standard library has neither the calls nor the structures.

const (
	xfsMagic = 0x58465342 // of statfs(2)

	sysQuotactlFd = 443 // quotactl_fd(2), the same on every architecture; since Linux 5.14

	projectQuota = 2      // PRJQUOTA
	setLimits    = 0x5804 // Q_XSETQLIM
	getQuota     = 0x5803 // Q_XGETQUOTA
	getState     = 0x5808 // Q_XGETQSTATV

	projectsCounted  = 1 << 4 // FS_QUOTA_PDQ_ACCT
	projectsEnforced = 1 << 5 // FS_QUOTA_PDQ_ENFD

	getAttributes  = 0x801c581f // FS_IOC_FSGETXATTR
	setAttributes  = 0x401c5820 // FS_IOC_FSSETXATTR
	inheritProject = 0x200      // FS_XFLAG_PROJINHERIT

	quotaBlock = 512 // bytes: the unit of a quota's blocks
)

// diskQuota is struct fs_disk_quota of linux/dqblk_xfs.h.
type diskQuota struct {
	version, flags                         int8
	fields                                 uint16 // that are to be set
	id                                     uint32
	blocksHard, blocksSoft                 uint64
	filesHard, filesSoft                   uint64
	blocks, files                          uint64
	filesTimer, blocksTimer                int32
	filesWarned, blocksWarned              uint16
	filesTimerHigh, blocksTimerHigh        int8
	realtimeTimerHigh, _                   int8
	realtimeHard, realtimeSoft, realtimeIn uint64
	realtimeTimer                          int32
	realtimeWarned                         uint16
	_                                      int16
	_                                      [8]byte
}

// The fields of a quota that are set: FS_DQ_ISOFT, IHARD, BSOFT and BHARD.
const quotaLimits = 1<<0 | 1<<1 | 1<<2 | 1<<3

// quotaState is struct fs_quota_statv, as far as it is looked at.
type quotaState struct {
	version int8
	_       uint8
	flags   uint16
	_       [156]byte
}

// fileAttributes is struct fsxattr of linux/fs.h.
type fileAttributes struct {
	flags, extent, extents, project, copyExtent uint32
	_                                           [8]byte
}

func quotactl(folder *os.File, command uintptr, project uint32, to unsafe.Pointer) error {
	_, _, errno := syscall.Syscall6(sysQuotactlFd, folder.Fd(), command<<8|projectQuota, uintptr(project), uintptr(to), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// quotaEnforced finds out whether the kernel keeps projects to their limits on a folder's file system, and this process may
// set them. The error says why not, in words for the operator.
func quotaEnforced(folder *os.File) error {
	var fs syscall.Statfs_t
	if err := syscall.Fstatfs(int(folder.Fd()), &fs); err != nil {
		return fmt.Errorf("look at the file system: %w", err)
	}
	if fs.Type != xfsMagic {
		return errors.New("the file system is not XFS")
	}
	// The kernel's own word: mount options have several names, and say nothing of what was turned off since.
	state := quotaState{version: 1}
	const both = projectsCounted | projectsEnforced
	switch err := quotactl(folder, getState, 0, unsafe.Pointer(&state)); { //nolint:gosec // as the kernel wants it
	case errors.Is(err, syscall.ENOSYS) || err == nil && state.flags&both != both:
		return errors.New("the file system is XFS, but no quotas of projects are enforced on it: mount it with the option prjquota, on Linux 5.14 or newer")
	case err != nil:
		return fmt.Errorf("ask the kernel for the state of quotas: %w", err)
	}
	if _, err := quotaOf(folder, 0); errors.Is(err, syscall.EPERM) {
		return errors.New("sam node is not root, and only root may set quotas")
	} else if err != nil {
		return err
	}
	return nil
}

// quotaUse is what a project takes, and its limits; 0 for one without.
type quotaUse struct{ bytes, files, maxBytes, maxFiles int64 }

func (u quotaUse) empty() bool { return u == quotaUse{} }

// quotaOf is what a project takes of a folder's file system.
func quotaOf(folder *os.File, project uint32) (quotaUse, error) {
	var q diskQuota
	err := quotactl(folder, getQuota, project, unsafe.Pointer(&q)) //nolint:gosec // as the kernel wants it
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ESRCH) {
		return quotaUse{}, nil // it was never heard of
	}
	if err != nil {
		return quotaUse{}, fmt.Errorf("ask for the quota of project %d: %w", project, err)
	}
	return quotaUse{
		bytes: int64(q.blocks) * quotaBlock, files: int64(q.files), //nolint:gosec // no disk is so large
		maxBytes: int64(q.blocksHard) * quotaBlock, maxFiles: int64(q.filesHard), //nolint:gosec // likewise
	}, nil
}

// limitProject lets a project take so many bytes and files of a folder's file system; 0 is without limit. Who would take more
// gets ENOSPC.
func limitProject(folder *os.File, project uint32, bytes, files int64) error {
	q := diskQuota{
		version: 1, flags: projectQuota, fields: quotaLimits, id: project,
		blocksHard: uint64(bytes) / quotaBlock, filesHard: uint64(files), //nolint:gosec // not negative
	}
	q.blocksSoft, q.filesSoft = q.blocksHard, q.filesHard
	if err := quotactl(folder, setLimits, project, unsafe.Pointer(&q)); err != nil { //nolint:gosec // as the kernel wants it
		return fmt.Errorf("set the quota of project %d: %w", project, err)
	}
	return nil
}

// projectOf is the project of a file or folder that is open.
func projectOf(file *os.File) (uint32, error) {
	a, err := attributesOf(file)
	return a.project, err
}

func attributesOf(file *os.File) (a fileAttributes, err error) {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), getAttributes, uintptr(unsafe.Pointer(&a))); errno != 0 { //nolint:gosec // as the kernel wants it
		return a, fmt.Errorf("look at the project of %s: %w", file.Name(), errno)
	}
	return a, nil
}

// setProject gives a file or folder to a project. What is made in the folder from then on is the project's, too.
func setProject(file *os.File, project uint32, folder bool) error {
	a, err := attributesOf(file)
	if err != nil {
		return err
	}
	a.project = project
	if folder {
		a.flags |= inheritProject
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), setAttributes, uintptr(unsafe.Pointer(&a))); errno != 0 { //nolint:gosec // as the kernel wants it
		return fmt.Errorf("give %s to project %d: %w", file.Name(), project, errno)
	}
	return nil
}
