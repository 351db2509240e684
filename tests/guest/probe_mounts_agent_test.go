package guest

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const noDisk = "EPERM EACCES ENODEV"

// mountProbes go for the host by its file systems.
var mountProbes = []probe{
	{name: "mount ext4", try: mounts("ext4", "", nil), want: "EPERM", why: "a block file system may not be mounted in a user namespace"},
	{name: "mount squashfs", try: mounts("squashfs", "", nil), want: noDisk, why: "as ext4"},
	{name: "mount devtmpfs", try: mounts("devtmpfs", "", nil), want: "EPERM", why: "it has the host's devices"},
	{name: "mount debugfs", try: mounts("debugfs", "", nil), want: noDisk, why: "the kernel's insides"},
	{name: "mount tracefs", try: mounts("tracefs", "", nil), want: noDisk, why: "the kernel's insides"},
	{name: "mount securityfs", try: mounts("securityfs", "", nil), want: noDisk, why: "policies of the host"},
	{name: "mount configfs", try: mounts("configfs", "", nil), want: noDisk, why: "it makes devices"},
	{name: "mount pstore", try: mounts("pstore", "", nil), want: noDisk, why: "logs of the host's crashes"},
	{name: "mount nfsd", try: mounts("nfsd", "", nil), want: noDisk, why: "the host's file server"},
	{name: "mount binfmt_misc", try: mounts("binfmt_misc", "", nil), want: "ok " + noDisk, why: "since 6.7 a user namespace has its own, before that none"},
	{name: "mount bpf", try: mounts("bpf", "", onlyNewFiles), want: "INSIDE " + noDisk, why: "a new one is empty, and bpf(2) is refused"},
	{name: "fresh proc: sysrq", try: mounts("proc", "", writesIn("sysrq-trigger")), want: "EPERM EACCES EROFS ENOENT", why: "what is below the masks belongs to the host's root"},
	{name: "fresh proc: core_pattern", try: mounts("proc", "", writesIn("sys/kernel/core_pattern")), want: "EPERM EACCES EROFS", why: "as sysrq"},
	{name: "fresh proc: the host's process", try: freshProcHost, want: "EPERM ENOENT", why: "a proc shows the pid namespace of who mounts it"},
	{name: "fresh sysfs: uevent_helper", try: mounts("sysfs", "", writesIn("kernel/uevent_helper")), want: "EPERM EACCES EROFS ENOENT", why: "it belongs to the host's root"},
	{name: "cgroup v1: release_agent", try: cgroupV1(writesIn("release_agent")), want: "EPERM EACCES EBUSY ENOENT EINVAL ENODEV", why: "it starts a program on the host"},
	{name: "cgroup v1: new group at the top", try: cgroupV1(makesIn("probe")), want: "EPERM EACCES EBUSY EINVAL ENODEV", why: "the host's groups"},
	{name: "cgroup v1: own limit", try: cgroupV1(writesIn("memory.limit_in_bytes")), want: "EPERM EACCES EBUSY ENOENT EINVAL ENODEV", why: "a limit is the host's to change"},
	{name: "cgroup v2: own limit", try: mounts("cgroup2", "", writesIn("memory.max")), want: "EPERM EACCES ENOENT EBUSY", why: "a limit is the host's to change"},
	{name: "cgroup v2: own pids limit", try: mounts("cgroup2", "", writesIn("pids.max")), want: "EPERM EACCES ENOENT EBUSY", why: "a limit is the host's to change"},
	{name: "cgroup v2: above its own", try: mounts("cgroup2", "", writesIn("../../cgroup.procs")), want: "EPERM EACCES ENOENT EBUSY", why: "a cgroup namespace ends at its root"},
	{name: "cgroup v2: the host's process", try: takeHostProcess, want: "ESRCH EINVAL EPERM EACCES EBUSY", why: "it has no number here"},
	{name: "cgroup v2: freeze itself from above", try: mounts("cgroup2", "", writesIn("cgroup.freeze")), want: "EPERM EACCES ENOENT EBUSY INSIDE", why: "whoever can write it can hold vsl"},
	{name: "umount /proc/sys, write core_pattern", try: uncovers("/proc/sys", writes("/proc/sys/kernel/core_pattern")), want: "EPERM EACCES EROFS", why: "the cores of the host's programs go there"},
	{name: "remount /proc/sys, write modprobe", try: remounts("/proc/sys", writes("/proc/sys/kernel/modprobe")), want: "EPERM EACCES EROFS ENOENT", why: "it starts a program on the host"},
	{name: "remount /sys, write uevent_helper", try: remounts("/sys", writes("/sys/kernel/uevent_helper")), want: "EPERM EACCES EROFS ENOENT", why: "it starts a program on the host"},
	{name: "umount /usr", try: func(target) error { return unix.Unmount("/usr", unix.MNT_DETACH) }, want: "EINVAL EPERM", why: "what the host mounted stays, or is nothing"},
	{name: "remount /usr rw", try: remounts("/usr", writes("/usr/probe")), want: "EPERM EACCES EROFS", tree: "EINVAL", why: "the host's programs"},
	{name: "move_mount of /proc/sys, write modprobe", try: movesAway("/proc/sys", writes("/proc/sys/kernel/modprobe")), want: "EINVAL EPERM EACCES EROFS ENOENT", why: "it starts a program on the host"},
	{name: "clone of /proc without its masks: sysrq", try: cloneOf("/proc", writesIn("sysrq-trigger")), want: "EINVAL EPERM EACCES ENOENT", why: "what is below the masks belongs to the host's root"},
	{name: "clone of /proc without its masks: kcore", try: cloneOf("/proc", readsIn("kcore")), want: "EINVAL EPERM EACCES ENOENT", why: "what is below the masks belongs to the host's root"},
	{name: "mount_setattr takes read-only off", try: setattrWritable, want: "EPERM EINVAL", tree: "ok", why: "flags that the host set are locked"},
	{name: "fsopen ext4", try: fsopen("ext4"), want: "EPERM ENODEV ENOSYS", why: "the new way is as closed as mount(2)"},
	{name: "idmapped mount of the host's files", try: setattrIDMap, want: "EPERM EINVAL EBADF", why: "only who owns the file system may map it"},
	{name: "pivot_root out", try: pivotOut, want: "EINVAL EBUSY EPERM INSIDE", why: "what is above is not in its mount namespace"},
	{name: "chroot out", try: chrootOut, want: "INSIDE", why: "the classic way ends at the root of the mount namespace"},
	{name: "overlay over the host's files", try: overlayWrites, want: "INSIDE EPERM EINVAL", why: "what is written goes to the guest's own upper layer"},
	{name: "open_by_handle_at", try: openByHandle, want: "EPERM", why: "it opens any inode of the host's file system"},
}

func writesIn(name string) func(string) error {
	return func(dir string) error { return tryWrite(filepath.Join(dir, name)) }
}

func readsIn(name string) func(string) error {
	return func(dir string) error { return tryRead(filepath.Join(dir, name)) }
}

func makesIn(name string) func(string) error {
	return func(dir string) error {
		p := filepath.Join(dir, name)
		if err := os.Mkdir(p, 0o755); err != nil {
			return err
		}
		return os.Remove(p)
	}
}

// onlyNewFiles is what a mount may show that is nobody else's: nothing.
func onlyNewFiles(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil || len(list) > 0 {
		return err
	}
	return errInside
}

// cgroupV1 mounts hierarchies as they are on hosts of the old layout.
func cgroupV1(then func(string) error) func(target) error {
	return func(t target) error {
		err := error(unix.ENODEV)
		for _, ctl := range []string{"memory", "pids", "cpu,cpuacct", "devices", "rdma"} {
			if err = mounts("cgroup", ctl, then)(t); err == nil {
				return nil
			}
		}
		return err
	}
}

func freshProcHost(t target) error {
	return mounts("proc", "", func(dir string) error {
		_, err := os.Stat(filepath.Join(dir, itoa(t.pid)))
		return err
	})(t)
}

func takeHostProcess(t target) error {
	return mounts("cgroup2", "", func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(itoa(t.pid)), 0)
	})(t)
}

func remounts(path string, then func(target) error) func(target) error {
	return func(t target) error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return err
		}
		if err := unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND, ""); err != nil {
			return err
		}
		err := then(t)
		if path == "/usr" && err == nil {
			return os.Remove("/usr/probe")
		}
		return err
	}
}

// movesAway takes a mount off by moving it.
func movesAway(path string, then func(target) error) func(target) error {
	return func(t target) error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return err
		}
		fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLOEXEC)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.MoveMount(fd, "", unix.AT_FDCWD, "/mnt", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return err
		}
		return then(t)
	}
}

// cloneOf attaches a copy of a mount without the mounts on it.
func cloneOf(path string, then func(string) error) func(target) error {
	return func(target) error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return err
		}
		fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLOEXEC|unix.OPEN_TREE_CLONE)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.MoveMount(fd, "", unix.AT_FDCWD, "/mnt", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return err
		}
		return then("/mnt")
	}
}

func setattrWritable(target) error {
	fd, err := unix.OpenTree(unix.AT_FDCWD, "/usr", unix.OPEN_TREE_CLOEXEC|unix.OPEN_TREE_CLONE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
}

func fsopen(fstype string) func(target) error {
	return func(target) error {
		fd, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		const create = 6 // FSCONFIG_CMD_CREATE
		return sysno(unix.SYS_FSCONFIG, uintptr(fd), create, 0, 0, 0)
	}
}

func setattrIDMap(target) error {
	fd, err := unix.OpenTree(unix.AT_FDCWD, "/usr", unix.OPEN_TREE_CLOEXEC|unix.OPEN_TREE_CLONE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ns, err := os.Open("/proc/self/ns/user")
	if err != nil {
		return err
	}
	defer ns.Close()
	return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())})
}

// pivotOut turns the root round in a mount namespace of its own, and looks whether
// what comes out is more than it had.
func pivotOut(target) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("none", "/mnt", "tmpfs", 0, ""); err != nil {
		return err
	}
	if err := os.Mkdir("/mnt/old", 0o755); err != nil {
		return err
	}
	if err := unix.PivotRoot("/mnt", "/mnt/old"); err != nil {
		return err
	}
	return stillInside("/old")
}

func chrootOut(target) error {
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		return err
	}
	top, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(top)
	if err := unix.Chroot(dir); err != nil {
		return err
	}
	if err := unix.Fchdir(top); err != nil {
		return err
	}
	for range 64 {
		if err := unix.Chdir(".."); err != nil {
			return err
		}
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	defer os.Remove(dir)
	return stillInside("/")
}

// stillInside looks for what is at the top of each guest's root, and never of a host's.
func stillInside(root string) error {
	if _, err := os.Stat(filepath.Join(root, agentName)); err != nil {
		return nil
	}
	return errInside
}

func overlayWrites(target) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	dir := "/run/probe"
	defer os.RemoveAll(dir)
	for _, d := range []string{"u", "w", "m"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	m := filepath.Join(dir, "m")
	if err := unix.Mount("none", m, "overlay", 0, "lowerdir=/usr,upperdir="+dir+"/u,workdir="+dir+"/w,userxattr"); err != nil {
		return err
	}
	defer func() { _ = unix.Unmount(m, unix.MNT_DETACH) }()
	if err := os.WriteFile(filepath.Join(m, "probe"), nil, 0o600); err != nil {
		return err
	}
	if _, err := os.Stat("/usr/probe"); err == nil {
		return nil
	}
	return errInside
}

func openByHandle(target) error {
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "/usr", 0)
	if err != nil { // overlay may have none: one made up is as good
		h = unix.NewFileHandle(1, []byte(strings.Repeat("\x00", 8)))
	}
	top, err := unix.Open("/usr", unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(top)
	fd, err := unix.OpenByHandleAt(top, h, unix.O_RDONLY)
	if err == nil {
		unix.Close(fd)
	}
	return err
}
