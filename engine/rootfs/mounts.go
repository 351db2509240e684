package rootfs

import "vsl/engine/internal/sys"

// Mount is one mount(2) that the guest's child makes itself, with its own
// namespaces, on an absolute path of the guest.
type Mount struct {
	Source, Target, FSType string
	Flags                  uintptr
	Data                   string
	Mkdir                  bool // make Target before (an existing folder is fine)
	Optional               bool // ENOENT, ENODEV, EPERM and EINVAL mean that this kernel or guest has no such thing
}

// MountOpts say what a guest has.
type MountOpts struct {
	OwnNetNS bool // a network namespace of its own: it gets a fresh /sys and may change /proc/sys/net
	Cgroup   bool // it is in a cgroup namespace and gets a writable cgroup2
}

// GuestMounts are the mounts that the child of a guest makes after Attach has
// made all that does not need the child's namespaces.
//
// The order of the child's program, each step for a reason:
//
//  1. The thread that calls clone3 has first gone through sys.UnshareMounts: it
//     has a mount namespace of its own, which the host owns. The child is made
//     with CLONE_NEWUSER and the rest but without CLONE_NEWNS, so it shares the
//     thread's. It becomes root of its user namespace at once.
//  2. Sync: the parent calls OpenRoot.Attach on that thread.
//  3. unshare(CLONE_NEWNS). The copy belongs to the guest's user namespace, so
//     the kernel locks every mount in it and every flag of each: guest root can
//     neither make the host's /usr writable again nor take off a nodev.
//     Mounting into a namespace that is the guest's already would lock nothing.
//  4. mount(MP, MP, MS_BIND|MS_REC), chdir(MP), where MP is MountPoint():
//     pivot_root refuses a locked mount, and a bind of it is not locked.
//  5. pivot_root(".", "."): the host's root now lies stacked on the guest's. It
//     must still be there for proc and sysfs, which the kernel lets a user
//     namespace mount only while it sees a full one.
//  6. GuestMounts in their order. No target can be a link: Attach has opened the
//     first part of each as a plain folder, nobody else runs in the guest yet,
//     and everything deeper is a file system that no guest has written to.
//  7. umount2(".", MNT_DETACH), which takes off the host's root, and chdir("/").
//
// The masks keep what a guest has no use for out of its sight and keep systemd
// from trying to mount it. They are no boundary, since guest root may unmount
// what its own child has mounted: behind them stand files that belong to the
// host's root, and the user namespace. /proc/sys is read-only because systemd
// takes a writable one for permission to set up binfmt_misc.
func GuestMounts(o MountOpts) []Mount {
	const safe = sys.MsNosuid | sys.MsNodev | sys.MsNoexec
	ms := []Mount{
		{Source: "proc", Target: "/proc", FSType: "proc", Flags: safe},
		{Source: "/proc/sys", Target: "/proc/sys", Flags: sys.MsBind},
	}
	if o.OwnNetNS {
		ms = append(ms,
			Mount{Source: "/proc/sys/net", Target: "/proc/sys/net", Flags: sys.MsBind},
			Mount{Source: "sysfs", Target: "/sys", FSType: "sysfs", Flags: safe | sys.MsRdonly})
	}
	ms = append(ms, Mount{Target: "/proc/sys", Flags: sys.MsBind | sys.MsRemount | sys.MsRdonly | safe})
	// The empty folder that every /sys has for cgroups stands in for the masked
	// ones: read-only as /sys is, and no file system to make for each.
	for _, d := range maskedDirs {
		ms = append(ms, Mount{Source: "/sys/fs/cgroup", Target: d, Flags: sys.MsBind, Optional: true})
	}
	if o.Cgroup {
		ms = append(ms, Mount{Source: "cgroup2", Target: "/sys/fs/cgroup", FSType: "cgroup2", Flags: safe})
	}
	ms = append(ms,
		Mount{Source: "devpts", Target: "/dev/pts", FSType: "devpts", Flags: sys.MsNosuid | sys.MsNoexec,
			Data: "newinstance,ptmxmode=0666,mode=620,gid=5"},
		Mount{Source: "mqueue", Target: "/dev/mqueue", FSType: "mqueue", Flags: safe, Optional: true},
	)
	for _, f := range maskedFiles {
		ms = append(ms, Mount{Source: "/dev/null", Target: f, Flags: sys.MsBind, Optional: true})
	}
	return ms
}

var maskedFiles = []string{
	"/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/kmsg", "/proc/latency_stats", "/proc/sched_debug",
	"/proc/sysrq-trigger", "/proc/timer_list",
}

var maskedDirs = []string{
	"/proc/acpi", "/proc/scsi", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/bpf",
	"/sys/fs/fuse/connections", "/sys/fs/pstore", "/sys/kernel/config", "/sys/kernel/debug", "/sys/kernel/security",
	"/sys/kernel/tracing", "/sys/power",
}
