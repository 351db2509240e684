package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vsl/engine"
	"vsl/engine/spawn"
	"vsl/tests/fixture"
)

// background runs a command in a guest until the test ends, and gives its pid
// on the host. Its argv must be unique in the guest.
func (r *root) background(name string, argv ...string) int {
	r.t.Helper()
	c := r.cmd(append([]string{"exec", name}, argv...)...)
	in, err := c.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		in.Close()
		c.Process.Signal(syscall.SIGTERM) // which it passes on; killed it would leave an orphan
		hard := time.AfterFunc(slow(5*time.Second), func() { c.Process.Kill() })
		c.Wait()
		hard.Stop()
	})
	want := strings.Join(argv, "\x00") + "\x00"
	pid := 0
	eventually(r.t, slow(5*time.Second), strings.Join(argv, " ")+" runs", func() bool {
		for _, p := range r.procs(name) {
			if data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p)); string(data) == want {
				pid = p
				return true
			}
		}
		return false
	})
	return pid
}

// procs are the pids of all processes of a guest, on the host.
func (r *root) procs(name string) []int {
	r.t.Helper()
	var out []int
	for _, top := range r.cgroups() {
		filepath.WalkDir(filepath.Join(top, name), func(p string, d os.DirEntry, err error) error {
			if err != nil || d.Name() != "cgroup.procs" {
				return nil
			}
			data, _ := os.ReadFile(p)
			for _, f := range strings.Fields(string(data)) {
				if n, err := strconv.Atoi(f); err == nil {
					out = append(out, n)
				}
			}
			return nil
		})
	}
	return out
}

func procFile(t testing.TB, pid int, name string) string {
	t.Helper()
	return readFile(t, fmt.Sprintf("/proc/%d/%s", pid, name))
}

// field is a value of /proc/PID/status.
func field(t testing.TB, pid int, key string) string {
	t.Helper()
	for line := range strings.Lines(procFile(t, pid, "status")) {
		if v, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	t.Fatalf("no %s in the status of %d", key, pid)
	return ""
}

var namespaces = []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}

// What boots and what is exec'd is confined alike: shown from the host's /proc.
func TestExecLandsInTheContextOfPid1(t *testing.T) {
	for _, mode := range []string{`net = "none"`, `ip = "127.77.4.10"`} {
		t.Run(mode, func(t *testing.T) {
			r := newRoot(t)
			r.simple(mode + `, limit = { memory = "64M", pids = 100, rlimits = { nofile = 512, core = 0 }, nice = 5 }`)
			s := r.status("g")
			pids := map[string]int{"pid 1": s.PID, "exec": r.background("g", "sleep", "1001")}
			for _, p := range r.procs("g") { // the command below the reaper
				if strings.HasPrefix(procFile(t, p, "cmdline"), "sleep\x00infinity") {
					pids["command"] = p
				}
			}
			expect(t, "processes found", len(pids), 3)
			for what, pid := range pids {
				checkConfined(t, what, pid, s, mode == `net = "none"`)
			}
		})
	}
}

func checkConfined(t *testing.T, what string, pid int, s engine.Status, ownNet bool) {
	t.Helper()
	base := uint64(s.XID) << 16
	for _, ns := range namespaces {
		own := func(p string) string {
			l, err := os.Readlink(fmt.Sprintf("/proc/%s/ns/%s", p, ns))
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		mine, init, host := own(strconv.Itoa(pid)), own(strconv.Itoa(s.PID)), own("self")
		expect(t, what+": namespace "+ns+" is pid 1's", mine, init)
		expect(t, what+": namespace "+ns+" is the host's", mine == host, ns == "net" && !ownNet)
	}
	for _, line := range strings.Split(strings.TrimSpace(procFile(t, pid, "cgroup")), "\n") {
		f := strings.SplitN(line, ":", 3)
		inside := strings.Contains(f[2], "/g")
		limited := f[1] == "" || strings.Contains(","+f[1]+",", ",memory,") || strings.Contains(","+f[1]+",", ",pids,")
		if inside != limited && (limited || !strings.Contains(f[1], "cpu")) {
			t.Errorf("%s: cgroup line %q", what, line)
		}
	}
	expect(t, what+": Seccomp", field(t, pid, "Seccomp"), "2")
	bound, err := strconv.ParseUint(field(t, pid, "CapBnd"), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range spawn.DroppedCaps() {
		expect(t, what+": capability "+spawn.CapName(c)+" is there", bound&(1<<c) != 0, false)
	}
	for _, m := range []string{"uid_map", "gid_map"} {
		want := fmt.Sprintf("0 %d 65536", base)
		expect(t, what+": "+m, strings.Join(strings.Fields(procFile(t, pid, m)), " "), want)
	}
	expect(t, what+": Uid", strings.Fields(field(t, pid, "Uid"))[0], strconv.FormatUint(base, 10))
	limits := procFile(t, pid, "limits")
	for _, want := range []string{"Max open files            512                  512", "Max core file size        0                    0"} {
		if !strings.Contains(limits, want) {
			t.Errorf("%s: no %q in\n%s", what, want, limits)
		}
	}
	stat := procFile(t, pid, "stat")
	after := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	expect(t, what+": nice", after[16], "5")
}

// A process inside sees its own system only.
func TestGuestSeesOnlyItself(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	if n, _ := strconv.Atoi(r.sh("g", "ls -d /proc/[0-9]* | wc -l")); n > 5 {
		t.Errorf("sees %d processes", n)
	}
	up, _ := strconv.ParseFloat(strings.Fields(r.out("g", "cat", "/proc/uptime"))[0], 64)
	if up > fixture.Scaled(30*time.Second).Seconds() {
		t.Errorf("its uptime is %.1f s", up)
	}
	expect(t, "its cgroup", r.out("g", "sh", "-c", "grep ^0:: /proc/1/cgroup"), "0::/")
	if own := r.out("g", "sh", "-c", "grep ^0:: /proc/self/cgroup"); !strings.HasPrefix(own, "0::/vsl.command.") || strings.Count(own, "/") != 1 {
		t.Errorf("a command's cgroup: got %s, want one right below the guest's", own)
	}
	mounts := r.out("g", "cat", "/proc/self/mountinfo")
	for _, secret := range []string{r.src, "/home", "/root/"} {
		if strings.Contains(mounts, secret) {
			t.Errorf("%s is among its mounts:\n%s", secret, mounts)
		}
	}
	expect(t, "device nodes", r.sh("g", "find /dev -maxdepth 1 -type c -o -maxdepth 1 -type b | sort | tr '\\n' ' '"),
		"/dev/full /dev/null /dev/random /dev/tty /dev/urandom /dev/zero ")
	fds := r.sh("g", "ls /proc/self/fd | tr '\\n' ' '")
	expect(t, "descriptors of a command", fds, "0 1 2 3 ")
	pid := r.status("g").PID
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, l := range links {
		to, _ := os.Readlink(l)
		if strings.HasPrefix(to, r.dir) && !strings.Contains(to, "console.log") {
			t.Errorf("pid 1 holds %s", to)
		}
	}
}
