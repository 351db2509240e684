package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"vsl/engine/internal/sys"
)

// tempPrefix marks a file that a writer has not finished; its dot keeps it out
// of every listing.
const tempPrefix = ".tmp-"

// WriteJSON replaces path by v as JSON, whole or not at all: temporary file,
// fsync and rename. Neither killing the writer nor a power cut leaves a part of it;
// that the new one is there after a power cut takes a Sync of its folder.
func WriteJSON(path string, v any) error {
	data, err := encode(path, v)
	if err != nil {
		return err
	}
	return WriteFile(path, data)
}

// WriteHint is WriteJSON for what may be lost: a power cut can leave anything of
// it, and who reads it has to do without.
func WriteHint(path string, v any) error {
	data, err := encode(path, v)
	if err != nil {
		return err
	}
	return replace(path, data, false)
}

func encode(path string, v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, sys.Op("encode", path, err)
	}
	return append(data, '\n'), nil
}

// WriteFile is WriteJSON for bytes. The file is 0600.
func WriteFile(path string, data []byte) error { return replace(path, data, true) }

func replace(path string, data []byte, durable bool) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, fmt.Sprintf("%s%s-*-%d", tempPrefix, filepath.Base(path), os.Getpid()))
	if err != nil {
		return sys.Op("write", path, cause(err))
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return sys.Op("write", path, cause(err))
	}
	if durable {
		if err = f.Sync(); err != nil {
			return sys.Op("write to disk", path, cause(err))
		}
	}
	if err = f.Close(); err != nil {
		return sys.Op("write", path, cause(err))
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return sys.Op("replace", path, cause(err))
	}
	return nil
}

// A run on a guest writes no more than roomFiles files of roomSize that were not there.
const (
	roomFiles = 4
	roomSize  = 16 << 10
)

// Room tells whether a folder has room for what a run writes, by writing as much.
func Room(dir string) error {
	for range roomFiles {
		f, err := os.CreateTemp(dir, fmt.Sprintf("%sroom-*-%d", tempPrefix, os.Getpid()))
		if err != nil {
			return sys.Op("write", dir, cause(err))
		}
		defer os.Remove(f.Name())
		_, err = f.Write(make([]byte, roomSize))
		if err = errors.Join(err, f.Close()); err != nil {
			return sys.Op("write", dir, cause(err))
		}
	}
	return nil
}

// Sync makes files or folders durable, in the order given: a file before the
// folder that names it.
func Sync(paths ...string) error {
	for _, p := range paths {
		f, err := os.Open(p)
		if err == nil {
			err = f.Sync()
			f.Close()
		}
		if err != nil {
			return sys.Op("sync", p, cause(err))
		}
	}
	return nil
}

// ErrDamaged says that a file holds something else than was written into it.
var ErrDamaged = errors.New("it is damaged")

// ErrNewer says that a newer vsl wrote a file.
var ErrNewer = errors.New("a newer version of vsl wrote it")

// ReadJSON fills v from path, whose "version" may be at most newest; none counts
// as 0. A missing file is fs.ErrNotExist, one that cannot be understood ErrDamaged,
// and one of a newer version ErrNewer: of that nothing else is looked at.
func ReadJSON(path string, newest int, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return sys.Op("read", path, cause(err))
	}
	if err := Decode(data, newest, v); err != nil {
		return sys.Op("read", path, err)
	}
	return nil
}

// Decode is ReadJSON for what was read already.
func Decode(data []byte, newest int, v any) error {
	if len(data) == 0 {
		return fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if head.Version > newest {
		return fmt.Errorf("%w: its version is %d, and this vsl knows %d", ErrNewer, head.Version, newest)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// Remove deletes a file; that there is none is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return sys.Op("remove", path, cause(err))
	}
	return nil
}

// Names lists the entries of a folder that are not temporary, sorted.
func Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, sys.Op("list", dir, cause(err))
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// SweepTemp removes temporary files that a killed writer left in dir. Their
// names end in the writer's pid; the caller says through keep which ones may
// still be written.
func SweepTemp(dir string, keep func(fs.FileInfo) bool) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil
	}
	var gone []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), tempPrefix) || !info.Mode().IsRegular() || keep(info) {
			continue
		}
		p := filepath.Join(dir, e.Name())
		if err := Remove(p); err != nil {
			return gone, err
		}
		gone = append(gone, p)
	}
	return gone, nil
}
