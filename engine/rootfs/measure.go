package rootfs

import "vsl/engine/internal/sys"

// measure counts the files of a tree and the bytes that they take on disk.
func measure(root string) (size, files int64, err error) {
	fd, err := sys.OpenAt(sys.Cwd, root, sys.ORdonly|sys.ODir, 0)
	if err != nil {
		return 0, 0, sys.Op("measure", root, err)
	}
	t := &trail{}
	defer t.close()
	m := &measured{seen: map[uint64]bool{}}
	if err = t.push(fd, ""); err == nil {
		m.count(t.last().Stat)
		err = t.readAll()
	}
	for err == nil && len(t.levels) > 0 {
		if len(t.last().rest) == 0 {
			_, err = t.leave()
			continue
		}
		var name string
		if name, err = t.next(); err == nil {
			err = m.entry(t, name)
		}
	}
	return m.size, m.files, sys.Op("measure", root, err)
}

type measured struct {
	size, files int64
	seen        map[uint64]bool // inodes of files with several names
}

func (m *measured) entry(t *trail, name string) error {
	st, err := sys.StatAt(t.last().fd, name)
	if err != nil {
		return err
	}
	m.count(st)
	if st.Mode&sys.SIfmt != sys.SIfdir {
		return nil
	}
	if err := t.enter(name); err != nil {
		return err
	}
	return t.readAll()
}

func (m *measured) count(st sys.Stat) {
	m.files++
	if st.Nlink > 1 && st.Mode&sys.SIfmt != sys.SIfdir {
		if m.seen[st.Ino] {
			return
		}
		m.seen[st.Ino] = true
	}
	m.size += st.Blocks * 512
}
