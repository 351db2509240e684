package rootfs

import (
	"fmt"
	"slices"

	"vsl/engine/internal/sys"
)

// nodes are the only devices that a guest has: harmless, and enough for
// programs. Their numbers are those of Linux's devices.txt.
var nodes = []node{
	{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
}

// fuse is what a guest with nesting has as well: by it the guest gives file systems
// to its own processes alone.
var fuse = node{"fuse", 10, 229}

type node struct {
	name         string
	major, minor uint32
}

// Devices are the names of the devices that a guest can have in /dev.
func Devices(nesting bool) []string {
	var names []string
	for _, n := range nodes {
		names = append(names, n.name)
	}
	if nesting {
		names = append(names, fuse.name)
	}
	return names
}

// devLinks are links in /dev; ptmx is that of the guest's own devpts.
var devLinks = [][2]string{
	{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"}, {"core", "/proc/kcore"},
}

// attachInside mounts /dev, /dev/shm, /run, /sys and the binds below the open
// root.
func (o *OpenRoot) attachInside(root int) error {
	if err := o.attachDev(root); err != nil {
		return err
	}
	run, err := o.attachTmpfs(root, "run", "0755", sys.AttrNosuid|sys.AttrNodev, o.root.share("20%")...)
	if err != nil {
		return err
	}
	defer sys.Close(run)
	lock, err := ensureDir(run, "lock", 0o1777, o.root.UID)
	if err != nil {
		return err
	}
	sys.Close(lock)
	if err := o.attachSecrets(run); err != nil {
		return err
	}
	if o.sysfs >= 0 {
		err := sys.SetMountAttr(o.sysfs, sys.AttrRdonly|sys.AttrNosuid|sys.AttrNodev|sys.AttrNoexec, -1)
		if err == nil {
			err = attachAt(root, "sys", o.sysfs)
		}
		if err != nil {
			return sys.Op("attach", "/sys", err)
		}
	}
	for i, b := range o.root.Binds {
		if err := o.attachBind(root, b, o.binds[i]); err != nil {
			return err
		}
	}
	return nil
}

// attachAt attaches a detached mount on an existing plain file or folder.
func attachAt(root int, path string, mount int) error {
	fd, err := sys.OpenBeneath(root, path, sys.OPath|sys.ONofollow, 0)
	if err != nil {
		return notPlain(path, err)
	}
	defer sys.Close(fd)
	return sys.MoveMount(mount, fd)
}

// share bounds a tmpfs: by half of what the guest may use, so that one that is full
// says so and nobody is killed for what lies in it; without a limit by a share of the
// host's memory, as systemd does. An inode costs about a kilobyte that is no part of
// the size.
func (r *Root) share(ofHost string) []sys.Option {
	size, inodes := ofHost, "1m"
	if r.Memory > 0 {
		size, inodes = fmt.Sprint(r.Memory/2), fmt.Sprint(max(1024, r.Memory/(8<<10)))
	}
	return []sys.Option{{Key: "size", Value: size}, {Key: "nr_inodes", Value: inodes}}
}

// attachTmpfs mounts an empty tmpfs that belongs to guest root and gives its
// root. Its superblock is the host's, so the guest cannot change its size.
func (o *OpenRoot) attachTmpfs(root int, path, mode string, attrs int, more ...sys.Option) (int, error) {
	id := fmt.Sprint(o.root.UID)
	fd, err := sys.NewMount("tmpfs", attrs, append(more,
		sys.Option{Key: "source", Value: "tmpfs"}, sys.Option{Key: "mode", Value: mode},
		sys.Option{Key: "uid", Value: id}, sys.Option{Key: "gid", Value: id})...)
	if err != nil {
		return -1, err
	}
	if err := attachAt(root, path, fd); err != nil {
		sys.Close(fd)
		return -1, sys.Op("attach", "/"+path, err)
	}
	return fd, nil
}

// attachDev mounts /dev: a small tmpfs with six device nodes that only the host
// could make. mknod works because the tmpfs belongs to the host; guest root
// can make no others, as that needs CAP_MKNOD on the host.
func (o *OpenRoot) attachDev(root int) error {
	dev, err := o.attachTmpfs(root, "dev", "0755", sys.AttrNosuid|sys.AttrNoexec,
		sys.Option{Key: "size", Value: "1m"}, sys.Option{Key: "nr_inodes", Value: "4096"})
	if err != nil {
		return err
	}
	defer sys.Close(dev)
	if err := makeStandIns(dev); err != nil {
		return err
	}
	uid, have := o.root.UID, nodes
	if o.root.Nesting {
		if have, err = nestingNodes(dev); err != nil {
			return err
		}
	}
	for _, n := range have {
		err := sys.MknodAt(dev, n.name, sys.SIfchr|0o666, n.major, n.minor)
		if err == nil {
			err = sys.ChownAt(dev, n.name, uid, uid)
		}
		if err == nil {
			err = sys.ChmodAt(dev, n.name, 0o666)
		}
		if err != nil {
			return sys.Op("make device", "/dev/"+n.name, err)
		}
	}
	for _, l := range devLinks {
		err := sys.SymlinkAt(l[1], dev, l[0])
		if err == nil {
			err = sys.ChownAt(dev, l[0], uid, uid)
		}
		if err != nil {
			return sys.Op("make link", "/dev/"+l[0], err)
		}
	}
	for _, d := range []string{"pts", "mqueue", "shm"} {
		fd, err := ensureDir(dev, d, 0o755, uid)
		if err != nil {
			return err
		}
		sys.Close(fd)
	}
	shm, err := o.attachTmpfs(dev, "shm", "1777", sys.AttrNosuid|sys.AttrNodev, o.root.share("50%")...)
	if err != nil {
		return err
	}
	sys.Close(shm)
	return nil
}

// nestingNodes makes the folders of the mounts that nesting takes, and gives the
// devices: all, and FUSE where the host has it.
func nestingNodes(dev int) ([]node, error) {
	for _, d := range []struct {
		name string
		mode uint32
	}{{nested, 0o700}, {nestedProc, 0o555}, {nestedSys, 0o555}} {
		if err := sys.MkdirAt(dev, d.name, d.mode); err != nil {
			return nil, sys.Op("make folder", "/dev/"+d.name, err)
		}
	}
	if st, err := sys.StatAt(sys.Cwd, "/dev/fuse"); err != nil || st.Mode&sys.SIfmt != sys.SIfchr {
		return nodes, nil
	}
	return append(slices.Clone(nodes), fuse), nil
}

// attachBind attaches one bind. The kernel locks its flags when the guest gets
// its copy of the mount namespace, so read-only stays read-only.
func (o *OpenRoot) attachBind(root int, b Bind, mount int) error {
	target := guestPath(b.Target)
	if onFresh(target) {
		st, err := sys.StatAt(mount, "")
		if err != nil {
			return sys.Op("bind", b.Source, err)
		}
		fd, err := ensureTarget(root, target, st.Mode&sys.SIfmt == sys.SIfdir, o.root.UID)
		if err != nil {
			return err
		}
		sys.Close(fd)
	}
	return sys.Op("bind", b.Source+" on /"+target, attachAt(root, target, mount))
}
