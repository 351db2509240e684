package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// agentGrab takes as many of something as it gets, up to a number, holds them for an
// instant, and prints how many they were and why there were no more.
func agentGrab(args []string) error {
	most, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 16384, Max: 16384})
	take := map[string]func(i int) error{
		"ptys": func(int) error {
			_, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
			return err
		},
		"cgroups": func(i int) error { return os.Mkdir(fmt.Sprintf("/sys/fs/cgroup/grab%d", i), 0o755) },
		"timers": func(int) error {
			var id int32
			// no sigevent: SIGALRM, for which room is kept among the pending signals
			_, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&id)))
			if errno != 0 {
				return errno
			}
			return nil
		},
		"inotify": func(int) error { _, err := unix.InotifyInit1(0); return err },
		"keys": func(i int) error {
			_, err := unix.AddKey("user", strconv.Itoa(i), []byte("x"), unix.KEY_SPEC_USER_KEYRING)
			return err
		},
		"mounts": func(i int) error {
			return unix.Mount("none", "/mnt", "tmpfs", 0, "size=4k,nr_inodes=2")
		},
		"inodes of /run": func(i int) error { return os.Mkdir(fmt.Sprintf("/run/grab%d", i), 0o755) },
	}[args[0]]
	n := 0
	for end := time.Now().Add(8 * time.Second); n < most && time.Now().Before(end); n++ {
		if err = take(n); err != nil {
			break
		}
	}
	fmt.Println(n, errname(err))
	return nil
}

// A guest with limits of memory and processes cannot take more of what else there is
// than this, and then its neighbour still gets some.
func TestHostileGuestIsBoundedInAll(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "g" { template = box, command = { "sleep", "infinity" }, limit = { memory = "64M", swap = 0, pids = 64 } }
guest "other" { template = box, command = { "sleep", "infinity" } }`)
	for _, c := range []struct {
		what       string
		try, bound int
	}{
		{"ptys", 4000, 1024}, {"cgroups", 3000, 1024}, {"timers", 40000, 16384}, {"inotify", 5000, 1024}, {"keys", 5000, 0},
		{"inodes of /run", 30000, 8192}, {"mounts", 3000, 3000},
	} {
		res := r.exec("g", agentName, "grab", c.what, strconv.Itoa(c.try))
		var n int
		var why string
		if _, err := fmt.Sscan(string(res.Stdout), &n, &why); err != nil && res.Signal != 9 { // out of its own memory
			t.Errorf("%s: exit %d %s %s", c.what, res.Code, res.Stdout, res.Stderr)
		}
		t.Logf("%s: %d, then %s %s", c.what, n, why, map[int]string{9: "killed for memory"}[res.Signal])
		if n > c.bound {
			t.Errorf("a guest took %d %s of %d: want %d at most", n, c.what, c.try, c.bound)
		}
		if u := r.usage("g"); u.MemoryPeak > 65<<20 {
			t.Errorf("%s: it used %d bytes of memory", c.what, u.MemoryPeak)
		}
		for _, name := range []string{"g", "other"} {
			if got := r.sh(name, "echo alive"); got != "alive" {
				t.Errorf("after %s: %q in %s", c.what, got, name)
			}
		}
	}
}

// A tmpfs that is full says so; before, a guest's user could fill /dev/shm with what
// its memory limit allows, and all of its processes were killed in turn.
func TestTmpfsIsBoundedByMemory(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "g" { template = box, command = { "sleep", "infinity" }, limit = { memory = "64M", swap = 0 } }
guest "free" { template = box, command = { "sleep", "infinity" } }`)
	for _, dir := range []string{"/dev/shm", "/run"} {
		res := r.exec("g", "dd", "if=/dev/zero", "of="+filepath.Join(dir, "fill"), "bs=1M", "count=60")
		if res.Code != 1 || !strings.Contains(string(res.Stderr), "No space") {
			t.Errorf("%s: exit %d: %s", dir, res.Code, res.Stderr)
		}
		expect(t, "size of "+dir, r.sh("g", "df -k "+dir+" | tail -1 | awk '{print $2}'"), "32768")
		r.sh("g", "rm "+dir+"/fill")
	}
	expect(t, "kills", r.usage("g").Hits.OOMKills, 0)
	var host unix.Sysinfo_t
	if err := unix.Sysinfo(&host); err != nil {
		t.Fatal(err)
	}
	kb, err := strconv.Atoi(r.sh("free", "df -k /run | tail -1 | awk '{print $2}'"))
	if err != nil || uint64(kb) > host.Totalram*uint64(host.Unit)/1024/4 {
		t.Errorf("/run of a guest without a limit has %d KiB, %v", kb, err)
	}
}
