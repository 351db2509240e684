package guest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vsl/engine/cgroup"
)

// usage asks what a guest uses and how often it met its limits.
func (r *root) usage(name string) cgroup.Usage {
	r.t.Helper()
	var u struct{ Usage *cgroup.Usage }
	if err := json.Unmarshal([]byte(r.must("limit", "--json", name)), &u); err != nil || u.Usage == nil {
		r.t.Fatalf("limit --json %s: %v", name, err)
	}
	return *u.Usage
}

// v2 tells whether a controller is on the v2 hierarchy here.
func v2(t testing.TB, controller string) bool {
	t.Helper()
	l, err := cgroup.Detect()
	if err != nil {
		t.Fatal(err)
	}
	return l.Has(controller) == 2
}

func TestMemoryLimitKillsInsideOnly(t *testing.T) {
	r := newRoot(t)
	r.simple(`limit = { memory = "48M", swap = 0 }`)
	expect(t, "a small allocation", r.out("g", agentName, "alloc", "8"), "allocated 8")
	res := r.exec("g", agentName, "alloc", "120")
	expect(t, "exit code of the hog", res.Code, 128+9)
	u := r.usage("g")
	if u.Hits.OOMKills < 1 || u.Hits.Memory < 1 || u.MemoryPeak > 49<<20 || u.MemoryPeak < 8<<20 {
		t.Errorf("usage %+v", u)
	}
	expect(t, "the guest lives", r.out("g", "echo", "alive"), "alive")
	if out := r.must("limit", "g"); !strings.Contains(out, "48") {
		t.Errorf("limit g:\n%s", out)
	}
}

// What sockets queue is memory of the guest like any other; v1 counts it by itself.
func TestMemoryLimitHoldsSockets(t *testing.T) {
	r := newRoot(t)
	r.simple(`limit = { memory = "64M", swap = 0 }`)
	res := r.exec("g", agentName, "queue", "256")
	mb, err := strconv.Atoi(strings.TrimSpace(string(res.Stdout)))
	if res.Signal != int(unix.SIGKILL) && (err != nil || mb > 96) { // killed, on v2: also good
		t.Errorf("a guest with 64 MB queued %d MB: %v %s", mb, err, res.Stderr)
	}
	expect(t, "the guest lives", r.out("g", "echo", "alive"), "alive")
	if out := r.must("limit", "g"); !v2(t, "memory") && !strings.Contains(out, "socket memory  64MiB") {
		t.Errorf("limit g:\n%s", out)
	}
	// live, up and away
	r.must("limit", "g", "memory=256M")
	if n, err := strconv.Atoi(r.out("g", agentName, "queue", "100")); err != nil || n < 100 && !v2(t, "memory") {
		t.Errorf("with 256 MB it queued %d MB of 100: %v", n, err)
	}
	r.must("limit", "g", "memory=unlimited", "swap=unlimited")
	expect(t, "queued without a limit", r.out("g", agentName, "queue", "100"), "100")
}

func TestPidsLimitStopsForks(t *testing.T) {
	r := newRoot(t)
	r.simple(`limit = { pids = 20 }`)
	res := r.exec("g", "sh", "-c", "i=0; while [ $i -lt 60 ]; do i=$((i+1)); sleep 30 & done; wait")
	if res.Code == 0 || !strings.Contains(string(res.Stderr), "fork") {
		t.Errorf("60 forks below a limit of 20: exit %d, %s", res.Code, res.Stderr)
	}
	if u := r.usage("g"); u.Hits.Pids < 1 || u.Pids > 20 {
		t.Errorf("usage %+v", u)
	}
	r.vsl("kill", "-s", "KILL", "--all-processes", "g")
}

func TestGuestWithoutPidsLimitHasOne(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	if u := r.usage("g"); u.Pids < 1 || u.Pids > 10 {
		t.Errorf("counted %d tasks", u.Pids)
	}
	found := false
	for _, top := range r.cgroups() {
		if data, err := os.ReadFile(filepath.Join(top, "g", "pids.max")); err == nil {
			expect(t, "pids.max", strings.TrimSpace(string(data)), "8192")
			found = true
		}
	}
	expect(t, "pids.max exists", found, true)
}

// burn gives the milliseconds of CPU that a guest's process gets in a second.
func (r *root) burn(name string) int {
	r.t.Helper()
	n, err := strconv.Atoi(r.out(name, agentName, "burn", "1s"))
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func TestCPUQuotaThrottles(t *testing.T) {
	r := newRoot(t)
	recipe := `guest "g" { template = box, command = { "sleep", "infinity" }, limit = { cpu = "20%" } }`
	r.up(recipe)
	if ms := r.burn("g"); ms > 500 {
		t.Errorf("got %d ms of a second with a quota of 20%%", ms)
	}
	if u := r.usage("g"); u.Hits.Throttled < 1 || u.CPU <= 0 {
		t.Errorf("usage %+v", u)
	}
	// Taken out of the recipe, it is lifted from the running guest.
	pid := r.status("g").PID
	r.up(strings.Replace(recipe, `cpu = "20%"`, `cpu_weight = 50`, 1))
	expect(t, "pid 1", r.status("g").PID, pid)
	before := r.usage("g").Hits.Throttled
	r.burn("g")
	expect(t, "throttled without a quota", r.usage("g").Hits.Throttled, before)
}

func TestCPUSetBindsToCPUs(t *testing.T) {
	need(t, runtime.NumCPU() > 1, "a second cpu")
	r := newRoot(t)
	r.simple(`limit = { cpuset = "1" }`)
	expect(t, "nproc", r.out("g", "nproc"), "1")
	expect(t, "allowed cpus", strings.Fields(r.out("g", "grep", "Cpus_allowed_list", "/proc/self/status"))[1], "1")
	r.must("limit", "g", "cpuset=0-1")
	expect(t, "nproc after the change", r.out("g", "nproc"), "2")
	r.fails(1, []string{"cpu 4000"}, "limit", "g", "cpuset=4000")
}

// A limit that changes while the guest runs holds at once, for pid 1 as for what
// comes later, and for the next boot.
func TestLimitsChangeWhileRunning(t *testing.T) {
	r := newRoot(t)
	r.simple(`limit = { memory = "64M", swap = 0, pids = 50 }`)
	expect(t, "100 MB", r.exec("g", agentName, "alloc", "100").Code, 137)
	pid := r.status("g").PID
	r.must("limit", "g", "memory=256M", "rlimits.nofile=99:100", "nice=7")
	expect(t, "100 MB after the change", r.out("g", agentName, "alloc", "100"), "allocated 100")
	expect(t, "pid 1", r.status("g").PID, pid)
	expect(t, "ulimit of a command", r.sh("g", "ulimit -Sn; ulimit -Hn"), "99\n100")
	expect(t, "nice of a command", r.sh("g", "nice"), "7")
	if !strings.Contains(procFile(t, pid, "limits"), "Max open files            99                   100") {
		t.Error("pid 1 keeps its old rlimit")
	}
	r.must("limit", "g", "memory=unlimited", "swap=unlimited") // both at once: v1 knows only their sum
	if got := r.status("g").Limits.Memory; got != nil && *got > 0 {
		t.Errorf("memory is %d after unlimited", *got)
	}
	r.must("down", "g")
	r.must("limit", "g", "pids=33")
	r.must("up", filepath.Join(r.src, "recipe.lua"))
	expect(t, "pids after up: the recipe decides", *r.status("g").Limits.Pids, 50)
}

func TestScheduling(t *testing.T) {
	r := newRoot(t)
	r.simple(`limit = { sched = { policy = "batch" }, nice = 3, rlimits = { nproc = 500, stack = "16M" } }`)
	expect(t, "policy", strings.TrimSpace(r.sh("g", "chrt -p $$ | head -1 | sed 's/.*: //'")), "SCHED_BATCH")
	expect(t, "nice", r.sh("g", "nice"), "3")
	expect(t, "stack and processes", r.out("g", "bash", "-c", "ulimit -s; ulimit -u"), "16384\n500")
}

// What this host cannot enforce is an error that names what is missing, and
// nothing is changed by it.
func TestLimitsThatCannotBeEnforcedAreErrors(t *testing.T) {
	r := newRoot(t)
	type attempt struct {
		pair  string
		words []string
	}
	attempts := []attempt{
		{"cpuset=4000", []string{"cpu 4000", "not online"}},
		{"io=/dev/no-such-disk,read_bps=1M", []string{"/dev/no-such-disk"}},
		{"cpu=0.0001", []string{"limit.cpu is 0.0001"}},
	}
	l, err := cgroup.Detect()
	if err != nil {
		t.Fatal(err)
	}
	if l.Has("memory") == 1 {
		attempts = append(attempts, attempt{"memory_high=32M", []string{"memory.high", "v2 memory controller"}},
			attempt{"oom_group=true", []string{"memory.oom.group"}})
	}
	if l.Has("io") == 0 {
		attempts = append(attempts, attempt{"io_weight=50", []string{"controller io"}})
	}
	r.simple(`limit = { memory = "64M" }`)
	before := r.must("limit", "--json", "g")
	for _, a := range attempts {
		res := r.vsl("limit", "g", "memory=32M", a.pair)
		if res.code == 0 {
			t.Errorf("%s: no error", a.pair)
		}
		for _, w := range a.words {
			if !strings.Contains(res.err, w) {
				t.Errorf("%s: no %q in %s", a.pair, w, res.err)
			}
		}
	}
	after := r.must("limit", "--json", "g")
	expect(t, "limits", limitsOnly(t, after), limitsOnly(t, before))
	r.must("down", "g")
	if l.Has("memory") == 1 {
		res := r.vsl("up", r.recipe(`guest "h" { template = box, command = { "sleep", "infinity" }, limit = { memory_high = "1M" } }`))
		if res.code == 0 || !strings.Contains(res.err, "memory.high") {
			t.Errorf("up: exit %d: %s", res.code, res.err)
		}
		r.fails(5, nil, "status", "h")
	}
	r.clean()
}

func limitsOnly(t *testing.T, s string) string {
	t.Helper()
	var v struct{ Limits json.RawMessage }
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatal(err)
	}
	return string(v.Limits)
}

// The disk below the state root is bounded where a controller can do it.
func TestIOLimitReachesTheController(t *testing.T) {
	r := newRoot(t)
	disk := wholeDisk(t, os.TempDir())
	l, err := cgroup.Detect()
	if err != nil {
		t.Fatal(err)
	}
	res := r.vsl("up", r.recipe(`guest "g" { template = box, command = { "sleep", "infinity" }, limit = { io = { { device = "`+disk+`", write_bps = "64M", read_iops = 5000 } } } }`))
	if l.Has("io") == 0 {
		if res.code == 0 || !strings.Contains(res.err, "controller io") {
			t.Errorf("without the controller: exit %d: %s", res.code, res.err)
		}
		return
	}
	if res.code != 0 {
		t.Fatal(res.err)
	}
	var text strings.Builder
	for _, top := range r.cgroups() {
		for _, f := range []string{"io.max", "blkio.throttle.write_bps_device", "blkio.throttle.read_iops_device"} {
			data, _ := os.ReadFile(filepath.Join(top, "g", f))
			text.Write(data)
		}
	}
	for _, want := range []string{"67108864", "5000"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s is nowhere in %q", want, text.String())
		}
	}
}

// wholeDisk is the disk that a folder is on.
func wholeDisk(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("df", "--output=source", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(out))
	dev := f[len(f)-1]
	need(t, strings.HasPrefix(dev, "/dev/"), "a disk below "+dir)
	return dev
}

// One guest's sockets are not to be its neighbours' trouble either.
func TestPortsAreBounded(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "few" { template = box, command = { "sleep", "infinity" }, ip = "127.77.5.20", limit = { sockets = 12, ports = 8 } }
guest "plain" { template = box, command = { "sleep", "infinity" }, ip = "127.77.5.21" }
guest "alone" { template = box, command = { "sleep", "infinity" } }`)
	ports := func(name string, most string) string { return r.out(name, agentName, "ports", most) }
	const used = ": bind: address already in use"
	expect(t, "ports of a guest with a limit", ports("few", "100"), "8 listen tcp4 0.0.0.0:0"+used)
	expect(t, "ports of another", ports("plain", "100"), "100 <nil>")
	expect(t, "ports of one with a network of its own", ports("alone", "100"), "100 <nil>")
	r.must("limit", "few", "ports=3")
	expect(t, "ports after a change", ports("few", "100"), "3 listen tcp4 0.0.0.0:0"+used)
	for _, line := range []string{"sockets  12       0", "ports    3        0     2 ports refused"} {
		if got := r.must("limit", "few"); !strings.Contains(squeeze(got), squeeze(line)) {
			t.Errorf("vsl limit says %q, not %q", got, line)
		}
	}
	if got := squeeze(r.must("limit", "plain")); !strings.Contains(got, "sockets 8192 0") || !strings.Contains(got, "ports 4096 0") {
		t.Errorf("a guest without limits of its own has %q", got)
	}
	r.must("down", "few")
	if got := squeeze(r.must("limit", "few")); !strings.Contains(got, "ports 3") {
		t.Errorf("the record of the guest has %q", got)
	}
	r.must("up", "few")
	expect(t, "ports after the recipe was applied again", ports("few", "100"), "8 listen tcp4 0.0.0.0:0"+used)
	r.must("limit", "few", "ports=unlimited", "sockets=unlimited")
	expect(t, "ports without limits", ports("few", "100"), "100 <nil>")
	r.fails(2, []string{"limit.ports is for guests on the host's network"}, "limit", "alone", "ports=3")
	r.must("down", "--all")
	r.clean()
}

// squeeze makes one space of many, as columns have.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
