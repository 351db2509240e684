//go:build linux

package rootfs

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vsl/engine/internal/sys"
	"vsl/tests/fixture"
)

func TestRemoveTree(t *testing.T) {
	fixture.HostTierOnly(t)
	top := t.TempDir()
	outside := filepath.Join(top, "outside")
	if err := os.MkdirAll(filepath.Join(outside, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(top, "tree")
	for _, d := range []string{"closed/below", "full", "empty"} {
		if err := os.MkdirAll(filepath.Join(tree, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5000 {
		if err := os.Mkdir(filepath.Join(tree, "full", strings.Repeat("n", 20)+string(rune('a'+i%26))+time.Duration(i).String()), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []string{"link", "full/link"} {
		if err := os.Symlink(outside, filepath.Join(tree, l)); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() == 0 {
		if err := os.Chmod(filepath.Join(tree, "closed"), 0); err != nil {
			t.Fatal(err)
		}
	}
	deepen(t, tree, 10_000)
	if err := RemoveTree(tree); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(tree); !os.IsNotExist(err) {
		t.Errorf("the tree is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(outside, "d")); err != nil {
		t.Errorf("what a link points to is gone: %v", err)
	}
	if err := RemoveTree(tree); err != nil {
		t.Errorf("removing nothing gave %v", err)
	}
	if err := RemoveTree(filepath.Join(tree, "no", "such")); err != nil {
		t.Errorf("removing below nothing gave %v", err)
	}
}

// deepen makes a chain of folders too long for any path, with a file at each.
func deepen(t *testing.T, dir string, levels int) {
	t.Helper()
	fd, err := sys.OpenAt(sys.Cwd, dir, sys.ORdonly|sys.ODir, 0)
	for i := 0; i < levels && err == nil; i++ {
		if err = sys.MkdirAt(fd, "deep", 0o755); err != nil {
			break
		}
		if err = sys.SymlinkAt("/etc", fd, "f"); err != nil && err != sys.EEXIST {
			break
		}
		var next int
		next, err = sys.OpenAt(fd, "deep", sys.ORdonly|sys.ODir, 0)
		sys.Close(fd)
		fd = next
	}
	if err != nil {
		t.Fatal(err)
	}
	sys.Close(fd)
}

// Removing goes on on several threads: what is mounted must be so for all of
// them, so this test is a process of its own.
func TestRemoveTreeStopsAtMounts(t *testing.T) {
	requireRoot(t)
	if os.Getenv("VSL_TEST_OWN_MOUNTS") == "" {
		c := exec.Command("/proc/self/exe", "-test.run=^TestRemoveTreeStopsAtMounts$")
		c.Env = append(os.Environ(), "VSL_TEST_OWN_MOUNTS=1")
		c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for _, mnt := range []string{"tree/mnt", "tree/a/b/c/mnt"} {
		top := t.TempDir()
		at := filepath.Join(top, mnt)
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := sys.Mount("tmpfs", at, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "keep"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		fd, err := sys.OpenAt(sys.Cwd, at, sys.OPath|sys.ODir, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := RemoveTree(filepath.Join(top, "tree")); !errors.Is(err, sys.EBUSY) {
			t.Errorf("RemoveTree gave %v", err)
		}
		if err := sys.Umount(fdPath(fd), sys.MntDetach); err != nil { // EINVAL where it is no mount any more
			t.Fatal(err)
		}
		if _, err := sys.StatAt(fd, "keep"); err != nil {
			t.Error(err)
		}
		sys.Close(fd)
	}
}

// Guests can make trees deeper than any path; whatever walks them does so
// without one, and in a time that grows as the tree does.
func TestDeepTrees(t *testing.T) {
	requireRoot(t)
	const levels = 8000
	top := t.TempDir()
	src, dst := filepath.Join(top, "src"), filepath.Join(top, "dst")
	if err := os.Mkdir(src, 0o755); err != nil {
		t.Fatal(err)
	}
	deepen(t, src, levels)
	_, files, err := measure(src)
	if err != nil || files != 2*levels+1 {
		t.Errorf("measured %d files: %v", files, err)
	}
	if err := copyTree(context.Background(), src, dst, copying{shift: testUID}, nil); err != nil {
		t.Fatal(err)
	}
	if _, copied, err := measure(dst); err != nil || copied != files {
		t.Errorf("copied %d files: %v", copied, err)
	}
	for _, d := range []string{src, dst} {
		if err := RemoveTree(d); err != nil {
			t.Error(err)
		}
	}
}

// sampleTree has one of everything that a copy must keep.
func sampleTree(t *testing.T, dir string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	must(os.WriteFile(filepath.Join(dir, "a/f"), []byte("data"), 0o600))
	must(os.Link(filepath.Join(dir, "a/f"), filepath.Join(dir, "a/b/hard")))
	must(os.Symlink("/etc/shadow", filepath.Join(dir, "a/sym")))
	must(os.WriteFile(filepath.Join(dir, "a/suid"), []byte("x"), 0o755))
	must(os.Chown(filepath.Join(dir, "a/suid"), 7, 8))
	must(os.Chmod(filepath.Join(dir, "a/suid"), 0o755|os.ModeSetuid))
	must(os.Mkdir(filepath.Join(dir, "tmp"), 0o755))
	must(os.Chmod(filepath.Join(dir, "tmp"), 0o777|os.ModeSticky))
	must(sys.MknodAt(sys.Cwd, filepath.Join(dir, "fifo"), sys.SIfifo|0o600, 0, 0))
	must(sys.MknodAt(sys.Cwd, filepath.Join(dir, "node"), sys.SIfchr|0o600, 1, 3))
	f, err := os.Create(filepath.Join(dir, "sparse"))
	must(err)
	must(sys.SetXattr(int(f.Fd()), "user.x", []byte("y")))
	_, err = f.WriteAt([]byte("middle"), 8<<20)
	must(err)
	must(f.Truncate(32 << 20))
	must(f.Close())
	when := time.Unix(1000000000, 5)
	for _, n := range []string{"a/sym", "a/f", "sparse", "a/b", "a", "tmp", "fifo"} {
		must(sys.UtimesAt(sys.Cwd, filepath.Join(dir, n), when, when))
	}
}

func checkCopy(t *testing.T, src, dst string) {
	t.Helper()
	for _, n := range []string{".", "a", "a/b", "a/f", "a/b/hard", "a/sym", "a/suid", "tmp", "fifo", "sparse"} {
		want, err := sys.StatAt(sys.Cwd, filepath.Join(src, n))
		if err != nil {
			t.Fatal(err)
		}
		got, err := sys.StatAt(sys.Cwd, filepath.Join(dst, n))
		if err != nil {
			t.Error(err)
			continue
		}
		same := got.Mode == want.Mode && got.UID == want.UID && got.GID == want.GID && got.Nlink == want.Nlink && got.Size == want.Size
		if n != "fifo" {
			same = same && got.Mtime.Equal(want.Mtime)
		}
		if want.Mode&sys.SIfmt == sys.SIfdir {
			same = got.Mode == want.Mode && got.Mtime.Equal(want.Mtime)
		}
		if !same {
			t.Errorf("%s is %+v, was %+v", n, got, want)
		}
	}
	a, _ := os.ReadFile(filepath.Join(src, "sparse"))
	b, _ := os.ReadFile(filepath.Join(dst, "sparse"))
	if !bytes.Equal(a, b) {
		t.Error("the sparse file differs")
	}
	if st, _ := sys.StatAt(sys.Cwd, filepath.Join(dst, "sparse")); st.Blocks > 2048 {
		t.Errorf("the sparse file has %d blocks", st.Blocks)
	}
	f, err := os.Open(filepath.Join(dst, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if x, err := sys.Xattrs(int(f.Fd())); err != nil || string(x["user.x"]) != "y" {
		t.Errorf("attributes %q, %v", x, err)
	}
	if _, err := os.Lstat(filepath.Join(dst, "node")); !os.IsNotExist(err) {
		t.Error("a device node was copied")
	}
}

func TestCopyTree(t *testing.T) {
	requireRoot(t)
	top := t.TempDir()
	src, dst := filepath.Join(top, "src"), filepath.Join(top, "dst")
	sampleTree(t, src)
	if err := copyTree(context.Background(), src, dst, copying{}, nil); err != nil {
		t.Fatal(err)
	}
	checkCopy(t, src, dst)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := copyTree(ctx, src, filepath.Join(top, "dst2"), copying{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled copy gave %v", err)
	}
}

// TestReflink does the same on a file system that can share blocks, and boots a
// guest there.
func TestReflink(t *testing.T) {
	requireRoot(t)
	mkfs, err := exec.LookPath("mkfs.xfs")
	if err != nil {
		if os.Getenv("VSL_TEST_REQUIRE") == "1" {
			t.Fatal("mkfs.xfs is missing: apt-get install xfsprogs")
		}
		t.Skip("mkfs.xfs is missing")
	}
	top := t.TempDir()
	img, mnt := filepath.Join(top, "img"), filepath.Join(top, "mnt")
	if err := os.WriteFile(img, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(img, 400<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkfs, "-q", "-m", "reflink=1", img).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.xfs: %v\n%s", err, out)
	}
	if err := os.Mkdir(mnt, 0o755); err != nil {
		t.Fatal(err)
	}
	err = OnMountThread(func() error {
		if out, err := exec.Command("mount", "-o", "loop", img, mnt).CombinedOutput(); err != nil {
			t.Errorf("mount: %v\n%s", err, out)
			return err
		}
		defer func() { _ = exec.Command("umount", mnt).Run() }()
		if k := Probe(mnt); len(k) < 2 || k[len(k)-2] != Reflink {
			t.Errorf("Probe(xfs) = %v", k)
		}
		src, dst := filepath.Join(mnt, "src"), filepath.Join(mnt, "dst")
		sampleTree(t, src)
		before, _ := sys.Statfs(mnt)
		if err := copyTree(context.Background(), src, dst, copying{reflink: true}, nil); err != nil {
			return err
		}
		after, _ := sys.Statfs(mnt)
		if used := before.Free - after.Free; used > 4<<20 {
			t.Errorf("a reflink copy took %d bytes", used)
		}
		checkCopy(t, src, dst)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestProbe(t *testing.T) {
	requireRoot(t)
	d := t.TempDir()
	k := Probe(d)
	if len(k) == 0 || k[len(k)-1] != Copy {
		t.Errorf("Probe = %v", k)
	}
	if k[0] != Overlay {
		t.Errorf("no overlay: %v", ProbeOverlay(d))
	}
	if ents, _ := os.ReadDir(d); len(ents) > 0 {
		t.Errorf("Probe left %v", ents)
	}
}
