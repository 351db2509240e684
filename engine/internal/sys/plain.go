package sys

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// PlainFlags open a file that may turn out to be a pipe: opening does not wait for
// who writes into it.
const PlainFlags = unix.O_RDONLY | unix.O_NONBLOCK

// ErrNotPlain says that what has a file's name is a pipe, a device or a socket.
var ErrNotPlain = errors.New("it is no plain file")

// OpenPlain opens a plain file to read it. What has a file's name in somebody's
// folder may be a pipe, which keeps who opens it waiting, or a device, which never
// ends; it may also become one after it was looked at, so the open file counts. flags
// are more of open's, and also is a type of file that is taken as well. Its errors are
// of type *fs.PathError.
func OpenPlain(path string, flags int, also fs.FileMode) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, PlainFlags|flags, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = &fs.PathError{Op: "read", Path: path, Err: EISDIR}
	case !info.Mode().IsRegular() && info.Mode()&also == 0:
		err = &fs.PathError{Op: "read", Path: path, Err: ErrNotPlain}
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}
