package sys

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Flags of mount(2) and umount2(2).
const (
	MsRdonly  = unix.MS_RDONLY
	MsNosuid  = unix.MS_NOSUID
	MsNodev   = unix.MS_NODEV
	MsNoexec  = unix.MS_NOEXEC
	MsRemount = unix.MS_REMOUNT
	MsBind    = unix.MS_BIND
	MsRec     = unix.MS_REC
	MsPrivate = unix.MS_PRIVATE

	MntDetach      = unix.MNT_DETACH
	UmountNofollow = unix.UMOUNT_NOFOLLOW
)

// Attributes of a mount, for fsmount(2) and mount_setattr(2).
const (
	AttrRdonly = unix.MOUNT_ATTR_RDONLY
	AttrNosuid = unix.MOUNT_ATTR_NOSUID
	AttrNodev  = unix.MOUNT_ATTR_NODEV
	AttrNoexec = unix.MOUNT_ATTR_NOEXEC
)

// Cwd stands for the current folder where a call takes a folder descriptor.
const Cwd = unix.AT_FDCWD

// Mount is mount(2). It follows links in target: give it only paths that no
// guest can change.
func Mount(source, target, fstype string, flags uintptr, data string) error {
	return unix.Mount(source, target, fstype, flags, data)
}

// Umount is umount2(2).
func Umount(target string, flags int) error { return unix.Unmount(target, flags) }

// OpenTree makes a detached copy of the one mount that path lies on, rooted at
// path (open_tree(2) with OPEN_TREE_CLONE); mounts below it are left out. Links
// at the end of path are not followed. The copy goes away with its descriptor.
func OpenTree(dirfd int, path string) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_SYMLINK_NOFOLLOW)
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	fd, err := unix.OpenTree(dirfd, path, flags)
	if err != nil {
		return -1, err
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Propagation: unix.MS_PRIVATE}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// SetMountAttr sets attributes on the mount of which fd is the root. userns >= 0
// also id-maps it: an id on disk appears as that user namespace maps it
// (mount_setattr(2), MOUNT_ATTR_IDMAP). Only a detached mount that was never
// attached can be id-mapped, and the file system must allow it (EINVAL if not).
func SetMountAttr(fd int, set uint64, userns int) error {
	a := unix.MountAttr{Attr_set: set}
	if userns >= 0 {
		a.Attr_set |= unix.MOUNT_ATTR_IDMAP
		a.Userns_fd = uint64(userns)
	}
	return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &a)
}

// MoveMount attaches the detached mount fd on the file or folder that target is
// open on. No path is looked up, so there is no link to follow.
func MoveMount(fd, target int) error {
	return unix.MoveMount(fd, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// Option is one option of a new file system; a flag has Flag set and no value.
type Option struct {
	Key, Value string
	Flag       bool
}

// NewMount makes a file system instance and gives a detached mount of it
// (fsopen(2), fsconfig(2), fsmount(2)). The error carries what the kernel wrote
// to the context's message log, where it wrote anything.
func NewMount(fstype string, attrs int, options ...Option) (int, error) {
	ctx, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, Op("open file system", fstype, err)
	}
	defer unix.Close(ctx)
	for _, o := range options {
		if o.Flag {
			err = unix.FsconfigSetFlag(ctx, o.Key)
		} else {
			err = unix.FsconfigSetString(ctx, o.Key, o.Value)
		}
		if err != nil {
			return -1, Op("configure "+fstype, o.Key+"="+o.Value, fsLog(ctx, err))
		}
	}
	if err := unix.FsconfigCreate(ctx); err != nil {
		return -1, Op("create file system", fstype, fsLog(ctx, err))
	}
	fd, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, attrs)
	return fd, Op("mount file system", fstype, err)
}

// fsLog adds the first message of a file system context to err.
func fsLog(ctx int, err error) error {
	buf := make([]byte, 512)
	n, e := unix.Read(ctx, buf)
	if e != nil || n <= 2 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, trimNewline(buf[2:n])) // after "e ", "w " or "i "
}

func trimNewline(b []byte) string {
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	return string(b)
}

// PrivateTree keeps every mount and unmount of the current mount namespace from
// reaching any other, and theirs from reaching it.
func PrivateTree() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }

// UnshareMounts gives the calling thread a mount namespace of its own, owned by
// the user namespace of the caller, and private. The caller must have locked
// the thread and must not unlock it again.
func UnshareMounts() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return Op("make a mount namespace", "", err)
	}
	return Op("make mounts private", "", PrivateTree())
}

// JoinMounts has the calling thread, which must be locked and discarded
// afterwards, join a mount namespace given by its file in /proc.
func JoinMounts(path string) error {
	ns, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(ns)
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	return unix.Setns(ns, unix.CLONE_NEWNS)
}

// MountsOwnedByCaller reports whether the calling thread's mount namespace
// belongs to the user namespace that the thread is in (ioctl_ns(2)).
func MountsOwnedByCaller() (bool, error) {
	mnt, err := unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(mnt)
	owner, err := unix.IoctlRetInt(mnt, unix.NS_GET_USERNS)
	if err != nil {
		return false, err
	}
	defer unix.Close(owner)
	var a, b unix.Stat_t
	if err := unix.Fstat(owner, &a); err != nil {
		return false, err
	}
	if err := unix.Stat("/proc/thread-self/ns/user", &b); err != nil {
		return false, err
	}
	return a.Ino == b.Ino && a.Dev == b.Dev, nil
}

// StatFS says what kind of file system a path lies on, and what is free.
type StatFS struct {
	Type  int64 // its magic number, statfs(2)
	Free  int64 // bytes free to root
	Total int64 // bytes
}

// Statfs is statfs(2).
func Statfs(path string) (StatFS, error) {
	var s unix.Statfs_t
	err := Retry(func() error { return unix.Statfs(path, &s) })
	return StatFS{Type: int64(s.Type), Free: int64(s.Bfree) * s.Bsize, Total: int64(s.Blocks) * s.Bsize}, err
}
