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

// WriteJSON replaces path by v as JSON, whole or not at all: temporary file and
// rename. Killing the writer loses nothing; for power failures call Sync once
// all that belongs together is written.
func WriteJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return sys.Op("encode", path, err)
	}
	return WriteFile(path, append(data, '\n'))
}

// WriteFile is WriteJSON for bytes. The file is 0600.
func WriteFile(path string, data []byte) (err error) {
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
	if err = f.Close(); err != nil {
		return sys.Op("write", path, cause(err))
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return sys.Op("replace", path, cause(err))
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

// ReadJSON fills v from path. A missing file is fs.ErrNotExist.
func ReadJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return sys.Op("read", path, cause(err))
	}
	if err := json.Unmarshal(data, v); err != nil {
		return &sys.OpError{Op: "read", Target: path, Err: err, Hint: "the file is damaged; vsl rm removes the guest"}
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
