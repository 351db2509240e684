package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/engine/internal/sys"
	"vsl/tests/fixture"
)

// TestReadPlain: a name in somebody's folder neither keeps the reader waiting nor
// fills its memory.
func TestReadPlain(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sys.MknodAt(sys.AT_FDCWD, at("pipe"), sys.SIfifo|0o600, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", at("zero")); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadPlain(at("file"), 4); err != nil || string(got) != "text" {
		t.Errorf("file: %q, %v", got, err)
	}
	for name, want := range map[string]string{"pipe": "no plain file", "zero": "no plain file", "": "is a directory", "none": "no such file"} {
		if _, err := ReadPlain(at(name), 1<<20); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if _, err := ReadPlain(at("file"), 3); err == nil || !strings.Contains(err.Error(), "more than 3 bytes") {
		t.Errorf("too long: %v", err)
	}
}

// TestCopyInOfWhatWasSwapped: a file that becomes a pipe or a link after the tree was
// listed is refused; neither waits, and no link is followed.
func TestCopyInOfWhatWasSwapped(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	was, err := os.Lstat(at("file"))
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.MknodAt(sys.AT_FDCWD, at("pipe"), sys.SIfifo|0o600, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", at("link")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"pipe": "it is no plain file", "link": "too many levels of symbolic links"} {
		done := make(chan error, 1)
		go func() { done <- copyInOne(nil, at(name), "/x", was) }()
		select {
		case err := <-done:
			if err == nil || err.Error() != "copy into guest "+at(name)+": "+want {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(fixture.Patience(10 * time.Second)):
			t.Fatalf("%s keeps the copy waiting", name)
		}
	}
}
