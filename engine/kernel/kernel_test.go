package kernel

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestParseRelease(t *testing.T) {
	for in, want := range map[string][2]int{
		"6.1.0-37-amd64": {6, 1}, "6.18.44-fc": {6, 18}, "5.19": {5, 19}, "6.12-rc1": {6, 12}, "7.0+": {7, 0},
	} {
		major, minor, ok := parseRelease(in)
		if !ok || major != want[0] || minor != want[1] {
			t.Errorf("%q = %d.%d, %v; want %v", in, major, minor, ok, want)
		}
	}
	for _, in := range []string{"", "6", "x.y", "6.", ".5", "-6.1", "6.99999999999999999999"} {
		if _, _, ok := parseRelease(in); ok {
			t.Errorf("%q was read", in)
		}
	}
}

func FuzzParseRelease(f *testing.F) {
	for _, s := range []string{"6.1.0-37-amd64", "6.", "..", "5.19"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		major, minor, ok := parseRelease(s)
		if !ok && (major != 0 || minor != 0) || major < 0 || minor < 0 {
			t.Errorf("%q = %d.%d, %v", s, major, minor, ok)
		}
	})
}

func TestHasFilesystem(t *testing.T) {
	const data = "nodev\tsysfs\nnodev\toverlay\n\text4\n"
	for name, want := range map[string]bool{"overlay": true, "ext4": true, "nodev": false, "over": false, "": false} {
		if got := hasFilesystem(data, name); got != want {
			t.Errorf("%q = %v", name, got)
		}
	}
}

func TestCgroupFeatures(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "group"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "group", "cgroup.freeze"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	got := CgroupFeatures(dir)
	if len(got) != 2 || !got[0].OK || got[1].OK || got[1].Remedy == "" {
		t.Errorf("got %+v", got)
	}
}

// On any kernel: each feature has a name of its own, one that is missing says
// why and what to do, and asking leaves nothing open.
func TestFeatures(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("linux only")
	}
	dir := t.TempDir()
	all := func() []Feature { return append(Features(), DirFeatures(dir)...) }
	all()
	before := fds(t)
	seen := map[string]bool{}
	for _, f := range all() {
		t.Logf("%-28s %-5v %s", f.Name, f.OK, f.Detail)
		if f.Name == "" || seen[f.Name] {
			t.Errorf("name %q is empty or comes twice", f.Name)
		}
		seen[f.Name] = true
		if !f.OK && (f.Detail == "" || f.Remedy == "") {
			t.Errorf("%s: missing, without reason or remedy: %+v", f.Name, f)
		}
		if f.OK && f.Remedy != "" {
			t.Errorf("%s: a remedy for nothing: %s", f.Name, f.Remedy)
		}
	}
	if after := fds(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func fds(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// As root on a supported kernel, what vsl cannot do without must be found:
// where features are required, a probe that fails by mistake is noticed here.
func TestNeeded(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("VSL_TEST_REQUIRE") == "1" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	needed := map[string]bool{"kernel": true, "clone3": true, "openat2": true, "pidfd_getfd": true, "user namespaces": true,
		"seccomp filters": true, "overlayfs": true, "overlay on id-mapped layers": true, "BPF on cgroups": true,
		"bpf_set_retval": true, "sk_lookup": true}
	for _, f := range Features() {
		if needed[f.Name] && !f.OK {
			if os.Getenv("VSL_TEST_REQUIRE") != "1" {
				t.Skipf("%s: %s", f.Name, f.Detail)
			}
			t.Errorf("%s: %s", f.Name, f.Detail)
		}
	}
	if AtLeast(6, 12) != (LandlockABI() >= 6) && LandlockABI() != 0 {
		t.Errorf("Landlock ABI %d on %s", LandlockABI(), Release())
	}
}
