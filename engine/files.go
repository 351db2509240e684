package engine

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"vsl/engine/internal/sys"
	"vsl/engine/spawn"
)

// readMax bounds what ReadFile takes from a guest into memory.
const readMax = 64 << 20

// PathMax is how long a path can be: the kernel's PATH_MAX without the zero byte at
// its end. ErrPathTooLong is its error for a longer one.
const (
	PathMax        = 4095
	ErrPathTooLong = sys.ENAMETOOLONG
)

// inside runs f with a process of the guest that makes file operations there
// for us, with the guest's powers and not ours.
func (g *guest) inside(ctx context.Context, f func(*spawn.Inside) error) error {
	j, err := g.join()
	if err != nil {
		return err
	}
	defer j.Close()
	grp, err := g.group()
	if err != nil {
		return err
	}
	dir, err := grp.ExecFD()
	if err != nil {
		return err
	}
	defer dir.Close()
	in, err := spawn.OpenInside(ctx, j, int(dir.Fd()))
	if err != nil {
		return g.orEnding(j.PID, err)
	}
	defer in.Close()
	return g.orEnding(j.PID, f(in))
}

// WriteFile writes a file of the guest as its root. It follows the guest's
// links as a program of the guest would.
func (g *guest) WriteFile(ctx context.Context, name string, data []byte, a WriteArgs) error {
	flags := sys.O_TRUNC
	if a.Append {
		flags = sys.O_APPEND
	}
	mode := a.Mode
	if mode == 0 {
		mode = 0o644
	}
	return g.inside(ctx, func(in *spawn.Inside) error { return in.WriteFile(name, data, flags, mode) })
}

// ReadFile reads a file of the guest, at most 64 MiB of it.
func (g *guest) ReadFile(ctx context.Context, name string) (data []byte, err error) {
	err = g.inside(ctx, func(in *spawn.Inside) (err error) {
		data, err = in.ReadFile(name, readMax)
		return err
	})
	return data, err
}

// Mkdir makes a folder of the guest and its parents.
func (g *guest) Mkdir(ctx context.Context, name string, mode os.FileMode) error {
	if mode == 0 {
		mode = 0o755
	}
	return g.inside(ctx, func(in *spawn.Inside) error { return in.MkdirAll(name, mode) })
}

// Remove removes a file or a whole tree of the guest; it follows no link.
func (g *guest) Remove(ctx context.Context, name string) error {
	if path.Clean("/"+name) == "/" {
		return &OpError{Op: "remove in guest", Target: g.spec.Name, Err: errors.New("that is its whole root"), Hint: "vsl rm removes a guest"}
	}
	return g.inside(ctx, func(in *spawn.Inside) error { return in.RemoveAll(name) })
}

// Exists tells whether the guest has a file of that name.
func (g *guest) Exists(ctx context.Context, name string) (ok bool, err error) {
	err = g.inside(ctx, func(in *spawn.Inside) (err error) {
		ok, err = in.Exists(name)
		return err
	})
	return ok, err
}

// Glob lists the files of the guest that match a pattern of path.Match.
func (g *guest) Glob(ctx context.Context, pattern string) (names []string, err error) {
	err = g.inside(ctx, func(in *spawn.Inside) (err error) {
		names, err = in.Glob(pattern)
		return err
	})
	return names, err
}

// CopyIn copies a file or a tree of the host into the guest, where it belongs
// to root. Links are copied as links; what is neither file, folder nor link is
// an error. As with cp(1), a file goes into a folder that is there, or that is
// meant by a slash at the end; of a tree it is what is in it that does.
func (g *guest) CopyIn(ctx context.Context, hostPath, guestPath string) error {
	return g.inside(ctx, func(in *spawn.Inside) error {
		if src, err := os.Lstat(hostPath); err == nil && !src.IsDir() {
			if strings.HasSuffix(guestPath, "/") {
				if err := in.MkdirAll(guestPath, 0o755); err != nil {
					return err
				}
			}
			if at, err := in.Stat(guestPath); err == nil && at.IsDir() {
				guestPath = path.Join(guestPath, filepath.Base(hostPath))
			}
		}
		return filepath.WalkDir(hostPath, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return sys.Op("copy into guest", p, err)
			}
			rel, err := filepath.Rel(hostPath, p)
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return sys.Op("copy into guest", p, err)
			}
			return copyInOne(in, p, path.Join(guestPath, rel), info)
		})
	})
}

func copyInOne(in *spawn.Inside, from, to string, info fs.FileInfo) error {
	switch info.Mode().Type() {
	case fs.ModeDir:
		return in.MkdirAll(to, info.Mode().Perm())
	case fs.ModeSymlink:
		target, err := os.Readlink(from)
		if err != nil {
			return sys.Op("copy into guest", from, err)
		}
		return in.Symlink(target, to)
	case 0:
		f, info, err := sys.OpenPlain(from, sys.ONofollow, 0)
		if err != nil {
			return sys.Op("copy into guest", from, pathCause(err))
		}
		defer f.Close()
		return in.WriteFrom(f, to, sys.O_TRUNC, info.Mode().Perm())
	}
	return sys.Op("copy into guest", from, sys.ErrNotPlain)
}

// copyOutMax bounds the entries of a tree that CopyOut takes: the guest makes
// its own folders, and could make them without end.
const copyOutMax = 1_000_000

// CopyOut copies a file or a tree of the guest to the host. Whatever names,
// types and links the guest gives, nothing is written outside hostPath: the
// host's side stays below an os.Root, links are copied as links, and one that an
// earlier copy left is replaced, not followed. Holes stay holes. A file goes into
// a folder that is there, as with CopyIn.
func (g *guest) CopyOut(ctx context.Context, guestPath, hostPath string) error {
	root, err := os.OpenRoot(filepath.Dir(hostPath))
	if err != nil {
		return sys.Op("copy out of guest", hostPath, err)
	}
	defer root.Close()
	return g.inside(ctx, func(in *spawn.Inside) error {
		c := &copyOut{in: in, root: root}
		to := filepath.Base(hostPath)
		if at, err := root.Stat(to); err == nil && at.IsDir() {
			if src, err := in.Lstat(guestPath); err == nil && !src.IsDir() {
				to = filepath.Join(to, path.Base(path.Clean("/"+guestPath)))
			}
		}
		return c.entry(ctx, guestPath, to, 0)
	})
}

type copyOut struct {
	in    *spawn.Inside
	root  *os.Root
	count int
}

func (c *copyOut) entry(ctx context.Context, from, to string, depth int) error {
	if c.count++; c.count > copyOutMax || depth > 256 {
		return sys.Op("copy out of guest", from, errors.New("the tree is too big"))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := c.in.Lstat(from)
	if err != nil {
		return err
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		return c.dir(ctx, from, to, info.Mode().Perm(), depth)
	case fs.ModeSymlink:
		target, err := c.in.Readlink(from)
		if err != nil {
			return err
		}
		if err := c.replace(to); err != nil {
			return err
		}
		return sys.Op("copy out of guest", to, c.root.Symlink(target, to))
	case 0:
		return c.file(from, to, info.Mode().Perm())
	}
	return nil // devices, sockets and pipes stay where they mean something
}

// replace takes away the file or link that is in an entry's way on the host.
// All else stays, and making the entry then fails.
func (c *copyOut) replace(to string) error {
	info, err := c.root.Lstat(to)
	if err == nil && info.Mode().Type()&^fs.ModeSymlink == 0 {
		err = c.root.Remove(to)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return sys.Op("copy out of guest", to, err)
}

func (c *copyOut) file(from, to string, mode fs.FileMode) error {
	if err := c.replace(to); err != nil {
		return err
	}
	f, err := c.root.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return sys.Op("copy out of guest", to, err)
	}
	w := &sparse{f: f}
	err = c.in.ReadTo(w, from, -1)
	if err == nil {
		err = f.Truncate(w.size)
	}
	return errors.Join(err, f.Close())
}

// sparse writes a file and leaves out blocks of zeros: a file that is nearly all
// hole costs the guest nothing and must not fill the host's disk.
type sparse struct {
	f    *os.File
	size int64
}

func (s *sparse) Write(p []byte) (int, error) {
	if len(bytes.TrimLeft(p, "\x00")) > 0 {
		if n, err := s.f.WriteAt(p, s.size); err != nil {
			return n, err
		}
	}
	s.size += int64(len(p))
	return len(p), nil
}

func (c *copyOut) dir(ctx context.Context, from, to string, mode fs.FileMode, depth int) error {
	if err := c.replace(to); err != nil {
		return err
	}
	if err := c.root.Mkdir(to, mode|0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return sys.Op("copy out of guest", to, err)
	}
	entries, err := c.in.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := c.entry(ctx, path.Join(from, e.Name), filepath.Join(to, e.Name), depth+1); err != nil {
			return err
		}
	}
	return nil
}
