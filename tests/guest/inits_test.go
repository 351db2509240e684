package guest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/tests/fixture"
)

func TestCommandEndsByTerm(t *testing.T) {
	r := newRoot(t)
	r.simple(`stop = { timeout = "1h" }`)
	begin := time.Now()
	r.must("down", "g")
	if d := time.Since(begin); d > slow(3*time.Second) {
		t.Errorf("took %s", d)
	}
	r.clean()
	r.up(`guest "g" { template = box, command = { "sh", "-c", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done" }, ready = probe.log "ready" }`)
	r.must("down", "g")
	if log := r.must("logs", "g"); !strings.HasSuffix(log, "bye\n") {
		t.Errorf("it did not say goodbye: %q", log)
	}
}

func TestCommandThatIgnoresTermIsKilledAtItsTimeout(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "g" { template = box, command = { "sh", "-c", "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo ready; while :; do sleep 1; done" },
  ready = probe.log "ready", stop = { timeout = "400ms", sequence = { { signal = "TERM", wait = "200ms" } } } }`)
	begin := time.Now()
	r.must("down", "g")
	if d := time.Since(begin); d < 400*time.Millisecond || d > slow(4*time.Second) {
		t.Errorf("took %s", d)
	}
	r.clean()
}

func TestStopSignalOfTheRecipeIsSent(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "g" { template = box, command = { "sh", "-c", "trap 'echo got usr1; exit 0' USR1; echo ready; while :; do sleep 0.1; done" },
  ready = probe.log "ready", stop = { signal = "USR1", timeout = "20s" } }`)
	r.must("down", "g")
	if log := r.must("logs", "g"); !strings.Contains(log, "got usr1") {
		t.Errorf("log: %q", log)
	}
}

// The reaper below which commands run: it collects orphans and its guest ends
// with the command.
func TestReaperCollectsOrphansAndEndsWithTheCommand(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	for range 20 {
		r.sh("g", "(sleep 0.01 &) ; true")
	}
	eventually(t, slow(5*time.Second), "no zombie", func() bool {
		return !strings.Contains(r.sh("g", "cat /proc/[0-9]*/stat 2>/dev/null; true"), ") Z ")
	})
	r.must("rm", "-f", "g")
	r.up(`guest "g" { template = box, command = { "sh", "-c", "sleep 1000 & sleep 0.3; exit 4" } }`)
	eventually(t, slow(5*time.Second), "the guest ended with its command", func() bool { return r.vsl("status", "g").code == 3 })
	r.must("gc")
	expect(t, "processes left", len(r.procs("g")), 0)
	r.fails(1, []string{"exit status 3"}, "up", r.recipe(`guest "h" { template = box, command = { "sh", "-c", "echo broken; exit 3" }, ready = probe.file "/never" }`))
}

// busyboxTree makes the root of a busybox guest from the busybox that the
// Debian fixture or the host has.
func busyboxTree(t *testing.T, r *root) string {
	t.Helper()
	busybox := "/bin/busybox"
	if _, err := os.Stat(busybox); err != nil {
		t.Fatal("busybox-static is missing: make deps installs it")
	}
	dir := filepath.Join(r.src, "bb")
	for _, d := range []string{"bin", "sbin", "etc", "proc", "sys", "dev", "run", "tmp", "var/log", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyFile(busybox, filepath.Join(dir, "bin/busybox")); err != nil {
		t.Fatal(err)
	}
	for _, l := range []string{"bin/sh", "bin/sleep", "bin/ps", "bin/cat", "bin/id", "bin/echo", "bin/sync", "sbin/init", "sbin/reboot", "sbin/poweroff", "sbin/telinit"} {
		if err := os.Symlink("/bin/busybox", filepath.Join(dir, l)); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string]string{
		"etc/passwd":  "root:x:0:0:root:/root:/bin/sh\n",
		"etc/inittab": "::sysinit:/bin/echo sysinit\n::respawn:/bin/sleep 1234\n::shutdown:/bin/sh -c 'echo stopped > /var/log/stopped'\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tarball := filepath.Join(r.src, "bb.tar")
	runHost(t, "tar", "-C", dir, "--owner=0", "--group=0", "-cf", tarball, ".")
	return tarball
}

func TestBusyboxInitShutsDownItsWay(t *testing.T) {
	r := newRoot(t)
	busyboxTree(t, r)
	r.up(`guest "b" { template = tar "bb.tar", net = "none" }`)
	s := r.status("b")
	expect(t, "init", s.Init, "busybox")
	eventually(t, slow(5*time.Second), "its service runs", func() bool { return strings.Contains(r.out("b", "ps"), "sleep 1234") })
	expect(t, "pid 1", strings.Fields(r.sh("b", "ps | grep ' init' | head -1"))[0], "1")
	begin := time.Now()
	r.must("down", "b")
	if d := time.Since(begin); d > fixture.Scaled(8*time.Second) {
		t.Errorf("took %s", d)
	}
	r.clean()
	r.must("up", filepath.Join(r.src, "recipe.lua"))
	expect(t, "its shutdown script ran", r.out("b", "cat", "/var/log/stopped"), "stopped")
	r.exec("b", "reboot")
	eventually(t, slow(10*time.Second), "reboot inside ends it", func() bool { return r.vsl("status", "b").code == 3 })
}

// A recipe may name its guest's init, and the signal that ends it.
func TestInitOfTheRecipeIsTaken(t *testing.T) {
	r := newRoot(t)
	busyboxTree(t, r)
	r.up(`guest "i" { template = tar "bb.tar", init = { "/bin/sh", "-c", "trap 'echo going; exit 0' TERM; echo up; while :; do sleep 0.1; done" }, net = "none", ready = probe.log "up", stop = { signal = "TERM", timeout = "5s" } }`)
	expect(t, "init", r.status("i").Init, "init")
	r.must("down", "i")
	if log := r.must("logs", "i"); !strings.Contains(log, "going") {
		t.Errorf("log: %q", log)
	}
}

// Which init it is comes from what runs: a telinit that lies beside it, a pid 1
// that does not listen and a lost hint all end in TERM before they end in KILL.
func TestStopIsGracefulWhateverTheFilesSay(t *testing.T) {
	const told = `trap 'echo told > /var/log/stopped; exit 0' TERM; echo up; while :; do sleep 0.1; done`
	for _, tc := range []struct{ name, init string }{
		{"another's telinit lies beside it", `"/bin/sh", "-c", "` + told + `"`},
		{"pid 1 does not listen", `"/bin/sh", "-c", "sh -c \"` + told + `\"; true"`},
		{"its hint is lost", `"/bin/sh", "-c", "` + told + `"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRoot(t)
			busyboxTree(t, r)
			r.up(`guest "i" { template = tar "bb.tar", init = { ` + tc.init + ` }, net = "none", ready = probe.log "up", stop = { timeout = "20s" } }`)
			pid := r.status("i").PID
			if tc.name == "its hint is lost" {
				if err := os.Remove(filepath.Join(r.dir, "run", "i.json")); err != nil {
					t.Fatal(err)
				}
			}
			begin := time.Now()
			r.must("down", "i")
			if d := time.Since(begin); d > slow(10*time.Second) {
				t.Errorf("took %s", d)
			}
			expect(t, "pid 1 lives", alive(pid), false)
			text, _ := os.ReadFile(filepath.Join(r.dir, "guests", "i", "upper", "var", "log", "stopped"))
			expect(t, "what it wrote at TERM", string(text), "told\n")
			r.clean()
		})
	}
}
