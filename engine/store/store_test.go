package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func testPaths(t *testing.T) Paths {
	t.Helper()
	p, err := NewPaths(filepath.Join(t.TempDir(), "r"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ensure(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRootsNeverShareAName(t *testing.T) {
	a, _ := NewPaths("")
	b, _ := NewPaths("/srv/a")
	c, _ := NewPaths("/srv/b")
	if a.Base() != "vsl" || b.Base() == c.Base() || b.Base() == a.Base() {
		t.Errorf("bases %q, %q, %q; want vsl and two others", a.Base(), b.Base(), c.Base())
	}
	if d, _ := NewPaths("/var/lib/vsl/"); d != a {
		t.Errorf("NewPaths of the default root = %v; want %v", d, a)
	}
}

// A root has one name, and so one place for its contexts, by whichever path and
// however much of it exists.
func TestARootHasOneNameBeforeAndAfterItIsMade(t *testing.T) {
	top := t.TempDir()
	if err := os.MkdirAll(filepath.Join(top, "disk", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"link": "disk", "far": filepath.Join(top, "disk"), "dangling": "disk/later", "twice": "link/deep",
		"up": "disk/sub/../other",
	} {
		if err := os.Symlink(to, filepath.Join(top, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, root := range []string{"plain", "link/new", "link/a/b/c", "far/new2", "dangling", "dangling/more", "twice", "twice/x", "up", "link", "disk/sub/../y"} {
		before, err := NewPaths(filepath.Join(top, root))
		if err != nil {
			t.Fatal(err)
		}
		if err := before.Ensure(); err != nil {
			t.Errorf("%s: %v", root, err)
			continue
		}
		after, err := NewPaths(filepath.Join(top, root))
		if err != nil || before != after || before.Base() != after.Base() {
			t.Errorf("%s is %v before it is made and %v after (%v)", root, before, after, err)
		}
		if real, err := filepath.EvalSymlinks(filepath.Join(top, root)); err != nil || real != after.Root {
			t.Errorf("%s is %s; the kernel says %s (%v)", root, after.Root, real, err)
		}
	}
	if err := os.Symlink("loop", filepath.Join(top, "loop")); err != nil {
		t.Fatal(err)
	}
	if p, err := NewPaths(filepath.Join(top, "loop", "x")); err == nil {
		t.Errorf("a link to itself gives the root %v", p)
	}
}

func TestValidName(t *testing.T) {
	for name, ok := range map[string]bool{
		"web1": true, "a.b-c_d": true, "": false, ".web": false, "-x": false, "a/b": false, "a b": false, "..": false,
		strings.Repeat("x", 63): true, strings.Repeat("x", 64): false, "a\nb": false, "ü": false,
	} {
		if err := ValidName(name); (err == nil) != ok {
			t.Errorf("ValidName(%q) = %v", name, err)
		}
	}
}

func TestXIDsAreTakenOnceAndGivenBack(t *testing.T) {
	p := testPaths(t)
	a, err := p.TakeXID("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.TakeXID("b")
	if err != nil || a == b || b < MinXID || b > MaxXID {
		t.Fatalf("TakeXID = %d after %d, %v", b, a, err)
	}
	if err := p.FreeXID(a, "b"); err != nil || p.XIDOwner(a) != "a" {
		t.Errorf("b freed the xid of a: %v", err)
	}
	if err := p.FreeXID(a, "a"); err != nil || p.XIDOwner(a) != "" {
		t.Errorf("FreeXID = %v, owner %q", err, p.XIDOwner(a))
	}
	if c, err := p.TakeXID("c"); err != nil || c != a {
		t.Errorf("TakeXID = %d, %v; want %d again", c, err, a)
	}
}

func TestWriteFileIsWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f.json")
	if err := WriteJSON(path, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	if err := WriteJSON(path, func() {}); err == nil {
		t.Error("a value that is no JSON was written")
	}
	var got map[string]int
	if err := ReadJSON(path, 0, &got); err != nil || got["a"] != 1 {
		t.Errorf("ReadJSON = %v, %v", got, err)
	}
	if err := ReadJSON(filepath.Join(dir, "none"), 0, &got); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ReadJSON of nothing = %v", err)
	}
	os.WriteFile(filepath.Join(dir, tempPrefix+"x"), nil, 0o600)
	gone, err := SweepTemp(dir, func(os.FileInfo) bool { return false })
	if err != nil || len(gone) != 1 {
		t.Errorf("SweepTemp = %v, %v; want the one temporary file", gone, err)
	}
}

func TestLockExcludesAndNoticesRemoval(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "g")
	os.Mkdir(dir, 0o700)
	l, err := LockDir(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := TryLockDir(dir); ok {
		t.Error("locked twice")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	waited := false
	if _, err := LockDir(ctx, dir, func() { waited = true }); !errors.Is(err, context.DeadlineExceeded) || !waited {
		t.Errorf("LockDir = %v, waited %v; want the deadline", err, waited)
	}
	done := make(chan error)
	go func() {
		_, err := LockDir(context.Background(), dir, nil)
		done <- err
	}()
	time.Sleep(5 * time.Millisecond)
	os.Rename(dir, dir+".gone")
	l.Unlock()
	if err := <-done; !errors.Is(err, ErrGone) && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("LockDir of a removed folder = %v; want ErrGone", err)
	}
}

// A child that was forked by a killed process holds its lock for a moment more.
func TestLockOfAnOrphan(t *testing.T) {
	dir := t.TempDir()
	holder := exec.Command("sh", "-c", `exec 9<"$1"; flock 9; sleep 0.3 & exit`, "sh", dir)
	if err := holder.Run(); err != nil {
		t.Fatal(err)
	}
	l, ok, err := TryLockDir(dir)
	if err != nil || !ok {
		t.Fatalf("TryLockDir = %v, %v; want the lock that an orphan gives up", ok, err)
	}
	l.Unlock()
}

func TestJournalCutShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, err := CreateJournal(path, "head")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []string{"one", "two"} {
		if err := j.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := CreateJournal(path, "head"); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second journal: %v", err)
	}
	f, _ := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	f.WriteString(`"thr`) // killed in the middle of a write
	f.Close()
	got, err := ReadJournal(path)
	if err != nil || len(got) != 3 || string(got[2]) != `"two"` {
		t.Errorf("ReadJournal = %q, %v; want head, one and two", got, err)
	}
	os.WriteFile(path, []byte("\"one\"\n\"tw\n\"three\"\n"), 0o600)
	if got, err := ReadJournal(path); got != nil || !errors.Is(err, ErrDamaged) {
		t.Errorf("ReadJournal of a broken line = %q, %v; want ErrDamaged and nothing", got, err)
	}
	if err := j.Done(); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadJournal(path); got != nil || err != nil {
		t.Errorf("ReadJournal after Done = %q, %v", got, err)
	}
}

func FuzzReadJournal(f *testing.F) {
	f.Add([]byte("{\"undo\":\"x\"}\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "j")
		os.WriteFile(path, data, 0o600)
		got, err := ReadJournal(path)
		if err != nil && (got != nil || !errors.Is(err, ErrDamaged)) {
			t.Errorf("ReadJournal = %q, %v; want all entries or ErrDamaged", got, err)
		}
		for i, e := range got {
			if !bytes.Contains(data, e) || !json.Valid(e) {
				t.Errorf("entry %d is %q, which was not written", i, e)
			}
		}
	})
}
