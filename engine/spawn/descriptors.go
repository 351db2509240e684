package spawn

import (
	"errors"
	"fmt"
	"slices"

	"vsl/engine/internal/sys"
)

// files lists the descriptors that become 0, 1, 2, ...
func (l *launch) files() ([]int, error) {
	out := make([]int, max(3, len(l.a.Files)))
	null := -1
	for i := range out {
		if i < len(l.a.Files) && l.a.Files[i] != nil {
			out[i] = int(l.a.Files[i].Fd())
			continue
		}
		if null < 0 {
			fd, err := sys.OpenNull()
			if err != nil {
				return nil, sys.Op("open", "/dev/null", err)
			}
			null = fd
			l.close = append(l.close, fd)
		}
		out[i] = null
	}
	return out, nil
}

// lift makes sure that the child's number of a descriptor is at least min.
func (l *launch) lift(fd, min int) (int, error) {
	if fd == Unopened {
		return -1, errors.New("the program has a descriptor that only stands for one: it was made to be shown")
	}
	if n, ok := l.image.lifted[fd]; ok {
		return n, nil
	}
	if fd >= min {
		return fd, nil
	}
	n, err := sys.DupAbove(fd, min)
	if err != nil {
		return -1, sys.Op("dup", fmt.Sprint(fd), err)
	}
	l.image.lifted[fd] = n
	l.close = append(l.close, n)
	return n, nil
}

// gaps lists the ranges of descriptors between those that are kept.
func gaps(keep []int) [][2]Arg {
	slices.Sort(keep)
	var out [][2]Arg
	next := 0
	for _, fd := range slices.Compact(keep) {
		if fd > next {
			out = append(out, [2]Arg{Int(next), Int(fd - 1)})
		}
		next = fd + 1
	}
	return append(out, [2]Arg{Int(next), Word(0xffffffff)})
}
