//go:build linux

package rootfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vsl/engine/internal/sys"
)

func TestCloneTwiceAndHalf(t *testing.T) {
	requireRoot(t)
	d := t.TempDir()
	tmpl := hostTemplate(t, d)
	for _, kind := range []CloneKind{Overlay, Copy} {
		g := filepath.Join(d, string(kind))
		for _, half := range []string{"upper.tmp/x", "root.tmp/etc", "work/work"} {
			if err := os.MkdirAll(filepath.Join(g, half), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if k, err := Cloned(g); k != "" || err != nil {
			t.Errorf("half a clone counts as %q, %v", k, err)
		}
		if err := Clone(context.Background(), tmpl, g, kind, testUID); err != nil {
			t.Fatal(err)
		}
		if k, err := Cloned(g); k != kind || err != nil {
			t.Errorf("Cloned = %q, %v", k, err)
		}
		if err := Clone(context.Background(), tmpl, g, kind, testUID); !errors.Is(err, sys.EEXIST) {
			t.Errorf("a second clone gave %v", err)
		}
		if err := os.MkdirAll(filepath.Join(g, "upper.tmp/x"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := RemoveClone(g); err != nil {
			t.Fatal(err)
		}
		if ents, _ := os.ReadDir(g); len(ents) > 0 {
			t.Errorf("RemoveClone left %v", ents)
		}
	}
}

func TestBuildOnceForAll(t *testing.T) {
	requireRoot(t)
	s := &Store{Dir: filepath.Join(t.TempDir(), "templates")}
	var built atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			tm, err := s.Build(context.Background(), "t", Source{Kind: "host"}, "flow", func(tm *Template) error {
				built.Add(1)
				time.Sleep(50 * time.Millisecond)
				return os.WriteFile(filepath.Join(tm.RootFS(), "etc/made"), nil, 0o644)
			}, nil)
			if err != nil || tm.Files == 0 || len(tm.Binds) == 0 {
				t.Errorf("Build = %+v, %v", tm, err)
			}
		})
	}
	wg.Wait()
	if built.Load() != 1 {
		t.Errorf("built %d times", built.Load())
	}
	checkStore(t, s, 1)
}

func TestBuildFails(t *testing.T) {
	requireRoot(t)
	s := &Store{Dir: filepath.Join(t.TempDir(), "templates")}
	boom := errors.New("boom")
	if _, err := s.Build(context.Background(), "t", Source{Kind: "host"}, "", func(*Template) error { return boom }, nil); !errors.Is(err, boom) {
		t.Errorf("Build gave %v", err)
	}
	checkStore(t, s, 0)
	// One that was killed, and one that still runs.
	key, err := s.Key(Source{Kind: "host"}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{".tmp-t-" + key + "/template/rootfs/etc", ".tmp-dead-1/template", ".tmp-alive-2/template"} {
		if err := os.MkdirAll(filepath.Join(s.Dir, n), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	alive, err := tryLock(filepath.Join(s.Dir, ".tmp-alive-2"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Build(context.Background(), "t", Source{Kind: "host"}, "", nil, nil); err != nil {
		t.Errorf("building over a killed build's folder gave %v", err)
	}
	if gone, err := s.GC(); err != nil || len(gone) != 1 || gone[0] != ".tmp-dead-1" {
		t.Errorf("GC = %v, %v", gone, err)
	}
	_ = alive.Close()
	if gone, err := s.GC(); err != nil || len(gone) != 1 {
		t.Errorf("second GC = %v, %v", gone, err)
	}
	checkStore(t, s, 1)
	if err := s.Remove("t"); err != nil {
		t.Fatal(err)
	}
	checkStore(t, s, 0)
}

// checkStore wants that many templates and nothing else.
func checkStore(t *testing.T, s *Store, want int) {
	t.Helper()
	all, err := s.List()
	if err != nil || len(all) != want {
		t.Errorf("List = %v, %v; want %d", all, err, want)
	}
	if ents, _ := os.ReadDir(s.Dir); len(ents) != want {
		t.Errorf("the store holds %v", ents)
	}
}

func TestTemplateFromTemplateAndTar(t *testing.T) {
	requireRoot(t)
	d := t.TempDir()
	s := &Store{Dir: filepath.Join(d, "templates")}
	ctx := context.Background()
	if _, err := s.Build(ctx, "x", Source{Kind: "template", Template: "base"}, "", nil, nil); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("a missing base gave %v", err)
	}
	if _, err := s.Build(ctx, "base", Source{Kind: "host"}, "", nil, nil); err != nil {
		t.Fatal(err)
	}
	x, err := s.Build(ctx, "x", Source{Kind: "template", Template: "base"}, "", nil, nil)
	if err != nil || len(x.Binds) == 0 {
		t.Fatalf("Build = %+v, %v", x, err)
	}
	path := filepath.Join(d, "a.tar")
	if err := os.WriteFile(path, makeTar(t, reg("bin/sh", "#!")), 0o600); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := sys.MknodAt(sys.AT_FDCWD, pipe, sys.SIfifo|0o600, 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Build(ctx, "tar", Source{Kind: "tar", Path: pipe}, "", nil, nil); err == nil || !strings.Contains(err.Error(), pipe+": it is no plain file") {
		t.Errorf("a pipe: %v", err)
	}
	if _, err := s.Build(ctx, "tar", Source{Kind: "tar", Path: path, SHA256: strings.Repeat("0", 64)}, "", nil, nil); err == nil || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("a wrong digest gave %v", err)
	}
	y, err := s.Build(ctx, "tar", Source{Kind: "tar", Path: path}, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(filepath.Join(y.RootFS(), "tmp")); err != nil || st.Mode() != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("the layout was not completed: %v, %v", st, err)
	}
}
