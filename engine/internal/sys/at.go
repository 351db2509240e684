package sys

import (
	"time"

	"golang.org/x/sys/unix"
)

// The calls of this file work below a folder's descriptor and never follow a
// link in the last part of a name. Where a name has several parts, open the
// folder with OpenBeneath first.

// Flags of open(2).
const (
	OPath     = unix.O_PATH
	ORdonly   = unix.O_RDONLY
	OWronly   = unix.O_WRONLY
	ORdwr     = unix.O_RDWR
	OCreat    = unix.O_CREAT
	OExcl     = unix.O_EXCL
	OTrunc    = unix.O_TRUNC
	ODir      = unix.O_DIRECTORY
	ONofollow = unix.O_NOFOLLOW
	ONonblock = unix.O_NONBLOCK
)

// File types in a Stat's mode.
const (
	SIfmt   = unix.S_IFMT
	SIfreg  = unix.S_IFREG
	SIfdir  = unix.S_IFDIR
	SIflnk  = unix.S_IFLNK
	SIfifo  = unix.S_IFIFO
	SIfsock = unix.S_IFSOCK
	SIfchr  = unix.S_IFCHR
	SIfblk  = unix.S_IFBLK
)

// OpenBeneath opens path below dirfd; no part of it may be a link (ELOOP), and
// it cannot leave dirfd (EXDEV) (openat2(2)). O_CLOEXEC is always set.
func OpenBeneath(dirfd int, path string, flags int, mode uint32) (int, error) {
	return openat2(dirfd, path, flags, mode, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
}

// OpenInRoot opens path as if dirfd were the root of the file system: absolute
// links and ".." stay below it, and links of /proc are refused (openat2(2)).
func OpenInRoot(dirfd int, path string, flags int, mode uint32) (int, error) {
	return openat2(dirfd, path, flags, mode, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
}

func openat2(dirfd int, path string, flags int, mode uint32, resolve uint64) (fd int, err error) {
	how := unix.OpenHow{Flags: uint64(flags) | unix.O_CLOEXEC, Resolve: resolve}
	if flags&unix.O_CREAT != 0 {
		how.Mode = uint64(mode)
	}
	for {
		fd, err = unix.Openat2(dirfd, path, &how)
		// EAGAIN: a rename went on somewhere while ".." was looked up.
		if err != EINTR && err != EAGAIN {
			return fd, err
		}
	}
}

// OpenAt opens one name below dirfd, not following a link at its end.
func OpenAt(dirfd int, name string, flags int, mode uint32) (fd int, err error) {
	err = Retry(func() error {
		fd, err = unix.Openat(dirfd, name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, mode)
		return err
	})
	return fd, err
}

// Close closes a descriptor; negative ones are ignored.
func Close(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

// Stat is what vsl needs to know of a file.
type Stat struct {
	Dev, Ino     uint64
	Mode         uint32 // type and permissions, as in st_mode
	Nlink        uint64
	UID, GID     uint32
	Rdev         uint64
	Size         int64
	Blocks       int64 // of 512 bytes
	Atime, Mtime time.Time
}

// StatAt is fstatat(2) without following a link; "" means dirfd itself.
func StatAt(dirfd int, name string) (Stat, error) {
	var s unix.Stat_t
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	if err := Retry(func() error { return unix.Fstatat(dirfd, name, &s, flags) }); err != nil {
		return Stat{}, err
	}
	return Stat{
		Dev: uint64(s.Dev), Ino: s.Ino, Mode: s.Mode, Nlink: uint64(s.Nlink), UID: s.Uid, GID: s.Gid,
		Rdev: uint64(s.Rdev), Size: s.Size, Blocks: s.Blocks,
		Atime: time.Unix(s.Atim.Unix()), Mtime: time.Unix(s.Mtim.Unix()),
	}, nil
}

// MkdirAt is mkdirat(2); the umask applies.
func MkdirAt(dirfd int, name string, mode uint32) error {
	return Retry(func() error { return unix.Mkdirat(dirfd, name, mode) })
}

// MknodAt is mknodat(2); the umask applies.
func MknodAt(dirfd int, name string, mode uint32, major, minor uint32) error {
	return Retry(func() error { return unix.Mknodat(dirfd, name, mode, int(unix.Mkdev(major, minor))) })
}

// SymlinkAt makes the link name, which points to target.
func SymlinkAt(target string, dirfd int, name string) error {
	return unix.Symlinkat(target, dirfd, name)
}

// ReadlinkAt is readlinkat(2).
func ReadlinkAt(dirfd int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dirfd, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// LinkAt gives the file oldName another name, not following links.
func LinkAt(oldDir int, oldName string, newDir int, newName string) error {
	return unix.Linkat(oldDir, oldName, newDir, newName, 0)
}

// UnlinkAt removes a name; dir says that it is a folder, which must be empty.
func UnlinkAt(dirfd int, name string, dir bool) error {
	flags := 0
	if dir {
		flags = unix.AT_REMOVEDIR
	}
	return Retry(func() error { return unix.Unlinkat(dirfd, name, flags) })
}

// RenameAt renames; noReplace makes an existing new name an error (EEXIST).
func RenameAt(oldDir int, oldName string, newDir int, newName string, noReplace bool) error {
	flags := uint(0)
	if noReplace {
		flags = unix.RENAME_NOREPLACE
	}
	return unix.Renameat2(oldDir, oldName, newDir, newName, flags)
}

// Exchange gives two names each other's files, in one step (rename(2)).
func Exchange(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
}

// ChownAt sets the owner of a name, of the link itself where it is one; "" is
// dirfd itself. It clears set-user-id bits, so set the mode after it.
func ChownAt(dirfd int, name string, uid, gid int) error {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	return unix.Fchownat(dirfd, name, uid, gid, flags)
}

// Chmod sets the permissions (07777) of an open file; fd may not be O_PATH.
func Chmod(fd int, mode uint32) error { return unix.Fchmod(fd, mode&0o7777) }

// ChmodAt sets the permissions of a name that the caller knows is no link, in a
// folder that nobody else can change meanwhile: fchmodat(2) follows links.
func ChmodAt(dirfd int, name string, mode uint32) error {
	return unix.Fchmodat(dirfd, name, mode&0o7777, 0)
}

// UtimesAt sets the times of a name, of the link itself where it is one; "" is
// dirfd itself.
func UtimesAt(dirfd int, name string, atime, mtime time.Time) error {
	a, err := unix.TimeToTimespec(atime)
	if err != nil {
		return err
	}
	m, err := unix.TimeToTimespec(mtime)
	if err != nil {
		return err
	}
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags = unix.AT_EMPTY_PATH
	}
	return unix.UtimesNanoAt(dirfd, name, []unix.Timespec{a, m}, flags)
}

// SyncFS writes everything of the file system that fd lies on to disk.
func SyncFS(fd int) error { return Retry(func() error { return unix.Syncfs(fd) }) }

// SetUmask sets the process's umask and gives the former one.
func SetUmask(mask int) int { return unix.Umask(mask) }

// ReadNames reads the next names in an open folder, without "." and ".."; an
// empty result is the end.
func ReadNames(fd int) ([]string, error) {
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err == EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return nil, err
		}
		if _, _, names := unix.ParseDirent(buf[:n], -1, nil); len(names) > 0 {
			return names, nil
		}
	}
}

// Rewind makes ReadNames begin again.
func Rewind(fd int) error {
	_, err := unix.Seek(fd, 0, unix.SEEK_SET)
	return err
}
