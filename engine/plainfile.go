package engine

import (
	"fmt"
	"io"
	"io/fs"
	"strings"

	"vsl/engine/internal/sys"
)

// PlainFlags open a file that may turn out to be a pipe, without waiting.
const PlainFlags = sys.PlainFlags

// ReadPlain reads a plain file of no more than limit bytes, see sys.OpenPlain. A pipe
// that has its name from the shell, as in <(command), is read. checks are shown the
// file that is open, so that it is the one that is read.
func ReadPlain(path string, limit int64, checks ...func(fs.FileInfo) error) ([]byte, error) {
	var also fs.FileMode
	if strings.HasPrefix(path, "/dev/") {
		also = fs.ModeNamedPipe
	}
	f, info, err := sys.OpenPlain(path, 0, also)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for _, check := range checks {
		if err := check(info); err != nil {
			return nil, err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d bytes", limit)}
	}
	return data, err
}
