package rootfs

import (
	"fmt"

	"vsl/engine/internal/sys"
)

// trailOpen is how many folders of a trail are open at once.
const trailOpen = 16

// trail is the way down into a tree, folder by folder: each is opened by one name
// in the one above, so that no path is looked up, however deep it gets, and no
// link followed. Only the last few stay open. The others are found again by "..",
// and are to be those that the way down came through.
type trail struct{ levels []level }

// level is one folder of a trail: its name in the folder above, what it is, and
// the names in it that are still to be dealt with.
type level struct {
	fd   int // < 0: closed for the time being
	name string
	sys.Stat
	rest []string
}

// push makes the open folder fd, which the trail closes, its last.
func (t *trail) push(fd int, name string) error {
	st, err := sys.StatAt(fd, "")
	if err == nil && len(t.levels) > 0 && st.Dev != t.levels[0].Dev {
		err = fmt.Errorf("%q is a mount point: %w", name, sys.EBUSY)
	}
	if err != nil {
		sys.Close(fd)
		return err
	}
	if n := len(t.levels) - trailOpen; n >= 0 {
		sys.Close(t.levels[n].fd)
		t.levels[n].fd = -1
	}
	t.levels = append(t.levels, level{fd: fd, name: name, Stat: st})
	return nil
}

// enter opens a folder in the last one and makes it the last.
func (t *trail) enter(name string) error {
	fd, err := sys.OpenAt(t.last().fd, name, sys.ORdonly|sys.ODir, 0)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	return t.push(fd, name)
}

func (t *trail) last() *level { return &t.levels[len(t.levels)-1] }

// leave makes the folder above the last one the last, and gives the name of the
// one that it left.
func (t *trail) leave() (name string, err error) {
	old := *t.last()
	defer sys.Close(old.fd)
	t.levels = t.levels[:len(t.levels)-1]
	if len(t.levels) == 0 || t.last().fd >= 0 {
		return old.name, nil
	}
	up := t.last()
	fd, err := sys.OpenAt(old.fd, "..", sys.ORdonly|sys.ODir, 0)
	if err != nil {
		return old.name, err
	}
	st, err := sys.StatAt(fd, "")
	if err == nil && (st.Dev != up.Dev || st.Ino != up.Ino) {
		err = fmt.Errorf("%q was moved meanwhile: %w", old.name, sys.EAGAIN)
	}
	if err != nil {
		sys.Close(fd)
		return old.name, err
	}
	up.fd = fd
	return old.name, nil
}

// next gives the next name in the last folder; "" is the end.
func (t *trail) next() (string, error) {
	l := t.last()
	if len(l.rest) == 0 {
		names, err := sys.ReadNames(l.fd)
		if err != nil || len(names) == 0 {
			return "", err
		}
		l.rest = names
	}
	name := l.rest[0]
	l.rest = l.rest[1:]
	return name, nil
}

// readAll reads the names that are left in the last folder, for who will come
// back to it by "..", where reading would begin anew.
func (t *trail) readAll() error {
	l := t.last()
	for {
		names, err := sys.ReadNames(l.fd)
		if err != nil || len(names) == 0 {
			return err
		}
		l.rest = append(l.rest, names...)
	}
}

func (t *trail) close() {
	for _, l := range t.levels {
		sys.Close(l.fd)
	}
	t.levels = nil
}
