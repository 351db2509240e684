package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"vsl/engine/internal/sys"
)

// maxID is the highest id that a file of a template may have: a guest has
// 65,536 of them.
const maxID = 65535

// Unpack puts the tar archive in r, plain or compressed with gzip, xz, zstd or
// bzip2, into the folder dir. The archive may be hostile: nothing outside dir is
// touched whatever its names and links say. An entry is looked up as by a
// process that has dir as its root, so that a link to /etc means dir/etc; a name
// with ".." is refused. Of extended attributes user.* and file capabilities are
// kept; device nodes and sockets are left out, as no guest may have them; a
// later entry replaces an earlier one of that name. What is only zeros becomes a
// hole. maxSize bounds what the files hold together, holes included; 0 is
// DefaultMaxSize. progress, which may be nil, is told the unpacked bytes. After
// an error the caller removes dir.
func Unpack(ctx context.Context, r io.Reader, dir string, maxSize int64, progress func(bytes int64)) error {
	in, err := decompress(r)
	if err != nil {
		return sys.Op("unpack", "archive", err)
	}
	defer func() { _ = in.Close() }()
	root, err := sys.OpenAt(sys.Cwd, dir, sys.ORdonly|sys.ODir, 0)
	if err != nil {
		return sys.Op("open", dir, err)
	}
	defer sys.Close(root)
	u := &unpacker{ctx: ctx, root: root, parent: -1, budget: newBudget(dir, maxSize), progress: progress}
	defer func() { sys.Close(u.parent) }()
	t := tar.NewReader(in)
	for {
		if err := ctx.Err(); err != nil {
			return sys.Op("unpack", "archive", err)
		}
		h, err := t.Next()
		if err == io.EOF {
			return u.finish()
		}
		if err != nil {
			return sys.Op("unpack", "archive", err)
		}
		if err := u.entry(h, t); err != nil {
			return sys.Op("unpack", h.Name, err)
		}
	}
}

type unpacker struct {
	ctx      context.Context
	root     int
	parent   int    // the folder of the entry before, and its name
	parentOf string // valid while parent >= 0
	dirs     []*tar.Header
	budget   budget
	buf      []byte
	progress func(int64)
}

var errDotDot = errors.New(`a name with ".." is not allowed`)

// cleanName makes a name of an archive relative to its root; "." is the root.
func cleanName(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errDotDot
		}
	}
	if strings.ContainsRune(name, 0) {
		return "", sys.EINVAL
	}
	if name = strings.TrimLeft(path.Clean("/"+name), "/"); name == "" {
		return ".", nil
	}
	return name, nil
}

func (u *unpacker) entry(h *tar.Header, data io.Reader) error {
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeFifo, tar.TypeGNUSparse:
	default:
		return nil // devices, and what describes the archive itself
	}
	if h.Typeflag != tar.TypeLink && (h.Uid < 0 || h.Uid > maxID || h.Gid < 0 || h.Gid > maxID) {
		return fmt.Errorf("owner %d:%d does not fit a guest's ids 0..%d", h.Uid, h.Gid, maxID)
	}
	if err := u.budget.entry(name, h); err != nil {
		return err
	}
	if name == "." {
		if h.Typeflag == tar.TypeDir {
			return u.dirMeta(u.root, h, name)
		}
		return sys.EINVAL
	}
	dir, base := path.Split(name)
	parent, err := u.folder(path.Clean("./" + dir))
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.dir(parent, base, name, h)
	case tar.TypeLink:
		return u.link(parent, base, name, h)
	}
	if err := u.clear(parent, base); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		err = sys.SymlinkAt(h.Linkname, parent, base)
	case tar.TypeFifo:
		err = sys.MknodAt(parent, base, sys.SIfifo|0o600, 0, 0)
	default:
		return u.file(parent, base, h, data)
	}
	if err == nil {
		err = sys.ChownAt(parent, base, h.Uid, h.Gid)
	}
	if err == nil && h.Typeflag == tar.TypeFifo {
		err = sys.ChmodAt(parent, base, uint32(h.Mode))
	}
	if err != nil {
		return err
	}
	return sys.UtimesAt(parent, base, h.ModTime, h.ModTime)
}

// folder opens a folder below the root, making what is missing. It stays open
// for the entries that follow.
func (u *unpacker) folder(name string) (int, error) {
	if name == "." {
		return u.root, nil
	}
	if u.parent >= 0 && u.parentOf == name {
		return u.parent, nil
	}
	fd, err := u.open(name, 0)
	if err != nil {
		return -1, err
	}
	sys.Close(u.parent)
	u.parent, u.parentOf = fd, name
	return fd, nil
}

func (u *unpacker) open(name string, depth int) (int, error) {
	fd, err := sys.OpenInRoot(u.root, name, sys.OPath|sys.ODir, 0)
	if err != sys.ENOENT || depth > 4096 {
		return fd, err
	}
	up := u.root
	if dir := path.Dir(name); dir != "." {
		if up, err = u.open(dir, depth+1); err != nil {
			return -1, err
		}
		defer sys.Close(up)
	}
	base := path.Base(name)
	if err := sys.MkdirAt(up, base, 0o755); err != nil && err != sys.EEXIST {
		return -1, err
	}
	return sys.OpenInRoot(u.root, name, sys.OPath|sys.ODir, 0)
}

// clear takes away what has the entry's name already.
func (u *unpacker) clear(parent int, base string) error {
	err := sys.UnlinkAt(parent, base, false)
	switch err {
	case sys.ENOENT:
		return nil
	case nil:
	default:
		if err = removeAt(parent, base); err != nil {
			return err
		}
	}
	u.forget()
	return nil
}

// forget drops the open folder when the tree has changed under its name. The
// entry under way may still use it; the next one looks it up again.
func (u *unpacker) forget() { u.parentOf = "" }

func (u *unpacker) dir(parent int, base, name string, h *tar.Header) error {
	err := sys.MkdirAt(parent, base, 0o700)
	if err == sys.EEXIST {
		st, e := sys.StatAt(parent, base)
		if e != nil {
			return e
		}
		if err = nil; st.Mode&sys.SIfmt != sys.SIfdir {
			if err = u.clear(parent, base); err == nil {
				err = sys.MkdirAt(parent, base, 0o700)
			}
		}
	}
	if err != nil {
		return err
	}
	fd, err := sys.OpenAt(parent, base, sys.ORdonly|sys.ODir, 0)
	if err != nil {
		return err
	}
	defer sys.Close(fd)
	return u.dirMeta(fd, h, name)
}

// dirMeta sets all of a folder but its times, which later entries in it change.
func (u *unpacker) dirMeta(fd int, h *tar.Header, name string) error {
	u.dirs = append(u.dirs, &tar.Header{Name: name, ModTime: h.ModTime})
	return setMeta(fd, h, false)
}

func (u *unpacker) link(parent int, base, name string, h *tar.Header) error {
	target, err := cleanName(h.Linkname)
	if err != nil {
		return err
	}
	if target == name || target == "." {
		return sys.EINVAL
	}
	from, err := sys.OpenInRoot(u.root, path.Dir(target), sys.OPath|sys.ODir, 0)
	if err != nil {
		return fmt.Errorf("link to %s: %w", h.Linkname, err)
	}
	defer sys.Close(from)
	if a, err := sys.StatAt(from, path.Base(target)); err == nil {
		if b, err := sys.StatAt(parent, base); err == nil && a.Ino == b.Ino {
			return nil // both are that file already
		}
	}
	if err := u.clear(parent, base); err != nil {
		return err
	}
	if err := sys.LinkAt(from, path.Base(target), parent, base); err != nil {
		return fmt.Errorf("link to %s: %w", h.Linkname, err)
	}
	return nil
}

func (u *unpacker) file(parent int, base string, h *tar.Header, data io.Reader) error {
	fd, err := sys.OpenAt(parent, base, sys.OWronly|sys.OCreat|sys.OExcl, 0o600)
	if err != nil {
		return err
	}
	defer sys.Close(fd)
	w := &sparseWriter{fd: fd, u: u}
	if err := w.copy(data, h.Size); err != nil {
		return err
	}
	return setMeta(fd, h, true)
}

// setMeta gives an open file or folder what its header says. A change of owner
// clears set-user-id bits and capabilities, so it comes first.
func setMeta(fd int, h *tar.Header, times bool) error {
	if err := sys.ChownAt(fd, "", h.Uid, h.Gid); err != nil {
		return err
	}
	for k, v := range h.PAXRecords {
		name, ok := strings.CutPrefix(k, "SCHILY.xattr.")
		if !ok || !keepUnpacked(name, v) {
			continue
		}
		if err := sys.SetXattr(fd, name, []byte(v)); err != nil && err != sys.EOPNOTSUPP {
			return fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	if err := sys.Chmod(fd, uint32(h.Mode)); err != nil {
		return err
	}
	if !times {
		return nil
	}
	return sys.UtimesAt(fd, "", h.ModTime, h.ModTime)
}

// keepUnpacked says which extended attributes an archive may set. Of file
// capabilities only those of revision 2, which know no user namespace.
func keepUnpacked(name, value string) bool {
	if name == "security.capability" {
		return len(value) == 20 && value[3] == 2
	}
	return strings.HasPrefix(name, "user.")
}

// finish sets the times of the folders, the last first, where they still are.
func (u *unpacker) finish() error {
	for i := len(u.dirs) - 1; i >= 0; i-- {
		h := u.dirs[i]
		fd, err := sys.OpenBeneath(u.root, h.Name, sys.ORdonly|sys.ODir, 0)
		if err != nil {
			continue // replaced since, or reached through a link
		}
		err = sys.UtimesAt(fd, "", timeOrNow(h.ModTime), h.ModTime)
		sys.Close(fd)
		if err != nil {
			return sys.Op("set times of", h.Name, err)
		}
	}
	return nil
}

func timeOrNow(t time.Time) time.Time {
	if t.IsZero() {
		return time.Now()
	}
	return t
}
