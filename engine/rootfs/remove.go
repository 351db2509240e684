package rootfs

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"vsl/engine/internal/sys"
)

const (
	removers     = 8   // folders that are removed at once: most of the time is waiting for the disk
	removeAgain  = 100 // times that a folder may turn out not to be empty after all
	shallow      = 2   // folders up to this depth are worth a remover of their own
	removePrefix = ".vsl-gone-"
)

// RemoveTree deletes path and everything below it. It follows no link below
// path's parent, leaves other file systems alone (an error says so), needs a few
// descriptors whatever the depth, and does not mind permissions, as its caller is
// root. Nobody else may change the tree meanwhile. What does not exist is no error.
func RemoveTree(path string) error {
	parent, err := sys.OpenAt(sys.Cwd, filepath.Dir(path), sys.OPath|sys.ODir, 0)
	if err == sys.ENOENT {
		return nil
	}
	if err != nil {
		return sys.Op("remove", path, err)
	}
	defer sys.Close(parent)
	return sys.Op("remove", path, removeAt(parent, filepath.Base(path)))
}

func removeAt(parent int, name string) error {
	if done, err := unlinkAny(parent, name); done || err != nil {
		return err
	}
	top, err := sys.OpenAt(parent, name, sys.ORdonly|sys.ODir, 0)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	defer sys.Close(top)
	r := &remover{top: top, free: make(chan struct{}, removers)}
	for i := range removeAgain {
		r.rename = i == 0
		if err := r.sweep(); err != nil {
			return err
		}
		if done, err := unlinkAny(parent, name); done || err != nil {
			return err
		}
		if err := sys.Rewind(top); err != nil {
			return err
		}
	}
	return fmt.Errorf("%q: %w", name, sys.ENOTEMPTY)
}

// remover removes what is in the folder top, several parts of it at once. A part
// is an entry of top; a folder in one becomes one by being renamed, where
// somebody is free to take it and the disk has room for the name.
type remover struct {
	top    int
	rename bool // in the first sweep, which leaves alone what has such a name: it may be in work
	free   chan struct{}
	wg     sync.WaitGroup
	n      atomic.Int64

	mu  sync.Mutex
	err error
}

func (r *remover) sweep() error {
	defer r.wg.Wait()
	for r.failed() == nil {
		names, err := sys.ReadNames(r.top)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			r.wg.Wait()
			return r.failed()
		}
		for _, n := range names {
			if r.rename && strings.HasPrefix(n, removePrefix) {
				continue
			}
			select {
			case r.free <- struct{}{}:
				r.start(n)
			default:
				r.fail(r.part(n))
			}
		}
	}
	return r.failed()
}

func (r *remover) start(name string) {
	r.wg.Go(func() {
		defer func() { <-r.free }()
		r.fail(r.part(name))
	})
}

func (r *remover) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

func (r *remover) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// part removes one entry of top, whatever it is.
func (r *remover) part(name string) error {
	if done, err := unlinkAny(r.top, name); done || err != nil {
		return err
	}
	top, err := sys.OpenAt(r.top, ".", sys.ORdonly|sys.ODir, 0)
	if err != nil {
		return err
	}
	t := &trail{}
	defer t.close()
	if err := t.push(top, ""); err != nil {
		return err
	}
	if err := t.enter(name); err != nil {
		return err
	}
	for again := 0; len(t.levels) > 1; {
		if err := r.failed(); err != nil {
			return nil // it is told already
		}
		full, err := r.empty(t)
		if err == nil && full != "" {
			err = t.enter(full)
			again = 0
		} else if err == nil {
			var left string
			if left, err = t.leave(); err == nil {
				err = r.emptied(t, left, &again)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// emptied removes a folder that was read to its end. Where the file system did
// not tell all names, because others went meanwhile, it is entered again.
func (r *remover) emptied(t *trail, name string, again *int) error {
	err := sys.UnlinkAt(t.last().fd, name, true)
	if err != sys.ENOTEMPTY && err != sys.EEXIST {
		return err
	}
	if *again++; *again > removeAgain {
		return fmt.Errorf("%q: %w", name, sys.ENOTEMPTY)
	}
	return t.enter(name)
}

// empty removes names from the last folder until one turns out to be a folder
// with something in it, which it returns; "" says that there are no more.
func (r *remover) empty(t *trail) (string, error) {
	for {
		name, err := t.next()
		if err != nil || name == "" {
			return "", err
		}
		done, err := unlinkAny(t.last().fd, name)
		if err != nil {
			return "", err
		}
		if !done && !r.handOver(t, name) {
			return name, nil
		}
	}
}

// handOver makes a full folder in the last one a part of its own.
func (r *remover) handOver(t *trail, name string) bool {
	if depth := len(t.levels) - 1; !r.rename || depth > shallow {
		return false
	}
	select {
	case r.free <- struct{}{}:
	default:
		return false
	}
	part := fmt.Sprint(removePrefix, r.n.Add(1))
	if err := sys.RenameAt(t.last().fd, name, r.top, part, true); err != nil {
		<-r.free
		return false
	}
	r.start(part)
	return true
}

// unlinkAny removes a file or an empty folder, and says false when name is a
// folder with something in it.
func unlinkAny(dir int, name string) (bool, error) {
	err := sys.UnlinkAt(dir, name, false)
	if err == sys.EISDIR || err == sys.EPERM {
		err = sys.UnlinkAt(dir, name, true)
	}
	switch err {
	case nil, sys.ENOENT:
		return true, nil
	case sys.ENOTEMPTY, sys.EEXIST:
		return false, nil
	}
	return false, fmt.Errorf("%q: %w", name, err)
}
