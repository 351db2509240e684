package sys

import (
	"errors"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CloneFile makes dst share the data of src, copy-on-write (FICLONE). It fails
// with EOPNOTSUPP, EXDEV or EINVAL where the file system cannot.
func CloneFile(dst, src int) error { return unix.IoctlFileClone(dst, src) }

// CopyData copies the data of src, of the given size, to the empty file dst in
// the kernel (copy_file_range(2)); holes stay holes. No descriptor's offset
// matters.
func CopyData(dst, src int, size int64) error {
	if err := Retry(func() error { return unix.Ftruncate(dst, size) }); err != nil {
		return err
	}
	for pos := int64(0); pos < size; {
		data, err := unix.Seek(src, pos, unix.SEEK_DATA)
		if err == unix.ENXIO {
			return nil // only a hole is left
		}
		end := size
		if err == nil {
			if end, err = unix.Seek(src, data, unix.SEEK_HOLE); err != nil {
				return err
			}
		} else {
			data = pos // this file system knows no holes
		}
		if err := copyRange(dst, src, data, min(end, size)); err != nil {
			return err
		}
		pos = end
	}
	return nil
}

func copyRange(dst, src int, from, to int64) error {
	in, out := from, from
	for in < to {
		n, err := unix.CopyFileRange(src, &in, dst, &out, int(min(to-in, 1<<30)), 0)
		switch {
		case err == EINTR:
		case err == EXDEV || err == EOPNOTSUPP || err == EINVAL || err == ENOSYS:
			return copyBuffered(dst, src, in, to)
		case err != nil:
			return err
		case n == 0:
			return nil // the file got shorter
		}
	}
	return nil
}

func copyBuffered(dst, src int, from, to int64) error {
	buf := make([]byte, 256<<10)
	for from < to {
		n, err := unix.Pread(src, buf[:min(int64(len(buf)), to-from)], from)
		if err == EINTR {
			continue
		}
		if err != nil || n == 0 {
			return err
		}
		for b := buf[:n]; len(b) > 0; {
			w, err := unix.Pwrite(dst, b, from)
			if err == EINTR {
				continue
			}
			if err != nil {
				return err
			}
			b, from = b[w:], from+int64(w)
		}
	}
	return nil
}

// Xattrs gives all extended attributes of an open file. A file system without
// them gives none.
func Xattrs(fd int) (map[string][]byte, error) {
	names, err := readGrowing(func(b []byte) (int, error) { return unix.Flistxattr(fd, b) })
	if err == EOPNOTSUPP || len(names) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		v, err := readGrowing(func(b []byte) (int, error) { return unix.Fgetxattr(fd, name, b) })
		if err == unix.ENODATA {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

func readGrowing(f func([]byte) (int, error)) ([]byte, error) {
	for {
		n, err := f(nil)
		if err != nil || n <= 0 {
			return nil, err
		}
		buf := make([]byte, n)
		if n, err = f(buf); err == nil {
			return buf[:n], nil
		}
		if !errors.Is(err, unix.ERANGE) {
			return nil, err
		}
	}
}

// SetXattr is fsetxattr(2).
func SetXattr(fd int, name string, value []byte) error {
	return Retry(func() error { return unix.Fsetxattr(fd, name, value, 0) })
}

// Resident counts the pages of a file that are in the page cache, of how many
// (mincore(2)).
func Resident(fd int, size int64) (resident, pages int, err error) {
	if size == 0 {
		return 0, 0, nil
	}
	m, err := unix.Mmap(fd, 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = unix.Munmap(m) }()
	page := int64(unix.Getpagesize())
	vec := make([]byte, (size+page-1)/page)
	if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(size), uintptr(unsafe.Pointer(&vec[0]))); e != 0 {
		return 0, 0, e
	}
	for _, v := range vec {
		resident += int(v & 1)
	}
	return resident, len(vec), nil
}

// WriteAll writes all of p to a descriptor.
func WriteAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err == EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// WriteAllAt writes all of p at an offset.
func WriteAllAt(fd int, p []byte, off int64) error {
	for len(p) > 0 {
		n, err := unix.Pwrite(fd, p, off)
		if err == EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// Truncate sets the size of an open file.
func Truncate(fd int, size int64) error {
	return Retry(func() error { return unix.Ftruncate(fd, size) })
}

// DropCache takes a file's clean pages out of the page cache where nobody uses
// them (posix_fadvise(2), POSIX_FADV_DONTNEED).
func DropCache(fd int) error { return unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) }
