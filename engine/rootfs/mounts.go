package rootfs

import (
	"path"

	"vsl/engine/internal/sys"
)

// Mount is one mount(2) of a boot, on an absolute path.
type Mount struct {
	Source, Target, FSType string
	Flags                  uintptr
	Data                   string
	Optional               bool // ENOENT, ENODEV, EPERM and EINVAL mean that this kernel or guest has no such thing
}

// MountOpts say what a guest has.
type MountOpts struct {
	OwnNetNS bool // a network namespace of its own: it gets a fresh /sys and may change /proc/sys/net
	Cgroup   bool // it is in a cgroup namespace and gets a writable cgroup2
	Nesting  bool // it may mount a proc of its own
}

const safe = sys.MsNosuid | sys.MsNodev | sys.MsNoexec

// terminals bounds those of a guest's own devpts, as all guests share what
// kernel.pty.max leaves beside kernel.pty.reserve: 3072, of which one without a bound
// took all. Guest root can mount another devpts; whoever is not root cannot.
const terminals = "1024"

// HostMounts are those that show the guest's own namespaces, but which the host
// makes, below the root at mp: what is mounted in a mount namespace of the host's
// is locked in the guest's copy of it. They are for a process of the host's root
// in the child's pid and network namespaces, since that is whose proc and sysfs
// they show.
//
// With Nesting there is one more of each, with no mask. The kernel lets a user
// namespace mount proc only where it sees all of one already, and a mask is what
// it does not see (mount_too_revealing, fs/namespace.c). They lie in a folder that
// the guest cannot enter, so that nothing comes upon them; but who may mount
// another one has all that is behind the masks of this one.
//
// /proc/sys is read-only because systemd takes a writable one for permission to
// set up binfmt_misc.
func HostMounts(mp string, o MountOpts) []Mount {
	proc, conf, net := path.Join(mp, "proc"), path.Join(mp, "proc/sys"), path.Join(mp, "proc/sys/net")
	ms := []Mount{
		{Source: "proc", Target: proc, FSType: "proc", Flags: safe},
		{Source: conf, Target: conf, Flags: sys.MsBind},
	}
	if o.OwnNetNS {
		ms = append(ms,
			Mount{Source: net, Target: net, Flags: sys.MsBind},
			Mount{Source: "sysfs", Target: path.Join(mp, "sys"), FSType: "sysfs", Flags: safe | sys.MsRdonly})
	}
	ms = append(ms, Mount{Target: conf, Flags: sys.MsBind | sys.MsRemount | sys.MsRdonly | safe})
	if o.Nesting {
		ms = append(ms, Mount{Source: "proc", Target: path.Join(mp, "dev", nestedProc), FSType: "proc", Flags: safe})
		if o.OwnNetNS {
			ms = append(ms, Mount{Source: "sysfs", Target: path.Join(mp, "dev", nestedSys), FSType: "sysfs", Flags: safe})
		}
	}
	return ms
}

// GuestMounts are the mounts that the child of a guest makes itself, after all
// that does not need it to.
//
// The order of a boot, each step for a reason:
//
//  1. The thread that calls clone3 has first gone through sys.UnshareMounts: it
//     has a mount namespace of its own, which the host owns. The child is made
//     with CLONE_NEWUSER and the rest but without CLONE_NEWNS, so it shares the
//     thread's. It becomes root of its user namespace at once.
//  2. Sync: the parent calls OpenRoot.Attach on that thread, has HostMounts made,
//     and calls OpenRoot.Mask.
//  3. unshare(CLONE_NEWNS). The copy belongs to the guest's user namespace, so
//     the kernel locks every mount in it and every flag of each: guest root can
//     neither make the host's /usr writable again, nor take off a nodev or a mask.
//     Mounting into a namespace that is the guest's already would lock nothing.
//  4. mount(MP, MP, MS_BIND|MS_REC), chdir(MP), where MP is MountPoint():
//     pivot_root refuses a locked mount, and a bind of it is not locked.
//  5. pivot_root(".", "."): the host's root now lies stacked on the guest's.
//  6. GuestMounts in their order. No target can be a link: Attach has opened the
//     first part of each as a plain folder, nobody else runs in the guest yet,
//     and everything deeper is a file system that no guest has written to.
//  7. umount2(".", MNT_DETACH), which takes off the host's root, and chdir("/").
func GuestMounts(o MountOpts) []Mount {
	var ms []Mount
	if o.Cgroup {
		ms = append(ms, Mount{Source: "cgroup2", Target: "/sys/fs/cgroup", FSType: "cgroup2", Flags: safe})
	}
	return append(ms,
		Mount{Source: "devpts", Target: "/dev/pts", FSType: "devpts", Flags: sys.MsNosuid | sys.MsNoexec,
			Data: "newinstance,ptmxmode=0666,mode=620,gid=5,max=" + terminals},
		Mount{Source: "mqueue", Target: "/dev/mqueue", FSType: "mqueue", Flags: safe, Optional: true},
	)
}
