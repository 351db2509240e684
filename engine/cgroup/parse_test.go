package cgroup

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"vsl/engine/internal/sys"
)

const hybridMounts = `23 1 254:0 / / rw - ext4 /dev/root rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
38 31 0:35 / /mnt/a\040b/blkio rw,relatime - cgroup cgroup rw,blkio
39 31 0:36 / /sys/fs/cgroup/pids ro,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
`

const hybridSelf = "9:name=systemd:/\n8:pids:/\n7:blkio:/\n4:memory:/a/b:c\n1:cpu,cpuacct:/\n0::/user.slice\n"

func always(string, bool) bool { return true }

func TestDetectHybrid(t *testing.T) {
	l, err := detect(hybridMounts, hybridSelf, always)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"cpu": "/sys/fs/cgroup/cpu,cpuacct", "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
		"memory": "/sys/fs/cgroup/memory", "blkio": "/mnt/a b/blkio"}
	if !maps.Equal(l.V1, want) {
		t.Errorf("V1 = %v, want %v (pids is read-only)", l.V1, want)
	}
	if l.Unified != "/sys/fs/cgroup/unified" || l.Kind() != "hybrid" {
		t.Errorf("unified %q, kind %q", l.Unified, l.Kind())
	}
	for c, want := range map[string]int{"cpu": 1, "io": 1, "memory": 1, "pids": 0, "cpuset": 0} {
		if got := l.Has(c); got != want {
			t.Errorf("Has(%s) = %d, want %d", c, got, want)
		}
	}
	if got := l.roots(); len(got) != 4 || got[0] != l.Unified {
		t.Errorf("roots = %v", got)
	}
}

func TestDetectChooses(t *testing.T) {
	const self = "0::/\n"
	for _, tc := range []struct{ name, mounts, want string }{
		{"pure v2", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup"},
		{"anywhere", "30 23 0:26 / /cg\\134two rw - cgroup2 x rw\n", `/cg\two`},
		{"whole before part", "1 2 0:1 /sub /part rw - cgroup2 x rw\n2 2 0:1 / /whole rw - cgroup2 x rw\n", "/whole"},
		{"writable before whole", "1 2 0:1 / /whole ro - cgroup2 x rw\n2 2 0:1 /sub /part rw - cgroup2 x rw\n", "/part"},
		{"first of equals", "1 2 0:1 / /one rw - cgroup2 x rw\n2 2 0:1 / /two rw - cgroup2 x rw\n", "/one"},
		{"hidden", "1 2 0:1 / /hidden rw - cgroup2 x rw\n2 2 0:1 / /seen rw - cgroup2 x rw\n", "/seen"},
	} {
		l, err := detect(tc.mounts, self, func(p string, _ bool) bool { return p != "/hidden" })
		if err != nil || l.Unified != tc.want || l.Kind() != "v2" {
			t.Errorf("%s: %+v, %v; want %s", tc.name, l, err, tc.want)
		}
	}
}

func TestDetectRefuses(t *testing.T) {
	v1 := strings.ReplaceAll(hybridMounts, "cgroup2", "tmpfs")
	_, err := detect(v1, hybridSelf, always)
	if !errors.Is(err, sys.ErrNotSupported) || !strings.Contains(err.Error(), "mount -t cgroup2") {
		t.Errorf("v1 only: %v", err)
	}
	_, err = detect(v1, "1:cpu:/\n", always)
	if !errors.Is(err, sys.ErrNotSupported) || !strings.Contains(err.Error(), "kernel of 4.5") {
		t.Errorf("no v2 in the kernel: %v", err)
	}
	_, err = detect("30 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n", "0::/\n", always)
	if !errors.Is(err, sys.EROFS) {
		t.Errorf("read-only: %v", err)
	}
}

func TestParseCPUSet(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "0": "0", "0-3": "0-3", "3,1,2": "1-3", "0-1,4\n": "0-1,4", "5, 7": "5,7", "1,1-2": "1-2",
	} {
		got, err := ParseCPUSet(in)
		if err != nil || formatCPUSet(got) != want {
			t.Errorf("%q = %v, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"a", "-1", "1-", "3-1", "1,,2", "0x1", "99999", "0-8191,0-8191,0-8191,0-8191,0-8191", "+1", "1.5"} {
		if got, err := ParseCPUSet(in); err == nil {
			t.Errorf("%q was read as %v", in, got)
		}
	}
}

func TestParseSmall(t *testing.T) {
	if got := parsePids("12\n0\n7\n\n"); !slices.Equal(got, []int{12, 7}) {
		t.Errorf("pids = %v", got)
	}
	if got := parseFlat("populated 1\nfrozen 0\nodd\nlimit max\n"); got["populated"] != 1 || got["limit"] != Unlimited || len(got) != 3 {
		t.Errorf("flat = %v", got)
	}
	if n, ok := parseNumber("18446744073709551615\n"); !ok || n <= 0 {
		t.Errorf("number = %d, %v", n, ok)
	}
	if got := deviceLine("8:0 rbps=1\n254:0 rbps=2 wbps=max\n", "254:0"); got != "rbps=2 wbps=max" {
		t.Errorf("line = %q", got)
	}
	if got := firstWeight("default 250\n8:0 10\n"); got != "250" {
		t.Errorf("weight = %q", got)
	}
	for w, want := range map[int]int{1: 1, 100: 100, 10000: 1000} {
		if got := bfqWeight(w); got != want {
			t.Errorf("bfqWeight(%d) = %d, want %d", w, got, want)
		}
	}
}

func TestRanges(t *testing.T) {
	l := Limits{Memory: ptr[int64](-2), CPU: ptr(0.001), CPUWeight: ptr(0), CPUSet: ptr("9-1"), IOWeight: ptr(10001),
		Pids: ptr[int64](-7), IO: []IOLimit{{Device: "vda", ReadBPS: -5}}}
	if errs := l.ranges(); len(errs) != 8 {
		t.Errorf("got %d errors, want 8: %v", len(errs), errs)
	}
	if errs := (Limits{Memory: ptr[int64](Unlimited), CPU: ptr(-1.0), Pids: ptr[int64](0)}).ranges(); len(errs) != 0 {
		t.Errorf("good values: %v", errs)
	}
}

func FuzzDetect(f *testing.F) {
	f.Add(hybridMounts, hybridSelf)
	f.Add("1 2 0:1 / /a\\040 rw - cgroup2 x rw\n", "0::/\n")
	f.Add("1 2 0:1 / /a\\9\\04 rw x - - cgroup - ,\n", "::\n1:a,,name=:/\n")
	f.Fuzz(func(t *testing.T, mounts, self string) {
		l, err := detect(mounts, self, always)
		if err == nil && l.Unified == "" {
			t.Error("no mount point and no error")
		}
	})
}

func FuzzCPUSet(f *testing.F) {
	for _, s := range []string{"0-3,8", "", "1,", "7-7", "0-8191"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cpus, err := ParseCPUSet(s)
		if err != nil {
			return
		}
		again, err := ParseCPUSet(formatCPUSet(cpus))
		if err != nil || !slices.Equal(cpus, again) {
			t.Errorf("%q: %v became %v, %v", s, cpus, again, err)
		}
	})
}

func FuzzFiles(f *testing.F) {
	f.Add("populated 1\n254:0 rbps=max\n12\nmax\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, pid := range parsePids(s) {
			if pid <= 0 {
				t.Errorf("pid %d", pid)
			}
		}
		parseFlat(s)
		parseNumber(s)
		deviceLine(s, "254:0")
		firstWeight(s)
	})
}
