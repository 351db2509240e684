package rootfs

import (
	"errors"
	"os"
	"path/filepath"

	"vsl/engine/internal/sys"
)

// layerBinds gives the binds their flags, and to those with mapped ids inodes of
// the guest's own. Through a mapped mount guest root owns the host's inodes for
// the kernel: a lease on one (fcntl(2), F_SETLEASE) keeps the host from executing
// the file, a lock keeps others from locking it, a watch tells when they use it.
// Through an overlay all of that is on the overlay's inodes, while the pages in
// the cache stay those of the file itself.
//
// The overlay does not see names that change below it once it has looked them
// up: a program that the host replaces stays the old one in a guest until that
// boots again.
//
// It must run before the guest's root is attached at place: what is below the
// overlays goes there, since an overlay takes only layers that are attached, and
// leaves with the host's root.
func (o *OpenRoot) layerBinds(place, userns int) error {
	empty := -1
	defer func() { sys.Close(empty) }()
	for i, b := range o.root.Binds {
		attrs := uint64(sys.AttrNodev)
		if b.ReadOnly {
			attrs |= sys.AttrRdonly
		}
		if !b.IDMap {
			if err := sys.SetMountAttr(o.binds[i], attrs, -1); err != nil {
				return sys.Op("bind", b.Source, err)
			}
			continue
		}
		if err := sys.SetMountAttr(o.binds[i], attrs, userns); err != nil {
			return idmapError(b.Source, err)
		}
		if err := sys.MoveMount(o.binds[i], place); err != nil {
			return sys.Op("attach", b.Source, err)
		}
		if empty < 0 {
			var err error
			if empty, err = o.emptyDir(); err != nil {
				return err
			}
		}
		// Without a folder to write to, an overlay wants two to read from.
		ov, err := sys.NewMount("overlay", int(attrs)|sys.AttrRdonly,
			sys.Option{Key: "source", Value: "vsl"},
			sys.Option{Key: "lowerdir", Value: fdPath(o.binds[i]) + ":" + fdPath(empty)},
		)
		if errors.Is(err, sys.ENODEV) {
			return &sys.OpError{Op: "bind", Target: b.Source, Err: err, Hint: "host() needs overlay: modprobe overlay, or a template of another source"}
		}
		if err != nil {
			return err
		}
		sys.Close(o.binds[i])
		o.binds[i] = ov
	}
	return nil
}

// emptyDir opens the empty folder beside the root's tree. It is on disk and not
// in memory because then it is mostly on the file system that /usr is on, which
// lets an overlay show one device number for all files.
func (o *OpenRoot) emptyDir() (int, error) {
	tree := o.root.Tree
	if o.root.Kind == OverlayRoot {
		tree = o.root.Template
	}
	path := filepath.Join(filepath.Dir(tree), "empty")
	if err := os.Mkdir(path, 0o755); err != nil && !os.IsExist(err) {
		return -1, sys.Op("make folder", path, unwrapPath(err))
	}
	fd, err := sys.OpenAt(sys.Cwd, path, sys.OPath|sys.ODir, 0)
	return fd, sys.Op("open", path, err)
}
