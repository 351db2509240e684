package spawn

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"

	"vsl/engine/internal/sys"
)

// ErrTooBig says that a file of a guest is longer than the caller wants, or a
// folder has more in it than can be listed.
var ErrTooBig = errors.New("file or folder too big")

func opIn(op, target string, err error) error { return sys.Op(op+" in guest", target, err) }

// ReadFile reads a whole file of at most limit bytes.
func (in *Inside) ReadFile(name string, limit int64) ([]byte, error) {
	var b bytes.Buffer
	err := in.ReadTo(&b, name, limit)
	return b.Bytes(), err
}

// ReadTo copies a file of at most limit bytes (< 0: any number) to w. It reads
// regular files and whatever ends like one; what would block is an error.
func (in *Inside) ReadTo(w io.Writer, name string, limit int64) error {
	fd, err := in.open(name, sys.O_RDONLY, 0)
	if err != nil {
		return opIn("open", name, err)
	}
	defer in.close(fd)
	for total := int64(0); ; {
		n, err := in.call(request{nr: sys.NrRead, args: [6]uintptr{fd, in.data(), insideData}, out: insideData, outResult: true})
		if err != nil {
			return opIn("read", name, err)
		}
		if n == 0 {
			return nil
		}
		if total += int64(n); limit >= 0 && total > limit {
			return opIn("read", name, ErrTooBig)
		}
		if _, err := w.Write(in.buf[:n]); err != nil {
			return opIn("copy", name, err)
		}
	}
}

// WriteFile writes data to a file. flags are O_APPEND, O_EXCL or O_TRUNC, to
// which O_CREAT and O_WRONLY are added; mode is set exactly on a file that is
// not appended to.
func (in *Inside) WriteFile(name string, data []byte, flags int, mode fs.FileMode) error {
	return in.WriteFrom(bytes.NewReader(data), name, flags, mode)
}

// WriteFrom is WriteFile with what r gives.
func (in *Inside) WriteFrom(r io.Reader, name string, flags int, mode fs.FileMode) error {
	fd, err := in.open(name, flags|sys.O_WRONLY|sys.O_CREAT, unixMode(mode))
	if err != nil {
		return opIn("open", name, err)
	}
	defer in.close(fd)
	if flags&sys.O_APPEND == 0 {
		if _, err := in.call(request{nr: sys.NrFchmod, args: [6]uintptr{fd, uintptr(unixMode(mode))}}); err != nil {
			return opIn("chmod", name, err)
		}
	}
	for {
		n, rerr := io.ReadFull(r, in.buf[:insideData])
		if err := in.write(fd, n); err != nil {
			return opIn("write", name, err)
		}
		if rerr == io.EOF || rerr == io.ErrUnexpectedEOF {
			return nil
		}
		if rerr != nil {
			return opIn("copy", name, rerr)
		}
	}
}

// write writes the first n bytes of the buffer, which the process keeps while
// the kernel takes only part of them.
func (in *Inside) write(fd uintptr, n int) error {
	send := n
	for at := 0; at < n; {
		k, err := in.call(request{nr: sys.NrWrite, args: [6]uintptr{fd, in.data() + uintptr(at), uintptr(n - at)}, in: send})
		if err != nil {
			return err
		}
		at, send = at+int(k), 0
	}
	return nil
}

// Mkdir makes a directory with exactly this mode.
func (in *Inside) Mkdir(name string, mode fs.FileMode) error {
	_, err := in.onPath(sys.NrMkdirat, name, uintptr(unixMode(mode)))
	return opIn("mkdir", name, err)
}

// MkdirAll makes a directory and its parents; what is there already stays as
// it is, but must be a directory.
func (in *Inside) MkdirAll(name string, mode fs.FileMode) error {
	name = path.Clean("/" + name)
	for i := 1; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		if err := in.Mkdir(name[:i], mode); err != nil && !errors.Is(err, sys.EEXIST) {
			return err
		}
	}
	st, err := in.Stat(name)
	if err == nil && !st.IsDir() {
		err = opIn("mkdir", name, sys.ENOTDIR)
	}
	return err
}

// Symlink makes a symbolic link.
func (in *Inside) Symlink(target, name string) error {
	to, err := in.path(0, target)
	if err == nil {
		var at uintptr
		if at, err = in.path(1, name); err == nil {
			cwd := sys.AT_FDCWD
			_, err = in.call(request{nr: sys.NrSymlinkat, args: [6]uintptr{to, uintptr(cwd), at}, inAt: insideData, in: 2 * insidePath})
		}
	}
	return opIn("symlink", name, err)
}

// Readlink gives what a symbolic link says.
func (in *Inside) Readlink(name string) (string, error) {
	at, err := in.path(0, name)
	if err != nil {
		return "", opIn("readlink", name, err)
	}
	cwd := sys.AT_FDCWD
	n, err := in.call(request{nr: sys.NrReadlinkat, args: [6]uintptr{uintptr(cwd), at, in.data(), insidePath},
		inAt: insideData, in: len(name) + 1, out: insidePath, outResult: true})
	if err != nil {
		return "", opIn("readlink", name, err)
	}
	return string(in.buf[:n]), nil
}

// Chmod changes a mode, following links.
func (in *Inside) Chmod(name string, mode fs.FileMode) error {
	_, err := in.onPath(sys.NrFchmodat, name, uintptr(unixMode(mode)))
	return opIn("chmod", name, err)
}

// Lchown changes the owner, as the guest counts ids, not following links.
func (in *Inside) Lchown(name string, uid, gid int) error {
	_, err := in.onPath(sys.NrFchownat, name, uintptr(uid), uintptr(gid), sys.AT_SYMLINK_NOFOLLOW)
	return opIn("chown", name, err)
}

// Stat follows links, Lstat does not.
func (in *Inside) Stat(name string) (*FileInfo, error) { return in.statx(name, 0) }
func (in *Inside) Lstat(name string) (*FileInfo, error) {
	return in.statx(name, sys.AT_SYMLINK_NOFOLLOW)
}

// Exists tells whether a name leads to something.
func (in *Inside) Exists(name string) (bool, error) {
	_, err := in.Stat(name)
	if errors.Is(err, sys.ENOENT) || errors.Is(err, sys.ENOTDIR) {
		return false, nil
	}
	return err == nil, err
}

func (in *Inside) statx(name string, flags uintptr) (*FileInfo, error) {
	at, err := in.path(0, name)
	if err != nil {
		return nil, opIn("stat", name, err)
	}
	cwd := sys.AT_FDCWD
	_, err = in.call(request{nr: sys.NrStatx, args: [6]uintptr{uintptr(cwd), at, flags, sys.STATX_BASIC_STATS, in.data()},
		inAt: insideData, in: len(name) + 1, out: sys.StatxSize})
	if err != nil {
		return nil, opIn("stat", name, err)
	}
	return &FileInfo{name: path.Base(name), Statx: sys.ParseStatx(in.buf)}, nil
}

// dirMax bounds the entries of a directory that are listed, which are held in
// memory: a guest can make them without end, or while they are being read.
const dirMax = 1_000_000

// ReadDir lists a directory, sorted by name, without . and ...
func (in *Inside) ReadDir(name string) ([]DirEntry, error) {
	fd, err := in.open(name, sys.O_RDONLY|sys.O_DIRECTORY, 0)
	if err != nil {
		return nil, opIn("open", name, err)
	}
	defer in.close(fd)
	var out []DirEntry
	for {
		n, err := in.call(request{nr: sys.NrGetdents64, args: [6]uintptr{fd, in.data(), insideData}, out: insideData, outResult: true})
		if err != nil {
			return nil, opIn("list", name, err)
		}
		if n == 0 {
			sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
			return out, nil
		}
		if out = appendDirents(out, in.buf[:n]); len(out) > dirMax {
			return nil, opIn("list", name, ErrTooBig)
		}
	}
}

// RemoveAll removes a name and all below it; what is not there is no error. It
// follows no link at the end of a name.
func (in *Inside) RemoveAll(name string) error {
	name = path.Clean("/" + name)
	if name == "/" {
		return opIn("remove", name, sys.EBUSY)
	}
	_, err := in.onPath(sys.NrUnlinkat, name, 0)
	if err == nil || err == sys.ENOENT || err == sys.ENOTDIR {
		return nil
	}
	if err != sys.EISDIR && err != sys.EPERM {
		return opIn("remove", name, err)
	}
	_, rerr := in.onPath(sys.NrUnlinkat, name, sys.AT_REMOVEDIR)
	if rerr == nil || rerr == sys.ENOENT {
		return nil
	}
	if rerr == sys.ENOTDIR {
		return opIn("remove", name, err)
	}
	if rerr != sys.ENOTEMPTY && rerr != sys.EEXIST {
		return opIn("remove", name, rerr)
	}
	list, err := in.ReadDir(name)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := in.RemoveAll(name + "/" + e.Name); err != nil {
			return err
		}
	}
	_, err = in.onPath(sys.NrUnlinkat, name, sys.AT_REMOVEDIR)
	return opIn("remove", name, err)
}

// Glob lists the paths that match a pattern (path.Match in each part), sorted. What
// cannot be looked at or listed, or vanishes meanwhile, matches nothing, as in a shell:
// a guest has such folders in /proc, and could make them anywhere.
func (in *Inside) Glob(pattern string) ([]string, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, opIn("glob", pattern, err)
	}
	found := []string{""}
	for _, part := range strings.Split(strings.Trim(path.Clean("/"+pattern), "/"), "/") {
		var next []string
		for _, dir := range found {
			more, err := in.globPart(dir, part)
			if err != nil {
				return nil, err
			}
			if next = append(next, more...); len(next) > dirMax { // links to . multiply
				return nil, opIn("glob", pattern, ErrTooBig)
			}
		}
		found = next
	}
	return found, nil
}

func (in *Inside) globPart(dir, part string) ([]string, error) {
	if !strings.ContainsAny(part, `*?[\`) {
		if _, err := in.Lstat(dir + "/" + part); err != nil {
			return nil, absent(err)
		}
		return []string{dir + "/" + part}, nil
	}
	list, err := in.ReadDir(dir + "/")
	if err != nil {
		return nil, absent(err)
	}
	var out []string
	for _, e := range list {
		if ok, _ := path.Match(part, e.Name); ok && (e.Name[0] != '.' || part[0] == '.') {
			out = append(out, dir+"/"+e.Name)
		}
	}
	return out, nil
}

// absent makes nil of the errors of names that are not there or not readable. EINVAL
// is what listing /proc/PID/net gives of a process that has ended (fs/proc/proc_net.c).
func absent(err error) error {
	for _, e := range []error{sys.ENOENT, sys.ENOTDIR, sys.EACCES, sys.EPERM, sys.ESRCH, sys.EINVAL, sys.ELOOP, sys.ENAMETOOLONG} {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}
