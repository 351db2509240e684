package guest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"vsl/engine"
	"vsl/tests/fixture"
)

// disk is an ext4 file system of its own, in a file, below which a test's root is.
type disk struct {
	t           *testing.T
	image, at   string
	mkfs, mount []string
}

func newDisk(t *testing.T, size int64, mkfs ...string) *disk {
	t.Helper()
	dir := t.TempDir()
	d := &disk{t: t, image: filepath.Join(dir, "disk"), at: filepath.Join(dir, "mnt"), mkfs: mkfs}
	f, err := os.Create(d.image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close(), os.Mkdir(d.at, 0o755)); err != nil {
		t.Fatal(err)
	}
	run(t, append(append([]string{"mkfs.ext4", "-q", "-F"}, mkfs...), d.image)...)
	d.up()
	t.Cleanup(d.down)
	return d
}

func (d *disk) up() {
	d.t.Helper()
	run(d.t, "mount", "-o", "loop,errors=continue", d.image, d.at)
}

// down unmounts it; whatever has died on it may take a moment to let go.
func (d *disk) down() {
	d.t.Helper()
	var err error
	for end := time.Now().Add(slow(20 * time.Second)); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = syscall.Unmount(d.at, 0); err == nil || errors.Is(err, syscall.EINVAL) {
			return
		}
	}
	d.t.Fatalf("unmount %s: %v", d.at, err)
}

// cut ends all writing as a power cut would: what is in no journal of the file system
// yet is lost (EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, linux/ext4.h).
func (d *disk) cut() {
	d.t.Helper()
	const ioctl, noLogFlush = 0x8004587d, 2
	f, err := os.Open(d.at)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	flags := uint32(noLogFlush)
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), ioctl, uintptr(unsafe.Pointer(&flags))); e != 0 {
		d.t.Fatalf("EXT4_IOC_SHUTDOWN: %v", e)
	}
}

func run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// fill takes all inodes, or all room, of the disk, and gives how to let go of it.
func (d *disk) fill(inodes bool) (free func()) {
	d.t.Helper()
	dir := filepath.Join(d.at, "fill")
	if err := os.Mkdir(dir, 0o700); err != nil {
		d.t.Fatal(err)
	}
	var err error
	for i := 0; err == nil && i < 1_000_000; i++ {
		size := 0
		if !inodes {
			size = 256 << 10 >> min(i/4, 18) // smaller and smaller, until not a byte fits
		}
		var f *os.File
		if f, err = os.Create(filepath.Join(dir, fmt.Sprint(i))); err == nil {
			for n := 0; err == nil && (!inodes && n < 1024); n++ {
				_, err = f.Write(make([]byte, max(size, 1)))
			}
			f.Close()
			if !inodes && i < 80 {
				err = nil
			}
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("the disk is not full: %v", err)
	}
	return func() { os.RemoveAll(dir) }
}

// To stop and to remove guests takes no room on a disk, and a restart that cannot
// bring a guest up again does not bring it down.
func TestStoppingTakesNoRoom(t *testing.T) {
	fixture.HostTierOnly(t)
	for _, what := range []string{"inodes", "room"} {
		t.Run(what, func(t *testing.T) {
			d := newDisk(t, 48<<20, "-N", "6000", "-m", "0")
			r := newRootAt(t, filepath.Join(d.at, "r"))
			recipe := r.recipe(`for i = 1, 5 do guest("g" .. i) { template = box, command = { "sleep", "infinity" },
  shutdown = i == 1 and function(g) g:exec { "true" } g:kill() end or nil } end`)
			r.must("up", recipe)
			pid := r.status("g4").PID
			free := d.fill(what == "inodes")
			r.fails(1, []string{"no space left on device", "nothing was brought down"}, "restart", "g4")
			expect(t, "pid of the guest that was not restarted", r.status("g4").PID, pid)
			r.must("down", "g1")
			r.must("kill", "g2")
			r.must("freeze", "g3")
			r.must("thaw", "g3")
			r.must("rm", "-f", "g3")
			for _, n := range []string{"g1", "g2"} {
				expect(t, n, r.status(n).State, engine.StateStopped)
			}
			r.must("ls")
			r.must("down", "--all")
			r.must("gc")
			r.must("rm", "-f", "g5")
			free()
			r.must("up", recipe)
			r.must("rm", "-f", "--all")
			r.clean()
		})
	}
}

// A run whose last write fails says so and is undone, so that nothing is undone later.
func TestCommitThatFails(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	recipe := r.recipe(`guest "g" { template = box, command = { "sleep", "infinity" }, limit = { pids = 100 } }`)
	r.must("template", "build", recipe)
	without := func(args ...string) result {
		c := r.cmd(args...)
		c.Path, c.Args = self, append([]string{agentName, "without-fsync", bin}, args...)
		out, err := c.CombinedOutput()
		if err == nil {
			t.Errorf("vsl %v without fsync says that all is well:\n%s", args, out)
		}
		return result{out: string(out), code: c.ProcessState.ExitCode()}
	}
	if res := without("up", recipe); !strings.Contains(res.out, "input/output error") {
		t.Errorf("up without fsync: %s", res.out)
	}
	r.fails(5, nil, "status", "g")
	r.clean()
	r.must("up", recipe)
	pid := r.status("g").PID
	without("limit", "g", "pids=50")
	r.must("limit", "g", "memory=64M")
	s := r.status("g")
	expect(t, "pid", s.PID, pid)
	expect(t, "the limit that failed", *s.Limits.Pids, 100)
}

// powerRecipe writes all that can be lost: a record, a kept recipe, data, a clone.
const powerRecipe = `for _, n in ipairs { "old", "new" } do guest(n) { template = box, command = { "sleep", "infinity" }, net = "none",
  run = function(g) g.data.boots = (g.data.boots or 0) + 1 end, shutdown = function(g) g:kill() end } end`

// After a power cut at any moment of a verb every guest that was there is, every file of
// the state is whole or told of, and the next up brings all of them up.
func TestPowerCut(t *testing.T) {
	fixture.HostTierOnly(t)
	for _, verb := range []struct {
		name         string
		before, args []string
	}{
		{"up", nil, []string{"up", "recipe.lua", "new"}},
		{"limit", nil, []string{"limit", "old", "pids=99"}},
		{"down", nil, []string{"down", "old"}},
		{"rm", []string{"up", "recipe.lua", "new"}, []string{"rm", "-f", "new"}},
		{"template build", nil, []string{"template", "build", "other.lua"}},
	} {
		t.Run(verb.name, func(t *testing.T) {
			n, cut, left := rounds(8), 0, map[string]int{}
			var whole time.Duration
			for i := range n + 1 {
				d := newDisk(t, 64<<20, "-m", "0")
				r := newRootAt(t, filepath.Join(d.at, "r"))
				r.recipe(powerRecipe)
				other := `guest "o" { template = template "other" { from = host(), build = function(t) t:write("/x", ("x"):rep(100000)) end }, command = { "true" } }`
				if err := os.WriteFile(filepath.Join(r.src, "other.lua"), []byte(other), 0o644); err != nil {
					t.Fatal(err)
				}
				r.must("up", "recipe.lua", "old")
				if verb.before != nil {
					r.must(verb.before...)
				}
				run(t, "sync", "-f", d.at)
				if i == 0 { // how long it takes
					whole = r.timed(verb.args...)
				} else {
					c := r.cmd(verb.args...)
					if err := c.Start(); err != nil {
						t.Fatal(err)
					}
					time.Sleep(span(whole, i-1, n))
					d.cut()
					c.Process.Kill()
					c.Wait()
					if !c.ProcessState.Exited() {
						cut++
					}
				}
				left[d.afterPowerCut(r)]++
				if t.Failed() {
					t.Fatalf("in round %d", i)
				}
			}
			t.Logf("%s takes %s; cut at work %d of %d times; left: %v", verb.name, whole, cut, n, left)
		})
	}
}

// afterPowerCut starts the host anew, as far as this root is concerned, and looks at
// what is there. It gives the guests that are.
func (d *disk) afterPowerCut(r *root) string {
	d.t.Helper()
	r.endAll()
	d.down()
	d.up()
	r.base.mounts = mountLines(d.t)
	os.RemoveAll(filepath.Join(r.dir, "run")) // as a reboot does
	r.must("gc")
	for _, kind := range []string{"ls", "template"} {
		args := map[string][]string{"ls": {"ls"}, "template": {"template", "ls"}}[kind]
		if res := r.vsl(args...); res.code != 0 || strings.Contains(res.err, "damaged") || strings.Contains(res.out, "unreadable") {
			d.t.Errorf("vsl %v after a power cut: exit %d: %s%s", args, res.code, res.out, res.err)
		}
	}
	names := sorted(d.t, filepath.Join(r.dir, "guests"))
	if !strings.Contains(strings.Join(names, " "), "old") {
		d.t.Errorf("old is gone: there is %v", names)
	}
	r.must("up", "recipe.lua")
	expect(d.t, "old", r.status("old").State, engine.StateRunning)
	expect(d.t, "new", r.status("new").State, engine.StateRunning)
	r.must("rm", "-f", "--all")
	r.clean()
	return strings.Join(names, " ")
}

// endAll ends everything of this root as a power cut does.
func (r *root) endAll() {
	r.t.Helper()
	for _, dir := range r.cgroups() {
		os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
	}
	eventually(r.t, slow(20*time.Second), "all groups are gone", func() bool {
		for _, dir := range r.cgroups() {
			exec.Command("find", dir, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run()
		}
		return len(r.cgroups()) == 0
	})
}

// A copy of a live root has the same guests by name, and touches none of the original.
func TestCopyOfALiveRoot(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	recipe := r.recipe(`guest "g" { template = box, command = { "sleep", "infinity" }, ip = { "198.51.100.77", "2001:db8::77" } }`)
	r.must("up", recipe)
	was := addrLines(t)
	c := &root{t: t, dir: filepath.Join(t.TempDir(), "copy"), src: r.src, base: takeBaseline(t)}
	run(t, "cp", "-a", r.dir, c.dir)
	pid := r.status("g").PID
	expect(t, "the copy's guest", c.status("g").State, engine.StateStopped)
	for _, args := range [][]string{{"gc"}, {"down", "g"}, {"kill", "g"}, {"exec", "g", "true"}, {"limit", "g", "pids=20"}, {"freeze", "g"},
		{"up", "g"}, {"gc"}, {"down", "g"}, {"gc"}, {"rm", "-f", "--all"}, {"gc"}} {
		c.vsl(args...)
		if s := r.status("g"); s.PID != pid || s.State != engine.StateRunning || strings.Join(addrLines(t), "\n") != strings.Join(was, "\n") {
			t.Fatalf("after vsl %v on the copy the original is %+v, and the addresses are\n%v\nwere\n%v", args, s, addrLines(t), was)
		}
	}
	expect(t, "a file of the original", r.out("g", "cat", "/etc/hostname"), "g")
}
