//go:build linux

package spawn

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vsl/engine/internal/sys"
	"vsl/tests/fixture"
)

// census counts our descriptors, threads and children.
func census(t testing.TB) (fds, threads int, children string) {
	t.Helper()
	count := func(dir string) int {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		b, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		children += string(b)
	}
	return count("/proc/self/fd"), len(tasks), children
}

// settle waits until what census counts is no more than before.
func settle(t testing.TB, fds, threads int) {
	t.Helper()
	for end := time.Now().Add(fixture.Patience(2 * time.Second)); ; time.Sleep(10 * time.Millisecond) {
		f, th, ch := census(t)
		if f <= fds && th <= threads && ch == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d descriptors (%d before), %d threads (%d before), children %q", f, fds, th, threads, ch)
		}
	}
}

func once(t testing.TB, p *Program, flags uint64) {
	proc, err := Start(&Attr{Program: p, CgroupFD: -1, CloneFlags: flags})
	if err != nil {
		t.Error(err)
		return
	}
	defer proc.Close()
	if st, err := proc.Wait(context.Background()); err != nil || st.Code != 3 {
		t.Errorf("got %v, %v", st, err)
	}
}

func TestNoLeaks(t *testing.T) {
	requireRoot(t)
	good := &Program{}
	good.Sync("hook")
	good.Mount("", "/", "", 1<<14|1<<18, "")
	shell(good, "exit 3")
	bad := &Program{}
	bad.Mount("x", "/nonexistent", "x", 0, "")
	start := func() {
		a := &Attr{Program: good, CgroupFD: -1, CloneFlags: sys.CLONE_NEWNS, TimeNS: true,
			Hooks: map[string]func(int, int) error{"hook": func(int, int) error { return nil }}}
		proc, err := Start(a)
		if err != nil {
			t.Error(err)
			return
		}
		proc.Wait(context.Background())
		proc.Close()
		if _, err := Start(&Attr{Program: bad, CgroupFD: -1}); err == nil {
			t.Error("no error")
		}
	}
	parallel := func(n int) {
		var wg sync.WaitGroup
		for range n {
			wg.Go(start)
		}
		wg.Wait()
	}
	parallel(50) // the runtime keeps some threads and descriptors from now on
	time.Sleep(fixture.Scaled(50 * time.Millisecond))
	fds, threads, _ := census(t)
	for range 1000 {
		start()
	}
	settle(t, fds, threads+2)
	parallel(50)
	settle(t, fds, threads+50) // idle threads of the runtime's own, bounded by how many ran at once
}

// The child shares no memory with us, but it begins as a copy of a running Go
// program. Whatever the collector and the scheduler do meanwhile, neither side
// may notice the other.
func TestStress(t *testing.T) {
	old := debug.SetGCPercent(1)
	defer debug.SetGCPercent(old)
	var stop atomic.Bool
	var churn sync.WaitGroup
	for range 4 {
		churn.Go(func() {
			m := map[int][]byte{}
			for i := 0; !stop.Load(); i++ {
				m[i%100] = make([]byte, i%5000)
				if i%1000 == 0 {
					deep(i % 200)
					runtime.Gosched()
				}
			}
		})
	}
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for i := range 40 {
				p := &Program{}
				for n := range i {
					p.Symlink(strings.Repeat("x", n), "/nonexistent/"+strconv.Itoa(n)).Ignore(sys.ENOENT)
				}
				once(t, shell(p, "exit 3"), 0)
			}
		})
	}
	work.Wait()
	stop.Store(true)
	churn.Wait()
}

func deep(n int) int {
	var pad [512]byte
	if n == 0 {
		return int(pad[0])
	}
	return deep(n-1) + int(pad[n%512])
}

// TestHelperSync is no test: it is the program that TestKilledAtSync kills.
func TestHelperSync(t *testing.T) {
	file := os.Getenv("VSL_TEST_SYNC")
	if file == "" {
		return
	}
	n, _ := strconv.Atoi(os.Getenv("VSL_TEST_SYNC_N"))
	var at sync.WaitGroup
	at.Add(n)
	for i := range n {
		go func() {
			p := &Program{}
			p.Sync("stop")
			shell(p, "sleep 60")
			_, err := Start(&Attr{Program: p, CgroupFD: -1, CloneFlags: sys.CLONE_NEWPID, IDMap: nil,
				Hooks: map[string]func(int, int) error{"stop": func(pid, _ int) error {
					os.WriteFile(file+strconv.Itoa(i), []byte(strconv.Itoa(pid)), 0o600)
					at.Done()
					select {}
				}}})
			fmt.Println("not reached", err)
		}()
	}
	at.Wait()
	fmt.Println("stopped")
	select {}
}

// When vsl is killed while children wait for it, they end: also when several
// wait at once, as each then was born with the others' pipes open.
func TestKilledAtSync(t *testing.T) {
	requireRoot(t)
	// the orphans become ours to reap
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	for _, n := range []int{1, 10} {
		file := filepath.Join(t.TempDir(), "pid")
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestHelperSync$")
		cmd.Env = append(os.Environ(), "VSL_TEST_SYNC="+file, "VSL_TEST_SYNC_N="+strconv.Itoa(n))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, len("stopped"))
		io.ReadFull(out, b)
		var fds []int
		for i := range n {
			pid, err := strconv.Atoi(string(readAll(t, file+strconv.Itoa(i))))
			if err != nil {
				t.Fatal(err)
			}
			fd, err := sys.PidfdOpen(pid, false)
			if err != nil {
				t.Fatal(err)
			}
			fds = append(fds, fd)
		}
		cmd.Process.Kill()
		cmd.Wait()
		deadline := time.Now().Add(fixture.Patience(5 * time.Second))
		for _, fd := range fds {
			for {
				alive, err := sys.ProcessAlive(fd)
				if err == nil && !alive {
					break
				}
				if time.Now().After(deadline) {
					t.Errorf("with %d children, one outlived us: %v", n, err)
					sys.PidfdSignal(fd, sys.SIGKILL)
					break
				}
				time.Sleep(time.Millisecond)
			}
			sys.ReapPidfd(fd)
			sys.CloseFD(fd)
		}
	}
}

func TestContextEndsChild(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	p := &Program{}
	p.Add("read", sys.NrRead, Word(0), Data(make([]byte, 8)), Word(1)) // for ever: w stays open here
	_, err = Start(&Attr{Program: p, CgroupFD: -1, Files: []*os.File{r}, Context: ctx})
	if err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
		t.Errorf("got %v", err)
	}
}

func TestWaitContext(t *testing.T) {
	proc, err := Start(&Attr{Program: shell(&Program{}, "sleep 60"), CgroupFD: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := proc.Wait(ctx); err != context.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
	if err := proc.Signal(sys.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if st, err := proc.Wait(t.Context()); err != nil || st.ShellCode() != 137 {
		t.Errorf("got %v, %v", st, err)
	}
}

// The status of a process that somebody else reaps is known from Linux 6.15.
func TestWaitPID(t *testing.T) {
	proc, err := Start(&Attr{Program: shell(&Program{}, "sleep 0.1; exit 6"), CgroupFD: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	start, err := sys.StartTime(proc.PID)
	if err != nil {
		t.Fatal(err)
	}
	var reaper sync.WaitGroup
	reaper.Go(func() {
		time.Sleep(200 * time.Millisecond)
		proc.Wait(context.Background())
	})
	st, known, err := WaitPID(t.Context(), proc.PID, start)
	if err != nil || known && st.Code != 6 {
		t.Errorf("got %v, %v, %v", st, known, err)
	}
	reaper.Wait()
	t.Logf("status known: %v", known)
	if _, known, err := WaitPID(t.Context(), proc.PID, start); known || err != nil {
		t.Errorf("gone: got %v, %v", known, err)
	}
}

func TestCgroup(t *testing.T) {
	requireRoot(t)
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(root + "/cgroup.procs"); err != nil {
		root += "/unified"
	}
	dir := filepath.Join(root, fmt.Sprintf("vsl-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a := &Attr{Program: shell(&Program{}, "grep ^0: /proc/self/cgroup"), CgroupFD: int(f.Fd())}
	if out, _ := run(t, a); !strings.HasSuffix(out, "/"+filepath.Base(dir)) {
		t.Errorf("got %q", out)
	}
}

// BenchmarkStart measures a child from Start to its end, beside os/exec, which
// makes no namespaces but shares memory with its child until the exec.
func BenchmarkStart(b *testing.B) {
	requireRoot(b)
	const guest = sys.CLONE_NEWUSER | sys.CLONE_NEWNS | sys.CLONE_NEWPID | sys.CLONE_NEWUTS | sys.CLONE_NEWIPC | sys.CLONE_NEWCGROUP
	b.Run("os/exec", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("/bin/true").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, bb := range []struct {
		name string
		attr Attr
	}{
		{"plain", Attr{}},
		{"guest", Attr{CloneFlags: guest, IDMap: &IDMap{HostID: 5002 << 16, Size: 65536}, TimeNS: true}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			p := &Program{}
			p.Exec("/bin/true", []string{"true"}, nil)
			a := bb.attr
			a.Program, a.CgroupFD = p, -1
			for b.Loop() {
				proc, err := Start(&a)
				if err != nil {
					b.Fatal(err)
				}
				proc.Wait(b.Context())
				proc.Close()
			}
		})
	}
}
