package kernel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"vsl/engine/internal/sys"
)

// Feature is one fact about this host, as `vsl doctor` shows it.
type Feature struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // what was found
	Remedy string `json:"remedy,omitempty"` // what to do when it is not OK, and what goes without it
}

// Features probes everything that does not depend on a directory. It takes
// about a tenth of a second the first time.
func Features() []Feature {
	first := Feature{Name: "kernel", OK: AtLeast(5, 14), Detail: Release()}
	if !first.OK {
		first.Remedy = "use a kernel of 5.14 or newer"
	}
	out := []Feature{first}
	for _, p := range probes {
		f := Feature{Name: p.name, OK: true}
		detail, err := p.probe()
		f.Detail = detail
		if err != nil {
			f.OK, f.Detail, f.Remedy = false, err.Error(), p.remedy
		}
		out = append(out, f)
	}
	return out
}

// probes are in the order in which a guest meets them.
var probes = []struct {
	name, remedy string
	probe        func() (detail string, err error)
}{
	{"clone3", "use a kernel of 5.7 or newer; inside a container, let its seccomp filter allow clone3", plain(sys.ProbeClone3)},
	{"openat2", "use a kernel of 5.6 or newer; inside a container, let its seccomp filter allow openat2", plain(sys.ProbeOpenat2)},
	{"pidfd_getfd", "use a kernel of 5.6 or newer; inside a container, let its seccomp filter allow pidfd_getfd", plain(sys.ProbePidfdGetfd)},
	{"pidfd exit status", "use a kernel of 6.15 or newer; until then the process connector tells how a guest ended", plain(PidfdExit)},
	{"user namespaces", "sysctl user.max_user_namespaces=15000, or use a kernel with CONFIG_USER_NS", userNamespaces},
	{"time namespaces", "use a kernel with CONFIG_TIME_NS; without, guests see the host's uptime", namespace("time")},
	{"cgroup namespaces", "use a kernel with CONFIG_CGROUPS", namespace("cgroup")},
	{"seccomp filters", "use a kernel with CONFIG_SECCOMP_FILTER", plain(sys.ProbeSeccomp)},
	{"overlayfs", "use a kernel with CONFIG_OVERLAY_FS; without, guests are cloned by reflink or copy", overlay},
	{"overlay on id-mapped layers", "use a kernel of 5.19 or newer; without, guests are cloned by copy", overlayIDMap},
	{"BPF on cgroups", "use a kernel with CONFIG_CGROUP_BPF, and run as root; without, guests get no address of their own on the host", plain(CgroupBPF)},
	{"bpf_set_retval", "use a kernel of 5.18 or newer; without, a foreign address is refused with EPERM", plain(BPFSetRetval)},
	{"sk_lookup", "use a kernel of 5.9 or newer; without, a wildcard listener has one address", plain(SkLookup)},
	{"Landlock scope", "use a kernel of 6.12 or newer with landlock in lsm=; BPF LSM does as well", landlock},
	{"BPF LSM", "boot with bpf in the lsm= list, on a kernel with CONFIG_BPF_LSM; Landlock's scope does as well", plain(bpfLSM)},
}

func plain(f func() error) func() (string, error) {
	return func() (string, error) { return "", f() }
}

func namespace(kind string) func() (string, error) {
	return func() (string, error) {
		_, err := os.Lstat("/proc/self/ns/" + kind)
		if os.IsNotExist(err) {
			err = errors.New("this kernel has none")
		}
		return "", err
	}
}

func userNamespaces() (string, error) {
	if _, err := namespace("user")(); err != nil {
		return "", err
	}
	data, err := os.ReadFile("/proc/sys/user/max_user_namespaces")
	if err != nil {
		return "", err
	}
	n := strings.TrimSpace(string(data))
	if n == "0" {
		return "", errors.New("none may be made (user.max_user_namespaces is 0)")
	}
	return "at most " + n, nil
}

// overlay says whether the overlay file system is there, or a module has it,
// without loading that.
func overlay() (string, error) {
	data, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return "", err
	}
	if hasFilesystem(string(data), "overlay") {
		return "", nil
	}
	deps, err := os.ReadFile(filepath.Join("/lib/modules", Release(), "modules.dep"))
	if err == nil && strings.Contains(string(deps), "/overlay.ko") {
		return "as a module, not loaded yet", nil
	}
	return "", errors.New("neither in /proc/filesystems nor among the modules")
}

// hasFilesystem looks a name up in /proc/filesystems.
func hasFilesystem(data, name string) bool {
	for line := range strings.Lines(data) {
		if f := strings.Fields(line); len(f) > 0 && f[len(f)-1] == name {
			return true
		}
	}
	return false
}

// overlayIDMap goes by the release: asking would take a mount that is visible.
func overlayIDMap() (string, error) {
	if _, err := overlay(); err != nil {
		return "", err
	}
	if !AtLeast(5, 19) {
		return "", &sys.NotSupported{Feature: "an id-mapped layer below overlayfs", Since: "5.19"}
	}
	return "", nil
}

func landlock() (string, error) {
	return fmt.Sprintf("ABI %d", LandlockABI()), LandlockScope()
}

// DirFeatures probes what depends on the file system of a directory, which
// must exist: the one that guests are kept in.
func DirFeatures(dir string) []Feature {
	idmap := Feature{Name: "id-mapped mounts", OK: true, Detail: dir}
	if err := IDMap(dir); err != nil {
		idmap.OK, idmap.Detail = false, err.Error()
		idmap.Remedy = "keep the state on ext4, xfs, btrfs or tmpfs (6.3); without, guests are cloned by copy"
	}
	reflink := Feature{Name: "reflink", OK: true, Detail: dir}
	if err := sys.ProbeReflink(dir); err != nil {
		reflink.OK, reflink.Detail = false, err.Error()
		reflink.Remedy = "only where clones are made by reflink: keep the state on xfs or btrfs; overlay clones do without"
	}
	return []Feature{idmap, reflink}
}

// IDMap says whether mounts of dir's file system can be id-mapped. It makes a
// user namespace, and the process that this takes is gone on return.
func IDMap(dir string) error {
	userns, err := sys.UserNS(1 << 20)
	if err != nil {
		return err
	}
	defer userns.Close()
	return sys.ProbeIDMap(dir, userns)
}

// CgroupFeatures probes the v2 hierarchy mounted at mount. Its root has none of
// the files in question, so any group below it is asked; where there is none,
// the release decides.
func CgroupFeatures(mount string) []Feature {
	group := ""
	if entries, err := os.ReadDir(mount); err == nil {
		for _, e := range entries {
			if e.IsDir() {
				group = filepath.Join(mount, e.Name())
				break
			}
		}
	}
	var out []Feature
	for _, f := range []struct {
		name, file   string
		major, minor int
		remedy       string
	}{
		{"cgroup freezer", "cgroup.freeze", 5, 2, "use a kernel of 5.2 or newer"},
		{"cgroup.kill", "cgroup.kill", 5, 14, "use a kernel of 5.14 or newer; until then processes are frozen and killed one by one"},
	} {
		ok := AtLeast(f.major, f.minor)
		if group != "" {
			_, err := os.Lstat(filepath.Join(group, f.file))
			ok = err == nil
		}
		feature := Feature{Name: f.name, OK: ok, Detail: mount}
		if !ok {
			feature.Remedy = f.remedy
		}
		out = append(out, feature)
	}
	return out
}
