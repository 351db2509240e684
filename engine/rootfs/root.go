package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"vsl/engine/internal/sys"
)

// RootKind says how a guest's root is put together.
type RootKind int

const (
	OverlayRoot RootKind = iota // GuestDir/upper over the template
	DirectRoot                  // a tree of its own: reflink and copy clones, and template builds
)

// Root describes a guest's root file system and what else is mounted in it.
type Root struct {
	Kind     RootKind
	Template string // OverlayRoot: the template's tree
	GuestDir string // OverlayRoot: holds upper and work, as Clone made them
	Tree     string // DirectRoot: the tree
	UID      int    // the host's id of guest root; its range is 65,536 ids
	Binds    []Bind // the template's and the guest's own
	OwnNetNS bool   // the child mounts a /sys of its own network namespace
	Secrets  []File // of /run/secrets
	Memory   int64  // what the guest may use, which bounds its tmpfs; <= 0: no limit
	Nesting  bool   // it may mount proc, sysfs and FUSE itself; see HostMounts
}

// OpenRoot holds a Root's detached mounts. Nothing of it is visible anywhere
// until Attach, and all of it goes away with Close or the process.
type OpenRoot struct {
	root  Root
	tree  int // the template, or the direct tree
	sysfs int
	binds []int
	ns    string // mount namespace in which Open ran
}

// Open opens everything that the root is made from, in the host's mount
// namespace.
func (r *Root) Open() (_ *OpenRoot, err error) {
	o := &OpenRoot{root: *r, tree: -1, sysfs: -1}
	defer func() {
		if err != nil {
			o.Close()
		}
	}()
	if o.ns, err = os.Readlink("/proc/thread-self/ns/mnt"); err != nil {
		return nil, sys.Op("read mount namespace", "", unwrapPath(err))
	}
	tree := r.Tree
	if r.Kind == OverlayRoot {
		tree = r.Template
	}
	if o.tree, err = openTree("root", tree); err != nil {
		return nil, err
	}
	if !r.OwnNetNS {
		if o.sysfs, err = openTree("root", "/sys"); err != nil {
			return nil, err
		}
	}
	for _, b := range r.Binds {
		fd, err := openTree("bind", b.Source)
		if err != nil {
			return nil, err
		}
		o.binds = append(o.binds, fd)
	}
	return o, nil
}

func openTree(what, path string) (int, error) {
	if !filepath.IsAbs(path) {
		return -1, sys.Op("open "+what, path, sys.EINVAL)
	}
	fd, err := sys.OpenTree(sys.Cwd, path)
	return fd, sys.Op("open "+what, path, err)
}

// Close lets go of what was not attached.
func (o *OpenRoot) Close() {
	for _, fd := range append(o.binds, o.tree, o.sysfs) {
		sys.Close(fd)
	}
	o.binds, o.tree, o.sysfs = nil, -1, -1
}

// Attach mounts the guest's root and everything below it that does not need the
// namespaces of the guest's child, and gives the path of the mount point. It
// must run on a thread that has gone through sys.UnshareMounts, before the
// child makes its own copy of that mount namespace (see GuestMounts): anything
// else is an error, because then nothing would be locked, or the host would see
// the guest's mounts. userns is the guest's user namespace, its id maps written.
// After an error the thread and with it all mounts are to be thrown away.
func (o *OpenRoot) Attach(userns int) (string, error) {
	if err := o.checkNamespace(); err != nil {
		return "", err
	}
	mp, err := MountPoint()
	if err != nil {
		return "", err
	}
	place, err := sys.OpenAt(sys.Cwd, mp, sys.OPath|sys.ODir, 0)
	if err != nil {
		return "", sys.Op("open", mp, err)
	}
	defer sys.Close(place)
	if err := o.layerBinds(place, userns); err != nil {
		return "", err
	}
	if o.root.Kind == OverlayRoot {
		err = o.attachOverlay(mp, place, userns)
	} else {
		err = o.attachDirect(mp, place, userns)
	}
	if err != nil {
		return "", err
	}
	root, err := sys.OpenAt(sys.Cwd, mp, sys.OPath|sys.ODir, 0)
	if err != nil {
		return "", sys.Op("open", mp, err)
	}
	defer sys.Close(root)
	if o.root.Kind == OverlayRoot {
		if err := o.makeTargets(root, o.root.UID); err != nil {
			return "", err
		}
	}
	return mp, o.attachInside(root)
}

func (o *OpenRoot) checkNamespace() error {
	ns, err := os.Readlink("/proc/thread-self/ns/mnt")
	if err != nil {
		return sys.Op("read mount namespace", "", unwrapPath(err))
	}
	ours, err := sys.MountsOwnedByCaller()
	if err != nil {
		return sys.Op("read mount namespace", "", err)
	}
	if ns == o.ns || !ours {
		return sys.Op("mount root", "", fmt.Errorf("wrong mount namespace %s: need a fresh one that the host owns", ns))
	}
	return nil
}

// MountPoint is where Attach mounts roots: a folder of the host through which
// guest root can go, as the guest's own folder is closed to it. It is covered in
// the guest's mount namespace only.
func MountPoint() (string, error) {
	for _, p := range []string{"/mnt", "/srv", "/media", "/opt", "/usr"} {
		st, err := sys.StatAt(sys.Cwd, p)
		if err == nil && st.Mode&sys.SIfmt == sys.SIfdir && st.Mode&0o001 != 0 {
			return p, nil
		}
	}
	return "", sys.Op("find a mount point", "/mnt", sys.ENOENT)
}

// attachOverlay mounts the guest's upper folder over the template at mp.
func (o *OpenRoot) attachOverlay(mp string, place, userns int) error {
	if err := sys.SetMountAttr(o.tree, sys.AttrRdonly|sys.AttrNodev, userns); err != nil {
		return idmapError(o.root.Template, err)
	}
	var fds [2]int // upper, work: opened here, as they must lie in this mount namespace
	for i, n := range []string{"upper", "work"} {
		fd, err := sys.OpenAt(sys.Cwd, filepath.Join(o.root.GuestDir, n), sys.OPath|sys.ODir, 0)
		if err != nil {
			return sys.Op("open", filepath.Join(o.root.GuestDir, n), err)
		}
		defer sys.Close(fd)
		fds[i] = fd
	}
	// An overlay takes only layers that are attached; it keeps a private copy.
	// The template stays below the overlay, where nobody sees it, and goes with
	// the host's root: taking it off now would cost a wait of the kernel's.
	if err := sys.MoveMount(o.tree, place); err != nil {
		return sys.Op("attach template", mp, err)
	}
	// Descriptors as paths: nothing to escape, and no path of the host shows in
	// the guest's /proc/mounts.
	ov, err := sys.NewMount("overlay", sys.AttrNodev,
		sys.Option{Key: "source", Value: "vsl"},
		sys.Option{Key: "lowerdir", Value: fdPath(o.tree)},
		sys.Option{Key: "upperdir", Value: fdPath(fds[0])},
		sys.Option{Key: "workdir", Value: fdPath(fds[1])},
		sys.Option{Key: "redirect_dir", Value: "on"}, // a guest can rename the template's folders
	)
	if err != nil {
		return err
	}
	defer sys.Close(ov)
	return sys.Op("attach root", mp, sys.MoveMount(ov, place))
}

// attachDirect mounts the guest's own tree at mp.
func (o *OpenRoot) attachDirect(mp string, place, userns int) error {
	dir, err := sys.OpenAt(sys.Cwd, o.root.Tree, sys.OPath|sys.ODir, 0)
	if err != nil {
		return sys.Op("open", o.root.Tree, err)
	}
	defer sys.Close(dir)
	first, err := firstID(dir, o.root.UID)
	if err != nil {
		return sys.Op("open", o.root.Tree, err)
	}
	// Before the id-mapped mount: through it host root could make nothing.
	if err := o.makeTargets(dir, first); err != nil {
		return err
	}
	if first != 0 {
		userns = -1 // the ids on disk are the guest's
	}
	if err := sys.SetMountAttr(o.tree, sys.AttrNodev, userns); err != nil {
		return idmapError(o.root.Tree, err)
	}
	return sys.Op("attach root", mp, sys.MoveMount(o.tree, place))
}

func fdPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

func idmapError(path string, err error) error {
	if err == sys.EINVAL {
		return &sys.OpError{Op: "map the ids of", Target: path, Err: err,
			Hint: "its file system does not support id-mapped mounts; ext4, xfs, btrfs and others do"}
	}
	return sys.Op("map the ids of", path, err)
}

// makeTargets makes sure that every mount has a plain file or folder to lie on.
func (o *OpenRoot) makeTargets(root, uid int) error {
	dirs := map[string]uint32{"proc": 0o555, "sys": 0o555, "dev": 0o755, "run": 0o755}
	for name, mode := range dirs {
		fd, err := ensureDir(root, name, mode, uid)
		if err != nil {
			return err
		}
		sys.Close(fd)
	}
	for i, b := range o.root.Binds {
		st, err := sys.StatAt(o.binds[i], "")
		if err != nil {
			return sys.Op("bind", b.Source, err)
		}
		target := guestPath(b.Target)
		if onFresh(target) {
			continue // made once that is mounted
		}
		fd, err := ensureTarget(root, target, st.Mode&sys.SIfmt == sys.SIfdir, uid)
		if err != nil {
			return err
		}
		sys.Close(fd)
	}
	return nil
}

// guestPath is a guest's path as one that openat2 takes below the root.
func guestPath(p string) string {
	return strings.TrimPrefix(filepath.Clean("/"+p), "/")
}

// onFresh reports whether a path lies on a file system made anew for each boot.
func onFresh(path string) bool {
	return strings.HasPrefix(path, "dev/") || strings.HasPrefix(path, "run/")
}

// ensureTarget opens a mount's target, link-free, making it where it is missing.
func ensureTarget(root int, path string, dir bool, uid int) (int, error) {
	if dir {
		return ensureDir(root, path, 0o755, uid)
	}
	fd, err := sys.OpenBeneath(root, path, sys.OPath|sys.ONofollow, 0)
	if err != sys.ENOENT {
		return fd, notPlain(path, err)
	}
	parent := root
	if d := filepath.Dir(path); d != "." {
		if parent, err = ensureDir(root, d, 0o755, uid); err != nil {
			return -1, err
		}
		defer sys.Close(parent)
	}
	name := filepath.Base(path)
	if err := sys.MknodAt(parent, name, sys.SIfreg|0o644, 0, 0); err != nil {
		return -1, sys.Op("make file", "/"+path, err)
	}
	if err := sys.ChownAt(parent, name, uid, uid); err != nil {
		return -1, sys.Op("make file", "/"+path, err)
	}
	fd, err = sys.OpenAt(parent, name, sys.OPath, 0)
	return fd, sys.Op("open", "/"+path, err)
}
