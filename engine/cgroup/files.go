package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"vsl/engine/internal/sys"
)

// read gives the content of a cgroup file.
func read(path string) (string, error) {
	data, err := os.ReadFile(path)
	return string(data), err
}

// readInt gives the number in a cgroup file; -1 where there is no such file or
// no such number.
func readInt(path string) int64 {
	data, err := read(path)
	if err != nil {
		return -1
	}
	n, ok := parseNumber(data)
	if !ok {
		return -1
	}
	return n
}

// write writes a value in one write(2), as the kernel wants it. It never
// creates: a missing file is ENOENT.
func write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// mkdir makes a group that everybody may pass through, whatever the umask: on Linux 6.1
// the mount of cgroup2 in a guest walks, as guest root, the groups
// above its own.
func mkdir(dir string) error {
	if err := os.Mkdir(dir, groupMode); err != nil {
		return err
	}
	if err := os.Chmod(dir, groupMode); !gone(err) {
		return err
	}
	return nil // another vsl removed it at once; using it says so
}

// mkdirAll makes a group and those above it where they are missing.
func mkdirAll(dir string) error {
	err := mkdir(dir)
	if gone(err) {
		if err := mkdirAll(filepath.Dir(dir)); err != nil {
			return err
		}
		err = mkdir(dir)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

const groupMode = 0o755

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, sys.ENODEV)
}

// children lists the groups directly below dir. A group that went away
// meanwhile has none.
func children(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, nil
}

// walk calls f for dir and every group below it, parents first. The tree is
// the guest's to change meanwhile; maxDepth bounds it because Create does.
func walk(dir string, f func(dir string) error) error {
	type at struct {
		dir   string
		depth int
	}
	todo := []at{{dir, 0}}
	for len(todo) > 0 {
		cur := todo[0]
		todo = todo[1:]
		if err := f(cur.dir); err != nil {
			return err
		}
		if cur.depth > 2*maxDepth {
			return sys.Op("walk cgroup", cur.dir, sys.ELOOP)
		}
		kids, err := children(cur.dir)
		if err != nil {
			return err
		}
		for _, k := range kids {
			todo = append(todo, at{k, cur.depth + 1})
		}
	}
	return nil
}
