package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"vsl/engine/internal/sys"
)

// PlainFlags open a file that may turn out to be a pipe: opening does not wait for
// who writes into it.
const PlainFlags = os.O_RDONLY | sys.ONonblock

// ReadPlain reads a plain file of no more than limit bytes. What has a file's name
// in somebody's folder may be a pipe, which keeps who opens it waiting, or a device,
// which never ends. A pipe that has its name from the shell, as in <(command), is read.
func ReadPlain(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, PlainFlags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	refuse := func(err error) error { return &fs.PathError{Op: "read", Path: path, Err: err} }
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		return nil, refuse(errors.New("is a directory"))
	case info.Mode().IsRegular():
	case info.Mode()&fs.ModeNamedPipe != 0 && strings.HasPrefix(path, "/dev/"):
	default:
		return nil, refuse(errors.New("it is no plain file"))
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, refuse(fmt.Errorf("it has more than %d bytes", limit))
	}
	return data, err
}
