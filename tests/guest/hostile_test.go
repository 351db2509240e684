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

	"golang.org/x/sys/unix"

	"vsl/tests/fixture"
)

// What the kernel counts per user it counts for the owner of a user namespace as
// well. With root as the owner one guest could take what all others and the host
// have.
func TestHostileGuestUsesUpItsOwnCountsOnly(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "g" { template = box, command = { "sleep", "infinity" } }
guest "other" { template = box, command = { "sleep", "infinity" }, ip = "127.77.5.10" }`)
	for _, name := range []string{"g", "other"} {
		s := r.status(name)
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", s.PID))
		if err != nil {
			t.Fatal(err)
		}
		owner, err := unix.IoctlGetUint32(int(ns.Fd()), unix.NS_GET_OWNER_UID)
		ns.Close()
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "owner of the user namespace of "+name, int(owner), s.XID<<16)
	}
	r.background("g", agentName, "inotify")
	time.Sleep(fixture.Scaled(300 * time.Millisecond))
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatalf("inotify on the host: %v", err)
	}
	unix.Close(fd)
	r.sh("other", agentName+" inotify </dev/null | grep -qv '^0$'")
}

// What a command leaves behind in a guest keeps its descriptors: neither the
// administrator's terminal, nor a socket, nor a file of the host that can be
// written may be among them.
func TestHostileCommandGetsNoTerminalAndNoSocket(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer ptmx.Close()
	if err := unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	socket, peer := os.NewFile(uintptr(pair[0]), "socket"), os.NewFile(uintptr(pair[1]), "peer")
	defer socket.Close()
	defer peer.Close()
	if err := unix.Shutdown(pair[1], unix.SHUT_WR); err != nil { // input ends at once
		t.Fatal(err)
	}
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for what, f := range map[string]*os.File{"terminal": tty, "socket": socket, "file": file} {
		c := r.cmd("exec", "g", "sh", "-c", `readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 > /root/fds; printf '\033]0;owned\007text\n'`)
		c.Stdin, c.Stdout, c.Stderr = f, f, f
		if err := c.Run(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		for line := range strings.Lines(r.out("g", "cat", "/root/fds")) {
			if !strings.HasPrefix(line, "pipe:") && !strings.HasPrefix(line, "/root/fds") {
				t.Errorf("%s: a command holds %s", what, line)
			}
		}
	}
	buf := make([]byte, 4096)
	k, err := ptmx.Read(buf)
	if err != nil || strings.Contains(string(buf[:k]), "\x1b") || !strings.Contains(string(buf[:k]), "text") {
		t.Errorf("the terminal got %q, %v", buf[:k], err)
	}
}

// A tracer keeps its tracee from being reaped by anybody else; a command that
// runs out of time must come back all the same.
func TestHostileTracerDoesNotHoldACommand(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	r.background("g", agentName, "trace", "hostage")
	c := r.cmd("exec", "--timeout", "1s", "g", "sh", "-c", "sleep 3600 # hostage")
	begin := time.Now()
	timer := time.AfterFunc(slow(25*time.Second), func() { c.Process.Kill() })
	defer timer.Stop()
	err := c.Run()
	var ee *exec.ExitError
	if !errors.As(err, &ee) || ee.ExitCode() != 124 {
		t.Errorf("exec: %v after %s", err, time.Since(begin))
	}
	begin = time.Now()
	r.must("down", "g")
	if took := time.Since(begin); took > slow(20*time.Second) {
		t.Errorf("down took %s", took)
	}
}

// A guest that never stops talking to the notification socket must not keep vsl
// up from ending.
func TestHostileNotificationsEnd(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	script := filepath.Join(r.src, "systemd")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec "+agentName+" flood\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	rec := r.recipe(`local loud = template "loud" { from = host(), build = function(t) t:copy_in("agent", "/agent") t:copy_in("systemd", "/opt/systemd") end }
guest "g" { template = loud, init = { "/opt/systemd" }, ready = probe.notify { within = "` + min(fixture.Scaled(2*time.Second), 20*time.Second).String() + `" } }`) // the flood is 40 s long
	res := r.vsl("up", rec)
	if res.code == 0 || res.took > slow(20*time.Second) {
		t.Errorf("up: exit %d after %s: %s", res.code, res.took, res.err)
	}
	if !strings.Contains(res.err, "owned") || strings.Contains(res.err, "\x1b") {
		t.Errorf("its status is not in %q, or with control codes", res.err)
	}
}

// Guest root cannot make its log longer than what it writes; one that somebody made
// long on the host is read in bounds.
func TestHostileLogIsReadInBounds(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "g" { template = box, init = { "/bin/sh", "-c", "truncate -s 2T /proc/self/fd/1; echo last; trap exit TERM; sleep infinity & wait" },
  ready = probe.log "last" }`)
	path := filepath.Join(r.dir, "guests/g/console.log")
	if n := r.logSize("g"); n > logBound {
		t.Errorf("a guest made its log %d bytes long", n)
	}
	if err := os.Truncate(path, 2<<40); err != nil {
		t.Fatal(err)
	}
	c := r.cmd("logs", "-n", "1", "g")
	if out, err := c.Output(); err != nil || len(out) > 8<<20 {
		t.Errorf("logs: %v: %d bytes", err, len(out))
	}
}

// What an earlier copy brought is not followed by the next one, and a file that
// is all hole does not fill the host's disk.
func TestHostileCopyOutStaysWhereItIsPut(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.simple("")
	g, ctx := r.guest("g"), t.Context()
	dir := t.TempDir()
	victim, sub := filepath.Join(dir, "victim"), filepath.Join(dir, "others")
	if err := os.WriteFile(victim, []byte("host's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	r.sh("g", "mkdir /srv/t; ln -s victim /srv/f; ln -s ../others /srv/t/d; ln -s ../victim /srv/t/f")
	copyOut := func() {
		t.Helper()
		for from, to := range map[string]string{"/srv/f": "f", "/srv/t": "t"} {
			if err := g.CopyOut(ctx, from, filepath.Join(dir, to)); err != nil {
				t.Error(err)
			}
		}
	}
	copyOut()
	r.sh("g", "rm /srv/f /srv/t/*; mkdir /srv/t/d; for f in f t/f t/d/f; do echo evil > /srv/$f; done; truncate -s 300G /srv/t/hole; echo end >> /srv/t/hole; truncate -s 1M /srv/t/hole")
	copyOut()
	expect(t, "victim", readFile(t, victim), "host's")
	expect(t, "copied", readFile(t, filepath.Join(dir, "t/d/f")), "evil\n")
	if names, _ := os.ReadDir(sub); len(names) > 0 {
		t.Errorf("written through a link: %v", names)
	}
	st, err := os.Stat(filepath.Join(dir, "t/hole"))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "size of the hole", st.Size(), 1<<20)
	if blocks := st.Sys().(*syscall.Stat_t).Blocks; blocks > 64 {
		t.Errorf("the hole takes %d blocks", blocks)
	}
}

// What a shutdown flow waits for is the guest's to give; a guest that gives
// nothing goes down all the same, and down says so.
func TestHostileGuestDoesNotHoldItsShutdownFlow(t *testing.T) {
	r := newRoot(t)
	r.simple(`stop = { timeout = "1s", sequence = { { signal = "TERM", wait = "1s" } } },
  shutdown = function(g) g:exec { "sleep", "3600" } g:shutdown() end`)
	res := r.vsl("down", "g")
	if res.code != 0 || res.took > slow(40*time.Second) || !strings.Contains(res.err, "shutdown flow did not end") {
		t.Errorf("down: exit %d after %s: %s", res.code, res.took, res.err)
	}
	expect(t, "state", string(r.status("g").State), "stopped")
}
