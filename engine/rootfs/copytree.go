package rootfs

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"vsl/engine/internal/sys"
)

// copier copies a tree with everything that makes it up: owners, modes, times,
// extended attributes, hard links and holes. Links are copied, never followed;
// device nodes and sockets are left out.
type copier struct {
	ctx      context.Context
	reflink  bool
	dstRoot  int
	dev      uint64
	progress func(files, bytes int64)

	busy         chan struct{} // one token for each goroutine beyond the first
	wg           sync.WaitGroup
	files, bytes atomic.Int64

	mu    sync.Mutex
	links map[uint64]string // inode of a file with several names to its path in the copy
	err   error
}

// copyTree copies the folder src to dst, which must not exist. With reflink the
// files share their blocks with the originals, and it is an error where the
// file system cannot do that. Several folders are copied at once. After an error
// the caller removes dst.
func copyTree(ctx context.Context, src, dst string, reflink bool, progress func(files, bytes int64)) error {
	if err := os.Mkdir(dst, 0o700); err != nil {
		return sys.Op("make folder", dst, unwrapPath(err))
	}
	from, err := sys.OpenAt(sys.Cwd, src, sys.ORdonly|sys.ODir, 0)
	if err != nil {
		return sys.Op("open", src, err)
	}
	st, err := sys.StatAt(from, "")
	if err != nil {
		sys.Close(from)
		return sys.Op("open", src, err)
	}
	to, err := sys.OpenAt(sys.Cwd, dst, sys.ORdonly|sys.ODir, 0)
	if err != nil {
		sys.Close(from)
		return sys.Op("open", dst, err)
	}
	defer sys.Close(to)
	c := &copier{ctx: ctx, reflink: reflink, dstRoot: to, dev: st.Dev, progress: progress,
		busy: make(chan struct{}, 2*runtime.NumCPU()), links: map[uint64]string{}}
	c.dir(from, ".", st)
	c.wg.Wait()
	return sys.Op("copy", src, c.err)
}

func (c *copier) fail(where string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = sys.Op("copy", "/"+where, err)
	}
}

func (c *copier) stopped() bool {
	if err := c.ctx.Err(); err != nil {
		c.fail("", err)
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// report calls the progress function, one call at a time.
func (c *copier) report() {
	if c.progress == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress(c.files.Load(), c.bytes.Load())
}

// dir copies what is in the open folder from, and closes it; rel is its path in
// the tree, where the copy's folder exists already.
func (c *copier) dir(from int, rel string, st sys.Stat) {
	defer sys.Close(from)
	to, err := sys.OpenBeneath(c.dstRoot, rel, sys.ORdonly|sys.ODir, 0)
	if err != nil {
		c.fail(rel, err)
		return
	}
	defer sys.Close(to)
	for !c.stopped() {
		names, err := sys.ReadNames(from)
		if err != nil {
			c.fail(rel, err)
			return
		}
		if len(names) == 0 {
			break
		}
		for _, n := range names {
			if err := c.entry(from, to, rel, n); err != nil {
				c.fail(path.Join(rel, n), err)
				return
			}
		}
		c.report()
	}
	if err := copyMeta(to, from, st); err != nil {
		c.fail(rel, err)
	}
}

func (c *copier) entry(from, to int, rel, name string) error {
	st, err := sys.StatAt(from, name)
	if err != nil {
		return err
	}
	c.files.Add(1)
	switch st.Mode & sys.SIfmt {
	case sys.SIfdir:
		return c.subdir(from, to, path.Join(rel, name), name, st)
	case sys.SIfreg:
		return c.file(from, to, path.Join(rel, name), name, st)
	case sys.SIflnk:
		l, err := sys.ReadlinkAt(from, name)
		if err == nil {
			err = sys.SymlinkAt(l, to, name)
		}
		if err == nil {
			err = sys.ChownAt(to, name, int(st.UID), int(st.GID))
		}
		if err != nil {
			return err
		}
		return sys.UtimesAt(to, name, st.Atime, st.Mtime)
	case sys.SIfifo:
		err := sys.MknodAt(to, name, sys.SIfifo|0o600, 0, 0)
		if err == nil {
			err = sys.ChownAt(to, name, int(st.UID), int(st.GID))
		}
		if err == nil {
			err = sys.ChmodAt(to, name, st.Mode)
		}
		return err
	}
	return nil
}

func (c *copier) subdir(from, to int, rel, name string, st sys.Stat) error {
	if err := sys.MkdirAt(to, name, 0o700); err != nil {
		return err
	}
	sub, err := sys.OpenAt(from, name, sys.ORdonly|sys.ODir, 0)
	if err != nil {
		return err
	}
	if st.Dev != c.dev {
		sys.Close(sub)
		return sys.EXDEV // something is mounted in the tree
	}
	select {
	case c.busy <- struct{}{}:
		c.wg.Go(func() {
			defer func() { <-c.busy }()
			c.dir(sub, rel, st)
		})
	default:
		c.dir(sub, rel, st)
	}
	return nil
}

func (c *copier) file(from, to int, rel, name string, st sys.Stat) error {
	fd, linked, err := c.create(to, rel, name, st)
	if err != nil || linked {
		return err
	}
	defer sys.Close(fd)
	src, err := sys.OpenAt(from, name, sys.ORdonly|sys.ONonblock, 0)
	if err != nil {
		return err
	}
	defer sys.Close(src)
	if st.Size > 0 {
		if c.reflink {
			err = sys.CloneFile(fd, src)
		} else {
			err = sys.CopyData(fd, src, st.Size)
		}
		if err != nil {
			return err
		}
	}
	c.bytes.Add(st.Size)
	return copyMeta(fd, src, st)
}

// create makes the empty copy of a file, or a hard link to the copy that one of
// its other names has.
func (c *copier) create(to int, rel, name string, st sys.Stat) (fd int, linked bool, err error) {
	if st.Nlink > 1 {
		c.mu.Lock()
		defer c.mu.Unlock()
		if first, ok := c.links[st.Ino]; ok {
			return -1, true, sys.LinkAt(c.dstRoot, first, to, name)
		}
		c.links[st.Ino] = rel
	}
	fd, err = sys.OpenAt(to, name, sys.OWronly|sys.OCreat|sys.OExcl, 0o600)
	return fd, false, err
}

// copyMeta gives the open file or folder to what from and st have. The order
// matters: a change of owner clears set-user-id bits and capabilities, and every
// change sets the times.
func copyMeta(to, from int, st sys.Stat) error {
	if err := sys.ChownAt(to, "", int(st.UID), int(st.GID)); err != nil {
		return err
	}
	attrs, err := sys.Xattrs(from)
	if err != nil {
		return err
	}
	for k, v := range attrs {
		if !keepXattr(k) {
			continue
		}
		if err := sys.SetXattr(to, k, v); err != nil && err != sys.EOPNOTSUPP {
			return err
		}
	}
	if err := sys.Chmod(to, st.Mode); err != nil {
		return err
	}
	return sys.UtimesAt(to, "", st.Atime, st.Mtime)
}

// keepXattr says which extended attributes belong to a file and not to the
// machine that it comes from.
func keepXattr(name string) bool {
	return name == "security.capability" || strings.HasPrefix(name, "user.") ||
		strings.HasPrefix(name, "system.posix_acl_")
}

// measure counts the files of a tree and the bytes that they take on disk.
func measure(root string) (size, files int64, err error) {
	seen := map[uint64]bool{}
	err = filepath.WalkDir(root, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := sys.StatAt(sys.Cwd, p)
		if err != nil {
			return err
		}
		files++
		if st.Nlink > 1 && st.Mode&sys.SIfmt != sys.SIfdir {
			if seen[st.Ino] {
				return nil
			}
			seen[st.Ino] = true
		}
		size += st.Blocks * 512
		return nil
	})
	if errors.Is(err, sys.ENAMETOOLONG) {
		err = sys.ENAMETOOLONG
	}
	return size, files, sys.Op("measure", root, err)
}
