//go:build linux

package spawn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"vsl/engine/internal/sys"
	"vsl/tests/fixture"
)

// startGuest starts a small guest on the host's own tree: an idle reaper, with
// a tmpfs on /mnt, proc and devpts of its own.
func startGuest(t testing.TB) (*Process, *Join) {
	t.Helper()
	requireRoot(t)
	reaper, err := Reaper()
	if err != nil {
		t.Fatal(err)
	}
	p := &Program{}
	p.Mount("", "/", "", 1<<14|1<<18, "") // MS_REC|MS_PRIVATE
	p.Mount("proc", "/proc", "proc", 0, "")
	p.Mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620,gid=5")
	p.Mount("tmpfs", "/mnt", "tmpfs", 0, "mode=0755")
	p.SetHostname("guest")
	p.Confine(confinement(t))
	p.ExecFD(int(reaper.Fd()), ReaperArgv(nil, false), nil)
	a := guestLike(p)
	a.TimeNS = true
	proc, err := Start(a)
	if err != nil {
		t.Fatalf("%v\n%s", err, p)
	}
	t.Cleanup(func() {
		proc.Signal(sys.SIGKILL)
		proc.Wait(context.Background())
		proc.Close()
	})
	start, err := sys.StartTime(proc.PID)
	if err != nil {
		t.Fatal(err)
	}
	j, err := OpenJoin(proc.PID, start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return proc, j
}

func TestJoin(t *testing.T) {
	guest, j := startGuest(t)
	p := &Program{}
	p.Confine(confinement(t))
	shell(p, `id -u; hostname; readlink /proc/1/comm; cat /proc/1/comm; cut -d. -f1 /proc/uptime
		for n in user mnt uts ipc cgroup time pid; do readlink /proc/self/ns/$n; done; umask; ulimit -Sn`)
	out, st := run(t, &Attr{Program: p, Join: j, CgroupFD: -1})
	want := "0\nguest\nvsl-reaper\n0\n"
	for _, n := range []string{"user", "mnt", "uts", "ipc", "cgroup", "time", "pid"} {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", guest.PID, n))
		if err != nil {
			t.Fatal(err)
		}
		want += link + "\n"
	}
	want += "0022\n1024"
	if out != want || st.ShellCode() != 0 {
		t.Errorf("got %v:\n%s\nwant:\n%s", st, out, want)
	}
}

func TestJoinAnotherProcess(t *testing.T) {
	guest, _ := startGuest(t)
	start, err := sys.StartTime(guest.PID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJoin(guest.PID, start+1); !errors.Is(err, sys.ESRCH) {
		t.Errorf("another start time: got %v", err)
	}
	guest.Signal(sys.SIGKILL)
	guest.Wait(t.Context())
	if _, err := OpenJoin(guest.PID, start); !errors.Is(err, sys.ESRCH) {
		t.Errorf("ended: got %v", err)
	}
}

// A guest that ended after it was opened gives an error and no stray child.
func TestJoinEnded(t *testing.T) {
	guest, j := startGuest(t)
	guest.Signal(sys.SIGKILL)
	guest.Wait(t.Context())
	if _, err := Start(&Attr{Name: "late", Program: shell(&Program{}, "true"), Join: j, CgroupFD: -1}); err == nil {
		t.Error("a dead guest was joined")
	}
}

// Nothing of the guest may look into the reaper, whose descriptors include the
// log, nor into a process that has only just joined.
func TestGuestCannotTraceReaper(t *testing.T) {
	_, j := startGuest(t)
	out, _ := run(t, &Attr{Program: shell(&Program{}, "ls /proc/1/fd; cat /proc/1/maps; readlink /proc/1/exe; cat /proc/1/environ"), Join: j, CgroupFD: -1})
	if n := strings.Count(out, "ermission denied"); n != 3 { // readlink is silent
		t.Errorf("got:\n%s", out)
	}
}

func TestPTY(t *testing.T) {
	_, j := startGuest(t)
	p := &Program{}
	p.OpenPTY(1000)
	p.Confine(confinement(t))
	shell(p, "tty; stat -c %u $(tty); read x; stty size; echo got $x; cut -d' ' -f 7 /proc/self/stat")
	a := &Attr{Program: p, Join: j, CgroupFD: -1}
	var pty *PTY
	a.OnPTY(func(x *PTY) { pty = x })
	proc, err := Start(a)
	if err != nil {
		t.Fatalf("%v\n%s", err, p)
	}
	defer proc.Close()
	defer pty.Close()
	if err := pty.Resize(33, 77); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(pty.Master, "hello\n"); err != nil {
		t.Fatal(err)
	}
	out, _ := io.ReadAll(pty.Master) // EIO at the hang-up
	if st, err := proc.Wait(t.Context()); err != nil || st.Code != 0 {
		t.Errorf("got %v, %v", st, err)
	}
	for _, want := range []string{"/dev/pts/0\r\n", "\n1000\r\n", "33 77\r\n", "got hello\r\n", "\r\n348"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
}

func openInside(t testing.TB, ctx context.Context) *Inside {
	t.Helper()
	_, j := startGuest(t)
	in, err := OpenInside(ctx, j, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	return in
}

func TestInside(t *testing.T) {
	in := openInside(t, t.Context())
	big := bytes.Repeat([]byte("0123456789abcdef"), 20000)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(in.MkdirAll("/mnt/a/b/c", 0o751))
	must(in.MkdirAll("/mnt/a/b/c", 0o700))
	must(in.WriteFile("/mnt/a/b/f", big, sys.O_TRUNC, 0o4640))
	must(in.WriteFile("/mnt/a/b/f", []byte("end"), sys.O_APPEND, 0))
	must(in.Chmod("/mnt/a/b/f", os.ModeSetuid|0o640)) // a write takes the bit away
	got, err := in.ReadFile("/mnt/a/b/f", 1<<20)
	must(err)
	if !bytes.Equal(got, append(big, "end"...)) {
		t.Errorf("read %d bytes back; want %d", len(got), len(big)+3)
	}
	if _, err := in.ReadFile("/mnt/a/b/f", 1000); !errors.Is(err, ErrTooBig) {
		t.Errorf("limit: %v", err)
	}
	st, err := in.Stat("/mnt/a/b/f")
	must(err)
	if st.Mode() != os.ModeSetuid|0o640 || st.UID != 0 || st.Size() != int64(len(got)) || time.Since(st.ModTime()) > time.Hour {
		t.Errorf("stat: %v %d %d %v", st.Mode(), st.UID, st.Size(), st.ModTime())
	}
	must(in.Symlink("b/f", "/mnt/a/l"))
	must(in.Lchown("/mnt/a/l", 7, 8))
	if to, err := in.Readlink("/mnt/a/l"); err != nil || to != "b/f" {
		t.Errorf("readlink: %q, %v", to, err)
	}
	if st, err := in.Lstat("/mnt/a/l"); err != nil || st.UID != 7 || st.Mode()&os.ModeSymlink == 0 {
		t.Errorf("lstat: %v, %v", st, err)
	}
	must(in.Chmod("/mnt/a/b/c", 0o1777))
	list, err := in.ReadDir("/mnt/a/b")
	if err != nil || fmt.Sprint(list) != "[{c d---------} {f ----------}]" {
		t.Errorf("list: %v, %v", list, err)
	}
	if l, err := in.Glob("/mnt/*/b/[cf]"); err != nil || fmt.Sprint(l) != "[/mnt/a/b/c /mnt/a/b/f]" {
		t.Errorf("glob: %v, %v", l, err)
	}
	if b, err := in.ReadFile("/proc/sys/kernel/hostname", 100); err != nil || string(b) != "guest\n" {
		t.Errorf("proc: %q, %v", b, err)
	}
	must(in.RemoveAll("/mnt/a"))
	must(in.RemoveAll("/mnt/a"))
	if ok, err := in.Exists("/mnt/a"); ok || err != nil {
		t.Errorf("exists: %v, %v", ok, err)
	}
	if _, err := in.ReadFile("/mnt/none", -1); err == nil || err.Error() != "open in guest /mnt/none: no such file or directory" {
		t.Errorf("got %v", err)
	}
}

// What a hostile guest may put in the way has the guest's power, not ours.
func TestInsideHostile(t *testing.T) {
	in := openInside(t, t.Context())
	if err := in.WriteFile("/proc/sys/kernel/core_pattern", []byte("|/x"), 0, 0o644); err == nil {
		t.Error("core_pattern was written")
	}
	if err := in.WriteFile("/etc/vsl-test", nil, 0, 0o644); err == nil {
		t.Error("host's /etc was written")
	}
	if _, err := in.ReadFile("/etc/shadow", -1); !errors.Is(err, sys.EACCES) {
		t.Errorf("shadow: %v", err)
	}
	if _, err := in.onPath(sys.NrMknodat, "/mnt/fifo", 0o010644, 0); err != nil {
		t.Fatal(err)
	}
	if err := in.WriteFile("/mnt/fifo", []byte("x"), 0, 0o644); err == nil {
		t.Error("a FIFO without a reader was written")
	}
	for _, name := range []string{"/mnt/fifo", "/proc/self/status", "/dev/null", "/dev/pts"} {
		if f, err := in.OpenFile(name, sys.O_RDONLY, 0); err == nil {
			t.Errorf("%s was handed over", f.Name())
			f.Close()
		}
	}
	if err := in.WriteFile("/mnt/f", []byte("data"), 0, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := in.OpenFile("/mnt/f", sys.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); string(b) != "data" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestInsideContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in := openInside(t, ctx)
	cancel()
	deadline := time.Now().Add(fixture.Patience(5 * time.Second))
	for {
		_, err := in.Exists("/mnt")
		if errors.Is(err, context.Canceled) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still there: %v", err)
		}
	}
}

func TestInsideKilled(t *testing.T) {
	in := openInside(t, t.Context())
	in.proc.Signal(sys.SIGKILL)
	in.proc.Wait(t.Context())
	if _, err := in.Exists("/mnt"); !errors.Is(err, errDied) {
		t.Errorf("got %v", err)
	}
}

func FuzzAppendDirents(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x18\x00\x04ab\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, e := range appendDirents(nil, b) {
			if e.Name == "" || e.Name == "." || e.Name == ".." || strings.ContainsAny(e.Name, "/\x00") {
				t.Errorf("name %q", e.Name)
			}
		}
	})
}
