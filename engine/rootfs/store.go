package rootfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vsl/engine/internal/sys"
)

// Store is the folder of all templates. The zero value is of no use: set Dir.
type Store struct {
	Dir string // R/templates; the package cache lies beside it, in R/cache
}

// Template is a root file system that guests are cloned from. Nothing may write
// below its folder once it is in the store.
type Template struct {
	Name    string    `json:"name"`
	Key     string    `json:"key"`
	Source  Source    `json:"source"`
	Created time.Time `json:"created"`
	Size    int64     `json:"size"` // bytes on disk
	Files   int64     `json:"files"`
	Binds   []Bind    `json:"binds,omitempty"` // host folders that its guests need, such as /usr of host()

	dir string
}

// Dir is the template's folder; RootFS is the tree in it.
func (t *Template) Dir() string    { return t.dir }
func (t *Template) RootFS() string { return filepath.Join(t.dir, "rootfs") }

// ErrNotBuilt says that a template is not in the store.
var ErrNotBuilt = errors.New("template is not built")

// tmpPrefix begins the names of builds under way.
const tmpPrefix = ".tmp-"

// Progress is told how far a build is. total is 0 while it is unknown; the unit
// depends on the stage: bytes, files or percent.
type Progress func(stage string, done, total int64)

// Lookup gives a built template, or ErrNotBuilt.
func (s *Store) Lookup(name, key string) (*Template, error) {
	return readTemplate(filepath.Join(s.Dir, name+"-"+key))
}

// Latest gives the newest template of a name, or ErrNotBuilt.
func (s *Store) Latest(name string) (*Template, error) {
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	var best *Template
	for _, t := range all {
		if t.Name == name && (best == nil || t.Created.After(best.Created)) {
			best = t
		}
	}
	if best == nil {
		return nil, sys.Op("find template", name, ErrNotBuilt)
	}
	return best, nil
}

// List gives all templates, by name and then by age.
func (s *Store) List() ([]*Template, error) {
	ents, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, sys.Op("read templates", s.Dir, unwrapPath(err))
	}
	var out []*Template
	for _, e := range ents {
		if strings.HasPrefix(e.Name(), ".") || !e.IsDir() {
			continue
		}
		t, err := readTemplate(filepath.Join(s.Dir, e.Name()))
		if errors.Is(err, ErrNotBuilt) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *Template) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return a.Created.Compare(b.Created)
	})
	return out, nil
}

func readTemplate(dir string) (*Template, error) {
	b, err := os.ReadFile(filepath.Join(dir, "template.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, sys.Op("find template", filepath.Base(dir), ErrNotBuilt)
	}
	if err != nil {
		return nil, sys.Op("read template", filepath.Base(dir), unwrapPath(err))
	}
	t := &Template{dir: dir}
	if err := json.Unmarshal(b, t); err != nil {
		return nil, sys.Op("read template", filepath.Base(dir), err)
	}
	return t, nil
}

// Remove deletes every template of a name; the caller has made sure that no
// guest uses one. Each first leaves its name, so that a killed removal leaves
// only what GC deletes.
func (s *Store) Remove(name string) error {
	all, err := s.List()
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.Name == name {
			if err := s.RemoveTemplate(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// RemoveTemplate deletes one template, as Remove does.
func (s *Store) RemoveTemplate(t *Template) error {
	gone := filepath.Join(s.Dir, fmt.Sprintf("%sgone-%s-%d", tmpPrefix, filepath.Base(t.dir), time.Now().UnixNano()))
	if err := os.Rename(t.dir, gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return sys.Op("remove template", t.Name, unwrapPath(err))
	}
	return RemoveTree(gone)
}

// GC deletes what killed builds and removals left, and gives their names. A
// build that still runs holds a lock and is left alone.
func (s *Store) GC() ([]string, error) {
	ents, err := os.ReadDir(s.Dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, sys.Op("read templates", s.Dir, unwrapPath(err))
	}
	var removed []string
	var errs []error
	for _, e := range ents {
		if !strings.HasPrefix(e.Name(), tmpPrefix) {
			continue
		}
		dir := filepath.Join(s.Dir, e.Name())
		lock, err := tryLock(dir)
		if errors.Is(err, sys.EAGAIN) {
			continue
		}
		if err == nil {
			err = RemoveTree(dir)
			_ = lock.Close()
			removed = append(removed, e.Name())
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

// tryLock locks a folder, or says EAGAIN when another process has it.
func tryLock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, sys.Op("lock", dir, unwrapPath(err))
	}
	if err := sys.FlockTry(int(f.Fd())); err != nil {
		_ = f.Close()
		return nil, sys.Op("lock", dir, err)
	}
	return f, nil
}

// lockBuild makes and locks the folder of a build, waiting for whoever has it.
func lockBuild(ctx context.Context, dir string) (*os.File, error) {
	for {
		// The holder may remove it at any moment: then it exists and does not.
		if err := os.MkdirAll(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, sys.Op("make", dir, unwrapPath(err))
		}
		f, err := tryLock(dir)
		if err == nil {
			// The former holder may have removed the folder before it let go.
			have, e1 := f.Stat()
			now, e2 := os.Lstat(dir)
			if e1 == nil && e2 == nil && os.SameFile(have, now) {
				return f, nil
			}
			_ = f.Close()
			continue
		}
		if !errors.Is(err, sys.EAGAIN) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, sys.Op("wait for another build of", filepath.Base(dir), ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
