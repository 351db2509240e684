package rootfs

import (
	"fmt"
	"path/filepath"

	"vsl/engine/internal/sys"
)

// RemoveTree deletes path and everything below it. It follows no link below
// path's parent, leaves other file systems alone (an error says so), needs one
// descriptor whatever the depth, and does not mind permissions, as its caller is
// root. What does not exist is no error.
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

// level is one folder on the way down: what it is, its name in the folder above
// and the names in it that are still to be removed.
type level struct {
	name     string
	dev, ino uint64
	rest     []string
}

func removeAt(parent int, name string) error {
	if done, err := unlinkAny(parent, name); done || err != nil {
		return err
	}
	cur, top, err := enter(parent, name)
	if err != nil {
		return err
	}
	defer func() { sys.Close(cur) }()
	stack := []level{top}
	for {
		l := &stack[len(stack)-1]
		sub, err := clearLevel(cur, l)
		if err != nil {
			return err
		}
		if sub != "" {
			fd, next, err := enter(cur, sub)
			if err != nil {
				return err
			}
			sys.Close(cur)
			cur, stack = fd, append(stack, next)
			if next.dev != top.dev {
				return fmt.Errorf("%q is a mount point: %w", sub, sys.EBUSY)
			}
			continue
		}
		if len(stack) == 1 {
			return sys.UnlinkAt(parent, name, true)
		}
		stack = stack[:len(stack)-1]
		up, err := leave(cur, stack[len(stack)-1])
		if err != nil {
			return err
		}
		sys.Close(cur)
		cur = up
		if err := sys.UnlinkAt(cur, l.name, true); err != nil && err != sys.ENOENT {
			return err
		}
	}
}

// clearLevel removes names from the open folder cur until one turns out to be a
// folder with something in it, which it returns; "" says that cur is empty.
func clearLevel(cur int, l *level) (string, error) {
	for {
		for len(l.rest) > 0 {
			name := l.rest[0]
			l.rest = l.rest[1:]
			done, err := unlinkAny(cur, name)
			if err != nil {
				return "", err
			}
			if !done {
				return name, nil
			}
		}
		// From the start: removing may move what a folder's offset means.
		if err := sys.Rewind(cur); err != nil {
			return "", err
		}
		names, err := sys.ReadNames(cur)
		if err != nil || len(names) == 0 {
			return "", err
		}
		l.rest = names
	}
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

func enter(dir int, name string) (int, level, error) {
	fd, err := sys.OpenAt(dir, name, sys.ORdonly|sys.ODir, 0)
	if err != nil {
		return -1, level{}, fmt.Errorf("%q: %w", name, err)
	}
	st, err := sys.StatAt(fd, "")
	if err != nil {
		sys.Close(fd)
		return -1, level{}, err
	}
	return fd, level{name: name, dev: st.Dev, ino: st.Ino}, nil
}

// leave opens the folder above cur and makes sure that it is the one that the
// way down came through: somebody may have moved cur.
func leave(cur int, want level) (int, error) {
	fd, err := sys.OpenAt(cur, "..", sys.ORdonly|sys.ODir, 0)
	if err != nil {
		return -1, err
	}
	st, err := sys.StatAt(fd, "")
	if err == nil && (st.Dev != want.dev || st.Ino != want.ino) {
		err = fmt.Errorf("%q was moved while it was removed: %w", want.name, sys.EAGAIN)
	}
	if err != nil {
		sys.Close(fd)
		return -1, err
	}
	return fd, nil
}
