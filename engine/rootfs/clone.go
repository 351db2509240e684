package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"vsl/engine/internal/sys"
)

// CloneKind is how a guest's own root comes from its template.
type CloneKind string

const (
	Overlay CloneKind = "overlay" // the template below, changes above; shares the page cache
	Reflink CloneKind = "reflink" // a tree of its own whose files share their blocks with the template's
	Copy    CloneKind = "copy"    // a tree of its own
)

// Root is the kind of root that a clone of this kind is mounted as.
func (k CloneKind) Root() RootKind {
	if k == Overlay {
		return OverlayRoot
	}
	return DirectRoot
}

// Cloned says what kind of clone a guest's folder holds: Overlay, Copy (which
// Reflink is too, once made) or "" for none. A clone appears in one rename, so
// there is never half of one.
func Cloned(guestDir string) (CloneKind, error) {
	for _, c := range []struct {
		name string
		kind CloneKind
	}{{"upper", Overlay}, {"root", Copy}} {
		_, err := os.Lstat(filepath.Join(guestDir, c.name))
		if err == nil {
			return c.kind, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", sys.Op("look for a clone", guestDir, unwrapPath(err))
		}
	}
	return "", nil
}

// Clone makes a guest's root from a template in guestDir, which must exist and
// have no clone yet: upper and work for an overlay, root for the others. All its
// files belong to the range that begins at uid, so that what a guest makes
// set-user-id is nobody's program on the host wherever it is found. What a killed
// Clone left is removed first.
func Clone(ctx context.Context, t *Template, guestDir string, kind CloneKind, uid int) error {
	had, err := Cloned(guestDir)
	if err != nil {
		return err
	}
	if had != "" {
		return sys.Op("clone "+t.Name+" into", guestDir, sys.EEXIST)
	}
	if err := RemoveClone(guestDir); err != nil {
		return err
	}
	switch kind {
	case Overlay:
		return cloneOverlay(t, guestDir, uid)
	case Reflink, Copy:
		tmp := filepath.Join(guestDir, "root.tmp")
		if err := copyTree(ctx, t.RootFS(), tmp, copying{reflink: kind == Reflink, shift: uid}, nil); err != nil {
			return err
		}
		return rename(tmp, filepath.Join(guestDir, "root"))
	}
	return sys.Op("clone "+t.Name+" into", guestDir, fmt.Errorf("unknown kind of clone %q", kind))
}

func cloneOverlay(t *Template, guestDir string, uid int) error {
	top, err := sys.StatAt(sys.Cwd, t.RootFS())
	if err != nil {
		return sys.Op("read template", t.RootFS(), err)
	}
	// The upper folder comes last: it is what says that the clone is there.
	for _, d := range []struct {
		name     string
		mode     uint32
		uid, gid int
	}{
		{"work", 0o700, 0, 0},
		{"upper.tmp", top.Mode & 0o7777, uid + int(top.UID), uid + int(top.GID)},
	} {
		path := filepath.Join(guestDir, d.name)
		if err := makeDir(path, 0o700); err != nil {
			return err
		}
		if err := os.Lchown(path, d.uid, d.gid); err != nil {
			return sys.Op("set owner", path, unwrapPath(err))
		}
		if err := sys.ChmodAt(sys.Cwd, path, d.mode); err != nil {
			return sys.Op("set mode", path, err)
		}
	}
	return rename(filepath.Join(guestDir, "upper.tmp"), filepath.Join(guestDir, "upper"))
}

// firstID is the id that guest root's files have in the open tree of a reflink or
// copy clone: the guest's own, or 0 in clones of before vsl 0.2, whose ids are
// mapped when they are mounted. No owner that a guest can give to its root is in
// the other range.
func firstID(tree, uid int) (int, error) {
	st, err := sys.StatAt(tree, "")
	if err != nil {
		return 0, err
	}
	if int(st.UID) <= maxID {
		return 0, nil
	}
	return uid, nil
}

func rename(from, to string) error {
	return sys.Op("make", to, sys.RenameAt(sys.Cwd, from, sys.Cwd, to, true))
}

// RemoveClone deletes a guest's root, whole or half made. The name that says
// that there is a clone goes first.
func RemoveClone(guestDir string) error {
	for _, n := range []string{"upper", "root"} {
		err := os.Rename(filepath.Join(guestDir, n), filepath.Join(guestDir, n+".tmp"))
		if errors.Is(err, fs.ErrExist) { // a half removed one is in the way
			if err = RemoveTree(filepath.Join(guestDir, n+".tmp")); err != nil {
				return err
			}
			err = os.Rename(filepath.Join(guestDir, n), filepath.Join(guestDir, n+".tmp"))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return sys.Op("remove", filepath.Join(guestDir, n), unwrapPath(err))
		}
	}
	for _, n := range []string{"upper.tmp", "root.tmp", "work"} {
		if err := RemoveTree(filepath.Join(guestDir, n)); err != nil {
			return err
		}
	}
	return nil
}
