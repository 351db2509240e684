package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vsl/tests/fixture"
)

// holds are what a program can do with a file that it may only read, to the
// harm of others who use the same inode or its pages.
var holds = []struct {
	name string
	try  func(f *os.File) error
	want string // in a guest, for any file of its own
}{
	{"lease", func(f *os.File) error { return second(unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)) }, "EACCES"},
	{"read lease", func(f *os.File) error { return second(unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)) }, "EACCES"},
	{"flock", func(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }, "ok"},
	{"lock", func(f *os.File) error {
		return unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
	}, "ok"},
	{"ofd lock", func(f *os.File) error {
		return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
	}, "ok"},
	{"eviction", func(f *os.File) error { return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }, "ok"},
	{"paging out", pageOut, "ok"},
	{"cachestat", func(f *os.File) error {
		var area [2]uint64
		var stat [5]uint64
		_, _, e := unix.Syscall6(unix.SYS_CACHESTAT, f.Fd(), uintptr(unsafe.Pointer(&area)), uintptr(unsafe.Pointer(&stat)), 0, 0, 0)
		return errOf(e)
	}, "ENOSYS"},
	{"fanotify", func(*os.File) error {
		_, err := unix.FanotifyInit(unix.FAN_REPORT_FID, unix.O_RDONLY)
		return err
	}, "EPERM"},
}

func second(_ int, err error) error { return err }

func errOf(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

func pageOut(f *os.File) error {
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	for i := 0; i < len(b); i += 4096 {
		sink += b[i]
	}
	return errors.Join(unix.Madvise(b, unix.MADV_PAGEOUT), unix.Munmap(b))
}

var sink byte

// agentHold tries each hold on a file, and watches it; it says what it got and
// keeps it until its input ends, for a minute at most. Then it says how often it
// saw the file used meanwhile.
func agentHold(args []string) error {
	path := args[0]
	for _, h := range holds {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", h.name, errname(h.try(f)))
		held = append(held, f)
	}
	watch, err := unix.InotifyInit1(unix.IN_NONBLOCK)
	if err == nil {
		_, err = unix.InotifyAddWatch(watch, path, unix.IN_ALL_EVENTS)
	}
	fmt.Printf("watch: %s\n\n", errname(err))
	ended := make(chan error)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	select {
	case err = <-ended:
	case <-time.After(time.Minute):
	}
	n, _ := unix.Read(watch, make([]byte, 65536))
	fmt.Printf("saw: %d\n", max(n, 0))
	return err
}

// held keeps what the agent has opened from being closed.
var held []*os.File

// Whatever a guest takes on a file that it sees, it takes on an inode of its own
// and leaves the cache to others: the host and the neighbours open, execute, lock
// and use the same file as if there were no guest, and are not watched.
func TestNobodyElseIsHeldByWhatAGuestHolds(t *testing.T) {
	r := newRoot(t)
	program := `{ template = box, command = { "sleep", "infinity" } }`
	r.up(`guest "over" ` + program + `
guest "other" ` + program + `
guest "copy" { template = box, clone = "copy", command = { "sleep", "infinity" } }
guest "othercopy" { template = box, clone = "copy", command = { "sleep", "infinity" } }`)
	templates, err := filepath.Glob(filepath.Join(r.dir, "templates/box-*/rootfs"))
	if err != nil || len(templates) != 1 {
		t.Fatal(templates, err)
	}
	tac, err := exec.LookPath("tac")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ what, guest, path, host, neighbour string }{
		{"a program of the host", "over", tac, tac, "other"},
		{"a program of the host, in a copy", "copy", tac, tac, "othercopy"},
		{"a folder of the host", "over", "/usr/bin", "/usr/bin", "other"},
		{"a file of the template", "over", agentName, filepath.Join(templates[0], agentName), "other"},
		{"a copied file of the template", "copy", agentName, filepath.Join(templates[0], agentName), "othercopy"},
		{"a written file", "over", "/etc/resolv.conf", filepath.Join(templates[0], "etc/passwd"), "other"},
		{"a device", "over", "/dev/null", "/dev/null", "other"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			r := r.in(t)
			useFreely(t, tt.host)
			if tt.host != "/dev/null" {
				runHost(t, "sh", "-c", "test -d $0 || cat $0 >/dev/null", tt.host)
			}
			cached := resident(t, tt.host)
			end := r.hold(tt.guest, tt.path)
			if now := resident(t, tt.host); now < cached {
				t.Errorf("of %d pages in the cache %d are left", cached, now)
			}
			begin := time.Now()
			useFreely(t, tt.host)
			if tt.host == tac {
				runHost(t, tac, "/dev/null")
			}
			if strings.HasPrefix(r.sh(tt.neighbour, "stat -c %F "+tt.path), "regular") {
				r.sh(tt.neighbour, "cat "+tt.path+" >/dev/null; flock -n "+tt.path+" true")
			}
			if took := time.Since(begin); took > slow(20*time.Second) { // a lease would hold each for 45 s
				t.Errorf("host and neighbour took %s", took)
			}
			end()
		})
	}
}

// hold has the agent hold a file, checks what it got, and gives what ends it and
// checks that it saw nobody.
func (r *root) hold(guest, path string) (end func()) {
	r.t.Helper()
	c := r.cmd("exec", guest, agentName, "hold", path)
	in, err := c.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	lines, got := bufio.NewScanner(out), map[string]string{}
	for lines.Scan() && lines.Text() != "" {
		what, result, _ := strings.Cut(lines.Text(), ": ")
		got[what] = result
	}
	for _, h := range holds {
		if g := got[h.name]; g != h.want {
			r.t.Errorf("%s: %s is %s, want %s", path, h.name, g, h.want)
		}
	}
	expect(r.t, path+": watch", got["watch"], "ok")
	return func() {
		r.t.Helper()
		in.Close()
		saw := "nothing"
		for lines.Scan() {
			saw = lines.Text()
		}
		if err := c.Wait(); err != nil {
			r.t.Errorf("%s: %v", path, err)
		}
		expect(r.t, path+": what the guest saw", saw, "saw: 0")
	}
}

// useFreely opens, reads and locks a file of the host, waiting for nobody.
func useFreely(t *testing.T, path string) {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Errorf("open by the host: %v", err)
		return
	}
	defer unix.Close(fd)
	if _, err := unix.Read(fd, make([]byte, 4)); err != nil && err != unix.EISDIR {
		t.Errorf("read by the host: %v", err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("flock by the host: %v", err)
	}
	for what, cmd := range map[string]int{"lock": unix.F_GETLK, "ofd lock": unix.F_OFD_GETLK} {
		l := unix.Flock_t{Type: unix.F_WRLCK}
		if err := unix.FcntlFlock(uintptr(fd), cmd, &l); err != nil || l.Type != unix.F_UNLCK {
			t.Errorf("%s by the host: %v, met one of type %d by %d", what, err, l.Type, l.Pid)
		}
	}
}

// resident counts a file's pages in the cache.
func resident(t *testing.T, path string) (n int) {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !st.Mode().IsRegular() {
		return 0
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(b)
	vec := make([]byte, (len(b)+4095)/4096)
	if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&vec[0]))); e != 0 {
		t.Fatal(e)
	}
	for _, v := range vec {
		n += int(v & 1)
	}
	return n
}

// What a guest makes set-user-id belongs on disk to ids of the guest's own,
// whatever kind of clone it has: should the folders above
// ever be opened up, it gives nobody anything.
func TestNoProgramOfAGuestIsRootsOnTheHost(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.up(`guest "over" { template = box, command = { "sleep", "infinity" } }
guest "copy" { template = box, clone = "copy", command = { "sleep", "infinity" } }`)
	for _, g := range []string{"over", "copy"} {
		expect(t, g+": modes", r.sh(g, "cp /bin/sh /srv/sh; chmod 6755 /srv/sh; stat -c '%u:%g %a' /srv/sh"), "0:0 6755")
	}
	found := 0
	err := filepath.WalkDir(filepath.Join(r.dir, "guests"), func(p string, d os.DirEntry, err error) error {
		var st unix.Stat_t
		if err != nil || unix.Lstat(p, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o6000 == 0 {
			return err
		}
		found++
		if st.Uid < 65536 || st.Gid < 65536 {
			t.Errorf("%s: mode %o, owner %d:%d", strings.TrimPrefix(p, r.dir), st.Mode, st.Uid, st.Gid)
		}
		return nil
	})
	if err != nil || found < 2 {
		t.Errorf("%d files with set-user-id: %v", found, err)
	}
}

// A small archive that says it is large is refused with its place in the recipe,
// and leaves nothing.
func TestArchiveIsBounded(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	runHost(t, "truncate", "-s", "3G", filepath.Join(r.src, "hole"))
	runHost(t, "tar", "-C", r.src, "--sparse", "-cf", filepath.Join(r.src, "bomb.tar"), "hole")
	recipe := func(more string) string {
		return r.recipe(`
template "bomb" { from = tar { path = "bomb.tar"` + more + ` } }`)
	}
	r.fails(1, []string{"recipe.lua:3", "bomb", "max_size", "1GiB"}, "template", "build", recipe(`, max_size = "1G"`))
	r.fails(2, []string{"recipe.lua:3", "max_size", "more than 0"}, "check", recipe(`, max_size = 0`))
	r.must("template", "build", recipe(""))
	var used int64
	for _, p := range []string{"templates/bomb-*/rootfs/hole", "templates/.tmp-*"} {
		found, err := filepath.Glob(filepath.Join(r.dir, p))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			var st unix.Stat_t
			if err := unix.Stat(f, &st); err != nil {
				t.Fatal(err)
			}
			used += st.Blocks * 512
			if !strings.HasSuffix(f, "/hole") || st.Size != 3<<30 {
				t.Errorf("%s has %d bytes", f, st.Size)
			}
		}
	}
	if used > 1<<20 {
		t.Errorf("the archive takes %d bytes of disk", used)
	}
}
