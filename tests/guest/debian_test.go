package guest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vsl/engine"
	"vsl/tests/fixture"
)

// debianRecipe declares two unchanged Debian guests with systemd, nginx and
// redis on their default ports.
const debianRecipe = `local debian = template "debian" { from = tar "debian.tar.zst", build = function(t) t:copy_in("agent", "/agent") end }
for i = 1, 2 do
  guest("web" .. i) {
    template = debian, ip = "127.77.5.1" .. i, limit = { memory = "512M", pids = 512 },
    provision = function(g) g:write("/var/www/html/index.html", "page of " .. g.name) end,
    ready = probe.notify { within = "%s" },
    secrets = { token = { from = secret.file("token"), owner = 33 } }, nesting = i == 2,
  }
end`

// TestDebian brings two Debian guests up once; each subtest is one promise.
// They come in an order: the last ones end the guests.
func TestDebian(t *testing.T) {
	r := newRoot(t)
	packed := fixture.DebianTar(t)
	if err := os.Link(packed, filepath.Join(r.src, "debian.tar.zst")); err != nil {
		if err := os.Symlink(packed, filepath.Join(r.src, "debian.tar.zst")); err != nil {
			t.Fatal(err)
		}
	}
	recipe := r.recipe(fmt.Sprintf(debianRecipe, slow(time.Minute)))
	if err := os.WriteFile(filepath.Join(r.src, "token"), []byte("token of the web"), 0o600); err != nil {
		t.Fatal(err)
	}
	up := func(t *testing.T) {
		t.Helper()
		if res := r.vsl("up", "--allow-host", recipe); res.code != 0 {
			t.Fatalf("up: exit %d\n%s%s", res.code, res.out, res.err)
		}
	}
	up(t)
	d := &debian{r: r, up: up}
	template := filepath.Join(r.dir, "templates")
	before := hashTree(t, template)
	for _, s := range []struct {
		name string
		f    func(*testing.T)
	}{
		{"systemd is running without a failed unit", d.running},
		{"readiness came by notification", d.ready},
		{"a limit is what the guest reads", d.memoryMax},
		{"each guest is itself", d.identity},
		{"rsyslog follows the log and rests", d.rsyslog},
		{"secrets stay where systemd finds /run mounted", d.secret},
		{"nginx and redis keep to their own guest", d.services},
		{"a program with a file capability runs, and ping pings", d.ping},
		{"units are sandboxed, and users make sandboxes where nesting is on", d.sandboxes},
		{"limits of units hold where the host has cgroup v2 alone", d.unitLimits},
		{"the template never changes", func(t *testing.T) { d.vandal(t); expect(t, "hash of the template", hashTree(t, template), before) }},
		{"guests share one page cache", d.pageCache},
		{"the host's status shows systemd", d.status},
		{"no hostile probe gets out", func(t *testing.T) { newPrey(d.r).probed("web1", kind{ownTree: true}) }},
		{"shutdown is graceful and state is kept", d.graceful},
		{"poweroff inside ends the guest", func(t *testing.T) { d.ends(t, "systemctl", "poweroff") }},
		{"reboot inside ends the guest", func(t *testing.T) { d.ends(t, "systemctl", "reboot") }},
		{"killing pid 1 ends the guest", d.killInit},
	} {
		t.Run(s.name, func(t *testing.T) {
			d.r = r.in(t)
			s.f(t)
		})
	}
	r.must("down", "--all")
	r.clean()
}

type debian struct {
	r  *root
	up func(*testing.T)
}

func (d *debian) running(t *testing.T) {
	for _, g := range []string{"web1", "web2"} {
		// Readiness is that the default target is reached; a moment later all jobs are done.
		eventually(t, slow(20*time.Second), g+" is running", func() bool {
			res := d.r.exec(g, "systemctl", "is-system-running")
			return strings.TrimSpace(string(res.Stdout)) != "starting"
		})
		expect(t, g, d.r.vsl("exec", g, "systemctl", "is-system-running").out, "running\n")
		expect(t, g+": failed units", d.r.out(g, "systemctl", "--failed", "--no-legend", "--plain"), "")
		expect(t, g+": nginx", d.r.out(g, "systemctl", "is-active", "nginx", "redis-server"), "active\nactive")
	}
}

func (d *debian) ready(t *testing.T) {
	s := d.r.status("web1")
	expect(t, "ready", s.Ready, true)
	expect(t, "init", s.Init, "systemd")
	if log := d.r.must("logs", "web1"); !strings.Contains(log, "Reached target") && !strings.Contains(log, "systemd") {
		t.Errorf("the console's output is not in the log:\n%s", log)
	}
}

func (d *debian) memoryMax(t *testing.T) {
	if v2(t, "memory") {
		expect(t, "memory.max inside", d.r.out("web1", "cat", "/sys/fs/cgroup/memory.max"), strconv.Itoa(512<<20))
	}
	fs := d.r.sh("web1", "stat -f -c %T /sys/fs/cgroup; test -w /sys/fs/cgroup/cgroup.subtree_control && echo writable")
	expect(t, "its cgroups", fs, "cgroup2fs\nwritable")
	if out := d.r.out("web1", "systemd-cgls", "--no-pager"); !strings.Contains(out, "nginx.service") {
		t.Errorf("systemd-cgls:\n%s", out)
	}
}

func (d *debian) identity(t *testing.T) {
	expect(t, "hostname", d.r.out("web1", "hostname"), "web1")
	expect(t, "hostnamectl", d.r.out("web2", "cat", "/etc/hostname"), "web2")
	a, b := d.r.out("web1", "cat", "/etc/machine-id"), d.r.out("web2", "cat", "/etc/machine-id")
	if a == b || len(a) != 32 || len(b) != 32 {
		t.Errorf("machine ids %q and %q", a, b)
	}
	expect(t, "virtualization", d.r.vsl("exec", "web1", "systemd-detect-virt", "-c").out, "container-other\n")
	up, err := strconv.ParseFloat(strings.Fields(d.r.out("web1", "cat", "/proc/uptime"))[0], 64)
	since := time.Since(d.r.status("web1").Since).Seconds()
	if err != nil || up > since+2 || up < 0.1 {
		t.Errorf("uptime %.1f s after %.1f s", up, since)
	}
}

// rsyslog follows the kernel's log. What it may not read must say so: a file that
// only seems to have ended costs it a whole cpu.
func (d *debian) rsyslog(t *testing.T) {
	expect(t, "rsyslog", d.r.out("web1", "systemctl", "is-active", "rsyslog"), "active")
	d.r.out("web1", "logger", "hello from the guest")
	eventually(t, slow(10*time.Second), "the message is in /var/log/syslog", func() bool {
		return d.r.exec("web1", "grep", "-q", "hello from the guest", "/var/log/syslog").Code == 0
	})
	ticks := func() int { // utime and stime, proc_pid_stat(5); a tick is 10 ms
		stat := d.r.sh("web1", "cat /proc/$(systemctl show -P MainPID rsyslog)/stat")
		f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
		user, err := strconv.Atoi(f[11])
		system, err2 := strconv.Atoi(f[12])
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		return user + system
	}
	before := ticks()
	time.Sleep(2 * time.Second)
	if used := ticks() - before; used > 20 {
		t.Errorf("rsyslog used %d ms of cpu in 2 s, with nothing to log", used*10)
	}
}

func (d *debian) secret(t *testing.T) {
	expect(t, "the secret", d.r.out("web1", "cat", "/run/secrets/token"), "token of the web")
	expect(t, "its owner and mode", d.r.out("web1", "stat", "-c", "%U %a", "/run/secrets/token"), "www-data 400")
	expect(t, "what systemd has mounted on /run", d.r.sh("web1", "grep -c ' /run tmpfs ' /proc/mounts"), "1")
	expect(t, "unit that reads it", d.r.out("web1", "systemd-run", "--wait", "--pipe", "-q", "-p", "User=www-data", "cat", "/run/secrets/token"), "token of the web")
}

func (d *debian) services(t *testing.T) {
	for i := 1; i <= 2; i++ {
		name := fmt.Sprintf("web%d", i)
		expect(t, "page from outside", get(t, fmt.Sprintf("http://127.77.5.1%d/", i)), "page of "+name)
		expect(t, "page from inside", d.r.out(name, "curl", "-s", "http://127.0.0.1/"), "page of "+name)
		d.r.out(name, "redis-cli", "set", "who", name)
	}
	for i := 1; i <= 2; i++ {
		name, other := fmt.Sprintf("web%d", i), fmt.Sprintf("web%d", 3-i)
		expect(t, "redis on 127.0.0.1", d.r.out(name, "redis-cli", "get", "who"), name)
		expect(t, "the other's page at its address", d.r.out(name, "curl", "-s", fmt.Sprintf("http://127.77.5.1%d/", 3-i)), "page of "+other)
		if res := d.r.exec(name, "redis-cli", "-h", fmt.Sprintf("127.77.5.1%d", 3-i), "get", "who"); res.Code == 0 {
			t.Errorf("%s reaches the redis on the other's 127.0.0.1: %s", name, res.Stdout)
		}
	}
	for _, addr := range []string{"127.0.0.1:80", "127.0.0.1:6379"} {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("the host's %s answers", addr)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:8099")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	expect(t, "curl to the host's 127.0.0.1", d.r.exec("web1", "curl", "-s", "-m", "3", "http://127.0.0.1:8099/").Code, 7)
}

// ping's file has cap_net_raw. On the host's stack it pings by an ICMP socket, as
// root and as a user, where the host's ping_group_range allows that.
func (d *debian) ping(t *testing.T) {
	const groups = "/proc/sys/net/ipv4/ping_group_range" // of the test's own network namespace
	before := readFile(t, groups)
	t.Cleanup(func() {
		if err := os.WriteFile(groups, []byte(before), 0); err != nil {
			t.Error(err)
		}
	})
	ping := func(as string, args ...string) engine.ExecResult {
		argv := append([]string{"setpriv", "--reuid", as, "--regid", as, "--clear-groups", "--", "ping", "-c1", "-W2"}, args...)
		return d.r.exec("web1", argv...)
	}
	for _, c := range []struct {
		groups string
		code   int
	}{{"1 0", 2}, {"0 2147483647", 0}} {
		if err := os.WriteFile(groups, []byte(c.groups), 0); err != nil {
			t.Fatal(err)
		}
		for _, as := range []string{"0", "33"} {
			for _, args := range [][]string{{"127.0.0.1"}, {"-I", "127.77.5.11", "127.77.5.12"}} {
				res := ping(as, args...)
				if res.Code != c.code {
					t.Errorf("groups %s: uid %s: ping %v: exit %d\n%s%s", c.groups, as, args, res.Code, res.Stdout, res.Stderr)
				}
			}
		}
	}
	expect(t, "ping of a user from the neighbour's address", ping("33", "-I", "127.77.5.12", "127.77.5.11").Code != 0, true)
}

// systemd goes on with the /proc that is there where it may not mount one. bwrap
// does not.
func (d *debian) sandboxes(t *testing.T) {
	for _, g := range []string{"web1", "web2"} {
		out := d.r.out(g, "systemd-run", "--wait", "--pipe", "-q", "-p", "ProtectProc=invisible", "-p", "ProcSubset=pid", "-p", "DynamicUser=yes",
			"-p", "PrivateDevices=yes", "-p", "PrivateTmp=yes", "-p", "ProtectKernelTunables=yes", "-p", "ProtectSystem=strict", "-p", "PrivateUsers=yes",
			"sh", "-c", "head -1 /proc/self/status")
		expect(t, g+": a unit with all of systemd's walls", out, "Name:\thead")
		res := d.r.exec(g, "setpriv", "--reuid", "33", "--regid", "33", "--clear-groups", "--",
			"bwrap", "--ro-bind", "/", "/", "--unshare-user", "--unshare-pid", "--proc", "/proc", "--dev", "/dev", "sh", "-c", "echo /proc/[0-9]*")
		works := g == "web2"
		expect(t, g+": bwrap: exit 0", res.Code == 0, works)
		if works {
			expect(t, g+": processes in it", strings.TrimSpace(string(res.Stdout)), "/proc/1 /proc/2")
		}
	}
}

func (d *debian) unitLimits(t *testing.T) {
	if !v2(t, "memory") || !v2(t, "pids") {
		return // the guest's hierarchy has no controllers there; docs/guide/limits.md says so
	}
	out := d.r.out("web1", "systemd-run", "--wait", "--pipe", "-q", "-p", "MemoryMax=32M", "-p", "TasksMax=17",
		"sh", "-c", "cd /sys/fs/cgroup/$(cut -d: -f3 /proc/self/cgroup) && cat memory.max pids.max")
	expect(t, "limits of a unit", strings.Join(strings.Fields(out), " "), "33554432 17")
}

func get(t *testing.T, url string) string {
	t.Helper()
	c := http.Client{Timeout: slow(5 * time.Second)}
	defer c.CloseIdleConnections()
	res, err := c.Get(url)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return string(body)
}

// vandal does to its clone what nobody should.
func (d *debian) vandal(t *testing.T) {
	d.r.sh("web2", `cd /usr/share && for f in $(find . -type f | head -200); do echo vandal >> $f; done
truncate -s 0 /usr/share/perl5/Debconf/*.pm 2>/dev/null; chmod 777 /usr/bin/*; chown 33:33 /usr/sbin/*
mv /usr/share/zoneinfo /usr/share/gone 2>/dev/null; rm -rf /usr/share/man /usr/share/info /var/cache/apt /opt; ln -f /bin/true /bin/false
setfattr -n user.x -v y /etc/passwd 2>/dev/null; touch -d 1999-01-01 /etc/* ; true`)
	expect(t, "the guest sees its own work", d.r.sh("web2", "stat -c %a /usr/bin/env"), "777")
	expect(t, "the other guest does not", d.r.sh("web1", "stat -c %a /usr/bin/env"), "755")
}

// Two guests that map the same file of their template map the same memory.
func (d *debian) pageCache(t *testing.T) {
	r := d.r
	var frames []uint64
	for _, g := range []string{"web1", "web2"} {
		pid := r.background(g, "tail", "-f", "/dev/null")
		frame := uint64(0)
		eventually(t, slow(5*time.Second), "libc is there", func() bool { frame = frameOf(t, pid, "libc.so.6"); return frame != 0 })
		frames = append(frames, frame)
	}
	if frames[0] != frames[1] {
		t.Errorf("libc is at frames %#x", frames)
	}
}

func (d *debian) status(t *testing.T) {
	s := d.r.status("web1")
	expect(t, "clone", s.Clone, "overlay")
	if s.Processes < 5 || len(s.IP) != 1 {
		t.Errorf("%+v", s)
	}
}

func (d *debian) graceful(t *testing.T) {
	unit := "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecStop=/bin/sh -c 'echo stopped >> /var/lib/marker'\n[Install]\nWantedBy=multi-user.target\n"
	if err := d.r.guest("web1").WriteFile(t.Context(), "/etc/systemd/system/marker.service", []byte(unit), engine.WriteArgs{}); err != nil {
		t.Fatal(err)
	}
	d.r.out("web1", "systemctl", "enable", "--now", "marker.service")
	d.r.out("web1", "redis-cli", "set", "kept", "yes")
	d.r.sh("web1", "mkdir -p /var/log/journal && journalctl --flush && echo told before the restart | systemd-cat && journalctl --sync")
	xid := d.r.status("web1").XID
	begin := time.Now()
	if res := d.r.vsl("restart", "web1"); res.code != 0 {
		t.Fatalf("restart: exit %d\n%s", res.code, res.err)
	}
	if took := time.Since(begin); took > fixture.Scaled(15*time.Second) {
		t.Errorf("took %s: the way down was not understood", took)
	}
	expect(t, "marker of the service's stop", d.r.out("web1", "cat", "/var/lib/marker"), "stopped")
	eventually(t, slow(10*time.Second), "redis has its data", func() bool {
		return strings.TrimSpace(string(d.r.exec("web1", "redis-cli", "get", "kept").Stdout)) == "yes"
	})
	expect(t, "xid", d.r.status("web1").XID, xid)
	if out := d.r.out("web1", "journalctl", "-b", "-1", "-o", "cat"); !strings.Contains(out, "told before the restart") {
		t.Errorf("journalctl -b -1:\n%.2000s", out)
	}
	expect(t, "the same in the journal of this boot", d.r.exec("web1", "sh", "-c", "journalctl -b 0 -o cat | grep 'told before the restart'").Code, 1)
	expect(t, "page after the restart", get(t, "http://127.77.5.11/"), "page of web1")
}

// ends runs a command inside that ends the guest; afterwards vsl knows, and the
// next command clears what the kernel still has of it.
func (d *debian) ends(t *testing.T, argv ...string) {
	d.r.exec("web1", argv...)
	eventually(t, slow(20*time.Second), "web1 is gone", func() bool { return d.r.vsl("status", "web1").code == 3 })
	d.r.must("gc")
	if left := d.r.procs("web1"); len(left) != 0 {
		t.Errorf("processes %v are left", left)
	}
	for _, top := range d.r.cgroups() {
		if _, err := os.Stat(filepath.Join(top, "web1")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s/web1 is left", top)
		}
	}
	expect(t, "the other guest lives", d.r.out("web2", "echo", "yes"), "yes")
	d.up(t)
	expect(t, "state", d.r.status("web1").State, engine.StateRunning)
}

func (d *debian) killInit(t *testing.T) {
	d.r.must("kill", "-s", "KILL", "web1")
	eventually(t, slow(10*time.Second), "web1 is gone", func() bool { return d.r.vsl("status", "web1").code == 3 })
	d.up(t)
	expect(t, "page", get(t, "http://127.77.5.11/"), "page of web1")
}
