package rootfs

import (
	"context"
	"os"
	"path"
	"runtime"
	"sync"
	"sync/atomic"

	"vsl/engine/internal/sys"
)

// copier copies a tree with everything that makes it up: owners, modes, times,
// extended attributes, hard links and holes. Links are copied, never followed;
// device nodes and sockets are left out.
type copier struct {
	ctx context.Context
	copying
	dstRoot  int
	dev      uint64
	progress func(files, bytes int64)

	busy         chan struct{} // one token for each goroutine beyond the first
	wg           sync.WaitGroup
	files, bytes atomic.Int64

	mu    sync.Mutex
	links map[uint64]firstName // of a file with several names, by its inode
	err   error
}

// copying says how a tree is copied.
type copying struct {
	reflink bool // the files share their blocks with the originals
	shift   int  // is added to every owner
}

// folder is a folder being copied: the way to it from the tree's root. No path is
// made of it until somebody needs one, as the way may be long.
type folder struct {
	up   *folder
	name string
}

// firstName is where the copy of a file with several names is.
type firstName struct {
	in   *folder
	name string
}

// copyTree copies the folder src to dst, which must not exist. To share blocks
// where the file system cannot do that is an error. Several folders are copied at
// once, each step by step from the one above, however deep. After an error the
// caller removes dst.
func copyTree(ctx context.Context, src, dst string, how copying, progress func(files, bytes int64)) error {
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
	root, err := sys.OpenAt(sys.Cwd, dst, sys.ORdonly|sys.ODir, 0)
	if err != nil {
		sys.Close(from)
		return sys.Op("open", dst, err)
	}
	defer sys.Close(root)
	to, err := sys.OpenAt(root, ".", sys.ORdonly|sys.ODir, 0)
	if err != nil {
		sys.Close(from)
		return sys.Op("open", dst, err)
	}
	c := &copier{ctx: ctx, copying: how, dstRoot: root, dev: st.Dev, progress: progress,
		busy: make(chan struct{}, 2*runtime.NumCPU()), links: map[uint64]firstName{}}
	c.dir(from, to, &folder{})
	c.wg.Wait()
	return sys.Op("copy", src, c.err)
}

func (c *copier) fail(where *folder, name string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = sys.Op("copy", where.path(name), err)
	}
}

// path is for people: of a long way only the end.
func (f *folder) path(name string) string {
	for range 40 {
		if f == nil || f.up == nil {
			return "/" + name
		}
		name, f = path.Join(f.name, name), f.up
	}
	return "…/" + name
}

// open opens the folder's copy, step by step and link-free.
func (f *folder) open(root int) (int, error) {
	var names []string
	for ; f.up != nil; f = f.up {
		names = append(names, f.name)
	}
	fd, err := sys.OpenAt(root, ".", sys.OPath|sys.ODir, 0)
	for i := len(names) - 1; i >= 0 && err == nil; i-- {
		up := fd
		fd, err = sys.OpenAt(up, names[i], sys.OPath|sys.ODir, 0)
		sys.Close(up)
	}
	return fd, err
}

func (c *copier) stopped() bool {
	if err := c.ctx.Err(); err != nil {
		c.fail(nil, "", err)
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

// pair is the way down in both trees.
type pair struct {
	src, dst trail
	at       *folder
}

// dir copies what is in the open folder from to the open folder to, which are
// closed with it.
func (c *copier) dir(from, to int, at *folder) {
	p := &pair{at: at}
	defer p.src.close()
	defer p.dst.close()
	err := p.push(from, to)
	for err == nil && len(p.src.levels) > 0 && !c.stopped() {
		l := p.src.last()
		if len(l.rest) > 0 {
			name := l.rest[0]
			l.rest = l.rest[1:]
			if err = c.entry(p, name); err != nil {
				c.fail(p.at, name, err)
				return
			}
			continue
		}
		if err = c.meta(p.dst.last().fd, l.fd, l.Stat); err == nil {
			err = p.leave()
		}
		c.report()
	}
	if err != nil {
		c.fail(p.at, "", err)
	}
}

func (p *pair) push(from, to int) error {
	err := p.src.push(from, p.at.name)
	if e := p.dst.push(to, p.at.name); err == nil {
		err = e
	}
	if err == nil {
		err = p.src.readAll()
	}
	return err
}

func (p *pair) leave() error {
	_, err := p.src.leave()
	if _, e := p.dst.leave(); err == nil {
		err = e
	}
	if len(p.src.levels) > 0 {
		p.at = p.at.up
	}
	return err
}

func (c *copier) entry(p *pair, name string) error {
	from, to := p.src.last().fd, p.dst.last().fd
	st, err := sys.StatAt(from, name)
	if err != nil {
		return err
	}
	c.files.Add(1)
	switch st.Mode & sys.SIfmt {
	case sys.SIfdir:
		return c.subdir(p, name, st)
	case sys.SIfreg:
		return c.file(p, name, st)
	case sys.SIflnk:
		l, err := sys.ReadlinkAt(from, name)
		if err == nil {
			err = sys.SymlinkAt(l, to, name)
		}
		if err == nil {
			err = c.own(to, name, st)
		}
		if err != nil {
			return err
		}
		return sys.UtimesAt(to, name, st.Atime, st.Mtime)
	case sys.SIfifo:
		err := sys.MknodAt(to, name, sys.SIfifo|0o600, 0, 0)
		if err == nil {
			err = c.own(to, name, st)
		}
		if err == nil {
			err = sys.ChmodAt(to, name, st.Mode)
		}
		return err
	}
	return nil
}

func (c *copier) subdir(p *pair, name string, st sys.Stat) error {
	to := p.dst.last().fd
	if err := sys.MkdirAt(to, name, 0o700); err != nil {
		return err
	}
	from, err := sys.OpenAt(p.src.last().fd, name, sys.ORdonly|sys.ODir, 0)
	if err != nil {
		return err
	}
	if st.Dev != c.dev {
		sys.Close(from)
		return sys.EXDEV // something is mounted in the tree
	}
	if to, err = sys.OpenAt(to, name, sys.ORdonly|sys.ODir, 0); err != nil {
		sys.Close(from)
		return err
	}
	at := &folder{up: p.at, name: name}
	select {
	case c.busy <- struct{}{}:
		c.wg.Go(func() {
			defer func() { <-c.busy }()
			c.dir(from, to, at)
		})
		return nil
	default:
		p.at = at
		return p.push(from, to)
	}
}

func (c *copier) file(p *pair, name string, st sys.Stat) error {
	fd, linked, err := c.create(p, name, st)
	if err != nil || linked {
		return err
	}
	defer sys.Close(fd)
	src, err := sys.OpenAt(p.src.last().fd, name, sys.ORdonly|sys.ONonblock, 0)
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
	return c.meta(fd, src, st)
}

// create makes the empty copy of a file, or a hard link to the copy that one of
// its other names has.
func (c *copier) create(p *pair, name string, st sys.Stat) (fd int, linked bool, err error) {
	to := p.dst.last().fd
	if st.Nlink > 1 {
		c.mu.Lock()
		defer c.mu.Unlock()
		if first, ok := c.links[st.Ino]; ok {
			in, err := first.in.open(c.dstRoot)
			if err != nil {
				return -1, true, err
			}
			defer sys.Close(in)
			return -1, true, sys.LinkAt(in, first.name, to, name)
		}
		c.links[st.Ino] = firstName{p.at, name}
	}
	fd, err = sys.OpenAt(to, name, sys.OWronly|sys.OCreat|sys.OExcl, 0o600)
	return fd, false, err
}
