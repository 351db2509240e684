//go:build linux

package cgroup

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vsl/engine/internal/sys"
	"vsl/tests/fixture"
)

func fields(s string) []string { return strings.Fields(s) }

func strconvPid(c *exec.Cmd) string { return strconv.Itoa(c.Process.Pid) }

// file reads what the kernel says a limit is, v1 name first.
func file(t *testing.T, g *Group, controller, v1, v2 string) string {
	t.Helper()
	tg, ok := g.target(controller)
	if !ok {
		t.Fatalf("no group for %s", controller)
	}
	name := v2
	if tg.version == 1 {
		name = v1
	}
	data, err := read(filepath.Join(tg.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(data)
}

// version says where a controller lives, and skips when nowhere.
func version(t *testing.T, g *Group, controller string) int {
	t.Helper()
	if g.layout.Has(controller) == 0 {
		need(t, g.layout.missing(controller))
	}
	return g.layout.Has(controller)
}

func apply(t *testing.T, g *Group, l Limits) {
	t.Helper()
	if err := g.Apply(l); err != nil {
		t.Fatal(err)
	}
}

func TestApplyValues(t *testing.T) {
	g := group(t)
	for _, tc := range []struct {
		name, ctl, v1, v2 string
		set               Limits
		want1, want2      string
	}{
		{"memory", "memory", "memory.limit_in_bytes", "memory.max", Limits{Memory: ptr[int64](64 << 20)}, "67108864", "67108864"},
		{"memory up", "memory", "memory.limit_in_bytes", "memory.max", Limits{Memory: ptr[int64](128 << 20)}, "134217728", "134217728"},
		{"memory down", "memory", "memory.limit_in_bytes", "memory.max", Limits{Memory: ptr[int64](32 << 20)}, "33554432", "33554432"},
		{"socket memory", "memory", "memory.kmem.tcp.limit_in_bytes", "memory.max", Limits{Memory: ptr[int64](48 << 20)}, "50331648", "50331648"},
		{"no memory limit", "memory", "memory.kmem.tcp.limit_in_bytes", "memory.max", Limits{Memory: ptr[int64](Unlimited), Swap: ptr[int64](Unlimited)}, "9223372036854771712", "max"},
		{"pids", "pids", "pids.max", "pids.max", Limits{Pids: ptr[int64](77)}, "77", "77"},
		{"no pids limit", "pids", "pids.max", "pids.max", Limits{Pids: ptr[int64](Unlimited)}, "max", "max"},
		{"cpu", "cpu", "cpu.cfs_quota_us", "cpu.max", Limits{CPU: ptr(0.5)}, "50000", "50000 100000"},
		{"burst", "cpu", "cpu.cfs_burst_us", "cpu.max.burst", Limits{CPUBurst: ptr(40 * time.Millisecond)}, "40000", "40000"},
		{"cpu and burst down", "cpu", "cpu.cfs_burst_us", "cpu.max.burst", Limits{CPU: ptr(0.2), CPUBurst: ptr(10 * time.Millisecond)}, "10000", "10000"},
		{"cpu and burst up", "cpu", "cpu.cfs_quota_us", "cpu.max", Limits{CPU: ptr(1.5), CPUBurst: ptr(90 * time.Millisecond)}, "150000", "150000 100000"},
		{"no cpu limit", "cpu", "cpu.cfs_quota_us", "cpu.max", Limits{CPU: ptr(-1.0)}, "-1", "max 100000"},
		{"weight", "cpu", "cpu.shares", "cpu.weight", Limits{CPUWeight: ptr(200)}, "2048", "200"},
		{"cpuset", "cpuset", "cpuset.cpus", "cpuset.cpus", Limits{CPUSet: ptr("0")}, "0", "0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := version(t, g, tc.ctl)
			apply(t, g, tc.set)
			want := tc.want2
			if v == 1 {
				want = tc.want1
			}
			if got := file(t, g, tc.ctl, tc.v1, tc.v2); got != want {
				t.Errorf("is %q, want %q", got, want)
			}
		})
	}
}

func TestCPUSetLift(t *testing.T) {
	g := group(t)
	v := version(t, g, "cpuset")
	apply(t, g, Limits{CPUSet: ptr("0")})
	sleeper(t, g.Path())
	apply(t, g, Limits{CPUSet: ptr("")})
	got := file(t, g, "cpuset", "cpuset.cpus", "cpuset.cpus")
	// v1, and older kernels with v2, keep a group with processes from having none.
	if above := strings.TrimSpace(aboveCPUs(t, g)); got != above && (v == 1 || got != "") {
		t.Errorf("cpuset after lifting = %q, want %q", got, above)
	}
}

// aboveCPUs gives the cpus of the group above the context.
func aboveCPUs(t *testing.T, g *Group) string {
	t.Helper()
	tg, _ := g.target("cpuset")
	name := "cpuset.cpus.effective"
	if tg.version == 1 {
		name = "cpuset.cpus"
	}
	data, err := read(filepath.Join(filepath.Dir(tg.dir), name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Where systemd is pid 1, what it works out again at a reload must leave the
// controllers, the limits and the context alone.
func TestSystemdReload(t *testing.T) {
	g := group(t)
	if g.layout.Base == "" {
		return // this host has no systemd to disturb us
	}
	apply(t, g, Limits{Memory: ptr[int64](64 << 20), CPUWeight: ptr(50), CPUSet: ptr("0")})
	sleeper(t, g.Path())
	sub := filepath.Join(g.Path(), "empty")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"daemon-reload"}, {"start", slice}} {
		if out, err := exec.Command("systemctl", args...).CombinedOutput(); err != nil {
			t.Fatalf("systemctl %v: %v: %s", args, err, out)
		}
	}
	if got := file(t, g, "memory", "memory.limit_in_bytes", "memory.max"); got != "67108864" {
		t.Errorf("memory limit = %q", got)
	}
	if got := file(t, g, "cpuset", "cpuset.cpus", "cpuset.cpus"); got != "0" {
		t.Errorf("cpuset = %q", got)
	}
	if _, err := os.Lstat(sub); err != nil {
		t.Errorf("the guest's empty group: %v", err)
	}
	apply(t, g, Limits{Memory: ptr[int64](32 << 20), CPUWeight: ptr(60), CPUSet: ptr("")})
}

func TestSwap(t *testing.T) {
	g := group(t)
	v := version(t, g, "memory")
	const mib = 1 << 20
	steps := []struct{ mem, swap, sum int64 }{
		{64 * mib, 0, 64 * mib}, {64 * mib, 32 * mib, 96 * mib}, {16 * mib, 8 * mib, 24 * mib},
		{256 * mib, 0, 256 * mib}, {32 * mib, 100 * mib, 132 * mib},
	}
	for _, s := range steps {
		apply(t, g, Limits{Memory: &s.mem, Swap: &s.swap})
		want := s.swap
		if v == 1 {
			want = s.sum
		}
		if got := file(t, g, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max"); got != strconv.FormatInt(want, 10) {
			t.Errorf("memory %d swap %d: file says %s, want %d", s.mem, s.swap, got, want)
		}
	}
	// Memory alone keeps the swap limit.
	apply(t, g, Limits{Memory: ptr[int64](64 * mib)})
	want := int64(100 * mib)
	if v == 1 {
		want += 64 * mib
		if err := g.Apply(Limits{Memory: ptr[int64](Unlimited)}); err == nil {
			t.Error("v1: memory was lifted from under a swap limit")
		}
	}
	if got := file(t, g, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max"); got != strconv.FormatInt(want, 10) {
		t.Errorf("file says %s, want %d", got, want)
	}
	apply(t, g, Limits{Memory: ptr[int64](Unlimited), Swap: ptr[int64](Unlimited)})
	if got := file(t, g, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max"); got != "max" && got != "9223372036854771712" {
		t.Errorf("file says %s, want no limit", got)
	}
}

func TestV2OnlyLimits(t *testing.T) {
	g := group(t)
	v := version(t, g, "memory")
	for name, l := range map[string]Limits{
		"memory.high":      {MemoryHigh: ptr[int64](32 << 20)},
		"memory.oom.group": {OOMGroup: ptr(true)},
	} {
		err := g.Apply(l)
		if v == 2 && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if v == 1 && (!errors.Is(err, sys.ErrNotSupported) || !strings.Contains(err.Error(), name)) {
			t.Errorf("%s on v1: %v", name, err)
		}
	}
}

// A limit set on a running context reaches the processes that it has, and all
// that they fork meanwhile.
func TestApplyMovesMembers(t *testing.T) {
	g := group(t)
	v := version(t, g, "pids")
	forker := exec.Command("sh", "-c", "while :; do sleep 0.01 & done")
	start(t, forker)
	enter(t, g.Path(), forker.Process.Pid)
	time.Sleep(fixture.Scaled(30 * time.Millisecond))
	apply(t, g, Limits{Pids: ptr[int64](60)})
	if v == 1 {
		tg, _ := g.target("pids")
		out, err := g.outside(tg.dir)
		// One that ended between the two lists is in the first only, also where its
		// parent has not waited for it yet.
		out = slices.DeleteFunc(out, func(pid int) bool {
			stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
			return err != nil || strings.Contains(string(stat), ") Z ")
		})
		if err != nil || len(out) > 0 {
			t.Errorf("outside the v1 group: %v, %v", out, err)
		}
	}
	if frozen, _ := g.Frozen(); frozen {
		t.Error("the context was left frozen")
	}
	u, err := g.Usage()
	if err != nil || u.Pids < 1 {
		t.Errorf("usage = %+v, %v", u, err)
	}
}

func TestUndo(t *testing.T) {
	g := group(t)
	version(t, g, "cpu")
	apply(t, g, Limits{CPU: ptr(0.5), CPUWeight: ptr(300)})
	burst := ptr(10 * time.Second) // more than the quota: the kernel refuses it
	if err := g.Apply(Limits{CPU: ptr(0.25), CPUWeight: ptr(50), CPUBurst: burst, Memory: ptr[int64](1 << 30)}); err == nil {
		t.Fatal("an impossible burst was accepted")
	}
	if got := file(t, g, "cpu", "cpu.cfs_quota_us", "cpu.max"); !strings.HasPrefix(got, "50000") {
		t.Errorf("cpu quota after the failure = %q, want what it was", got)
	}
	if tg, ok := g.target("memory"); tg.version == 1 && ok {
		t.Error("the v1 memory group was left behind")
	}
}

func TestMemoryLimitBites(t *testing.T) {
	g := group(t)
	version(t, g, "memory")
	apply(t, g, Limits{Memory: ptr[int64](64 << 20), Swap: ptr[int64](0)})
	out, err := helper(t, g, "alloc")()
	if err == nil || strings.Contains(out, "allocated") {
		t.Errorf("256 MiB fit into 64 MiB: %q", out)
	}
	u, err := g.Usage()
	if err != nil || u.Hits.OOMKills < 1 || u.Hits.Memory < 1 || u.MemoryPeak == 0 {
		t.Errorf("usage = %+v, %v; want hits of memory", u, err)
	}
}

func TestPidsLimitBites(t *testing.T) {
	g := group(t)
	version(t, g, "pids")
	run := helper(t, g, "fork")
	apply(t, g, Limits{Pids: ptr[int64](25)})
	if out, err := run(); err == nil && !strings.Contains(out, "failed true") {
		t.Errorf("40 children fit into 25 tasks: %q", out)
	}
	if u, err := g.Usage(); err != nil || u.Hits.Pids < 1 {
		t.Errorf("usage = %+v, %v; want hits of pids", u, err)
	}
}

func TestCPULimitBites(t *testing.T) {
	g := group(t)
	version(t, g, "cpu")
	apply(t, g, Limits{CPU: ptr(0.1)})
	begin := time.Now()
	if out, err := helper(t, g, "spin")(); err != nil {
		t.Fatal(err, out)
	}
	took := time.Since(begin)
	u, err := g.Usage()
	if err != nil || u.Hits.Throttled < 1 || u.CPU <= 0 {
		t.Errorf("usage = %+v, %v; want throttling", u, err)
	}
	if u.CPU > took/2 {
		t.Errorf("used %v of cpu in %v with a tenth of a core", u.CPU, took)
	}
}

func TestMissingController(t *testing.T) {
	l := &Layout{Unified: t.TempDir(), V1: map[string]string{}, V2: []string{"cpu"}, bound: map[string]string{"pids": "/"}}
	err := Limits{Memory: ptr[int64](1 << 20), Pids: ptr[int64](5), CPUSet: ptr("0"), CPU: ptr(1.0)}.Check(l)
	if !errors.Is(err, sys.ErrNotSupported) {
		t.Fatalf("Check = %v", err)
	}
	for _, want := range []string{"controller memory", "controller cpuset", "mount -t cgroup -o pids"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// wholeDisk finds a disk of this machine.
func wholeDisk(t *testing.T) string {
	t.Helper()
	disks, _ := filepath.Glob("/sys/block/*/dev")
	for _, d := range disks {
		if strings.Contains(d, "zram") || strings.Contains(d, "/ram") || strings.Contains(d, "loop") {
			continue
		}
		data, err := os.ReadFile(d)
		if err == nil {
			return strings.TrimSpace(string(data))
		}
	}
	t.Skip("no disk")
	return ""
}

func TestIOMax(t *testing.T) {
	g := group(t)
	v := version(t, g, "io")
	dev := wholeDisk(t)
	need(t, g.Apply(Limits{IO: []IOLimit{{Device: dev, ReadBPS: 1 << 20, WriteIOPS: 100}}}))
	got := file(t, g, "io", "blkio.throttle.read_bps_device", "io.max")
	want := dev + " rbps=1048576 wbps=max riops=max wiops=100"
	if v == 1 {
		want = dev + " 1048576"
	}
	if got != want {
		t.Errorf("file says %q, want %q", got, want)
	}
	apply(t, g, Limits{IO: []IOLimit{{Device: dev, ReadBPS: Unlimited, WriteIOPS: Unlimited}}})
	if got := file(t, g, "io", "blkio.throttle.read_bps_device", "io.max"); got != "" {
		t.Errorf("after lifting the file says %q", got)
	}
	need(t, g.Apply(Limits{IOWeight: ptr(200)}))
}
