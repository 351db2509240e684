package rootfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"vsl/engine/internal/sys"
)

// Build gives the template of that name, source and build flow, making it when
// the store has none. customize, which may be nil, changes the tree before it is
// frozen; the engine runs the build flow there, in a guest that has the tree as
// a direct root. A second builder of the same template waits for the first and
// takes what that made. A build that fails or is killed leaves at most a folder
// that GC deletes.
func (s *Store) Build(ctx context.Context, name string, src Source, buildKey string,
	customize func(*Template) error, progress Progress) (*Template, error) {
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	key, err := s.Key(src, buildKey)
	if err != nil {
		return nil, err
	}
	if t, err := s.Lookup(name, key); err == nil {
		return t, nil
	}
	work := filepath.Join(s.Dir, tmpPrefix+name+"-"+key)
	lock, err := lockBuild(ctx, work)
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }()
	if t, err := s.Lookup(name, key); err == nil {
		_ = os.Remove(work)
		return t, nil
	}
	t := &Template{Name: name, Key: key, Source: src, dir: filepath.Join(work, "template")}
	if err := s.build(ctx, t, lock, customize, progress); err != nil {
		if e := RemoveTree(work); e != nil {
			err = fmt.Errorf("%w; and %w", err, e)
		}
		return nil, err
	}
	if err := s.publish(t, work); err != nil {
		return nil, err
	}
	return t, nil
}

func (s *Store) build(ctx context.Context, t *Template, lock *os.File,
	customize func(*Template) error, progress Progress) error {
	if err := RemoveTree(t.dir); err != nil { // of a killed build
		return err
	}
	if err := makeDir(t.dir, 0o700); err != nil {
		return err
	}
	if err := makeDir(t.RootFS(), 0o755); err != nil {
		return err
	}
	var err error
	if t.Binds, err = s.binds(t.Source); err != nil {
		return err
	}
	if err := s.base(ctx, t, lock, progress); err != nil {
		return err
	}
	if err := completeLayout(t.RootFS()); err != nil {
		return err
	}
	if customize != nil {
		progress("build flow", 0, 0)
		if err := customize(t); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return sys.Op("build template", t.Name, err)
	}
	t.Size, t.Files, err = measure(t.RootFS())
	return err
}

// base fills the template's tree from its source.
func (s *Store) base(ctx context.Context, t *Template, lock *os.File, progress Progress) error {
	switch t.Source.Kind {
	case "host":
		progress("host", 0, 0)
		return hostTree(t.RootFS())
	case "debian":
		return s.debianTree(ctx, t, lock, progress)
	case "tar":
		return tarTree(ctx, t, progress)
	case "template":
		return s.templateTree(ctx, t, progress)
	}
	return sys.Op("build template", t.Name, fmt.Errorf("unknown kind of source %q", t.Source.Kind))
}

// publish writes the template to disk and gives it its name, in that order.
func (s *Store) publish(t *Template, work string) error {
	t.Created = time.Now().UTC().Truncate(time.Millisecond)
	if err := writeJSON(filepath.Join(t.dir, "template.json"), t); err != nil {
		return err
	}
	store, err := os.Open(s.Dir)
	if err != nil {
		return sys.Op("open", s.Dir, unwrapPath(err))
	}
	defer func() { _ = store.Close() }()
	if err := sys.SyncFS(int(store.Fd())); err != nil {
		return sys.Op("write to disk", t.Name, err)
	}
	final := filepath.Join(s.Dir, t.Name+"-"+t.Key)
	if err := os.Rename(t.dir, final); err != nil {
		return sys.Op("name template", final, unwrapPath(err))
	}
	t.dir = final
	if err := store.Sync(); err != nil {
		return sys.Op("write to disk", s.Dir, unwrapPath(err))
	}
	_ = RemoveTree(work) // what stays is GC's
	return nil
}

// makeDir makes a folder with exactly this mode, whatever the umask.
func makeDir(path string, mode os.FileMode) error {
	if err := os.Mkdir(path, mode); err != nil {
		return sys.Op("make folder", path, unwrapPath(err))
	}
	return sys.Op("set mode", path, unwrapPath(os.Chmod(path, mode)))
}

// completeLayout makes the folders on which every guest needs a mount, where
// the base lacks them. A link in such a place is an error: the mounts would
// have no certain place.
func completeLayout(rootfs string) error {
	root, err := os.Open(rootfs)
	if err != nil {
		return sys.Op("open", rootfs, unwrapPath(err))
	}
	defer func() { _ = root.Close() }()
	for _, d := range []struct {
		name string
		mode uint32
	}{{"dev", 0o755}, {"proc", 0o555}, {"sys", 0o555}, {"run", 0o755}, {"tmp", 0o1777}, {"etc", 0o755}} {
		fd, err := ensureDir(int(root.Fd()), d.name, d.mode, 0)
		if err != nil {
			return err
		}
		sys.Close(fd)
	}
	return nil
}

// ensureDir opens the folder path below dirfd as O_PATH, link-free, and makes
// its missing parts, owned by uid.
func ensureDir(dirfd int, path string, mode uint32, uid int) (int, error) {
	fd, err := sys.OpenBeneath(dirfd, path, sys.OPath|sys.ODir, 0)
	if err == nil || err != sys.ENOENT {
		return fd, notPlain(path, err)
	}
	parent, name := filepath.Split(path)
	dir := dirfd
	if parent != "" {
		if dir, err = ensureDir(dirfd, filepath.Clean(parent), 0o755, uid); err != nil {
			return -1, err
		}
		defer sys.Close(dir)
	}
	if err := sys.MkdirAt(dir, name, mode); err != nil && err != sys.EEXIST {
		return -1, sys.Op("make folder", path, err)
	}
	if fd, err = sys.OpenAt(dir, name, sys.ORdonly|sys.ODir, 0); err != nil {
		return -1, notPlain(path, err)
	}
	if err = sys.ChownAt(fd, "", uid, uid); err == nil {
		err = sys.Chmod(fd, mode)
	}
	if err != nil {
		sys.Close(fd)
		return -1, sys.Op("make folder", path, err)
	}
	return fd, nil
}

func notPlain(path string, err error) error {
	if err == sys.ELOOP || err == sys.ENOTDIR {
		return &sys.OpError{Op: "open", Target: "/" + path, Err: err, Hint: "the guest's root has something other than a plain folder there"}
	}
	return sys.Op("open", "/"+path, err)
}
