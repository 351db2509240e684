// Package cgroup keeps a context's control group: its place in the kernel's
// hierarchies, its limits and what it uses, and its end.
//
// A context always is one group of the v2 hierarchy, which every process of
// the guest is born into. Where a host keeps controllers on v1 hierarchies
// (hybrid), the context gets a group of the same relative path there only when
// one of its limits needs that controller, because each process must then be
// moved by hand. The layout is read from /proc, never assumed.
//
// Kernel documentation: admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/.
package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vsl/engine/internal/sys"
)

// Layout says where a host keeps its control groups.
type Layout struct {
	Unified string            // mount point of the v2 hierarchy
	V1      map[string]string // v1 controllers to the mount points of their hierarchies
	V2      []string          // controllers of the v2 hierarchy that we may use
	Base    string            // relative path of the directory above every base: "", or "vsl.slice" under systemd

	bound map[string]string // controllers on any v1 hierarchy, mounted or not, as /proc/self/cgroup lists them
}

// slice is where contexts live when systemd manages the hierarchy: see startSlice.
const slice = "vsl.slice"

// Detect reads the layout of this host from /proc. A host without a usable v2
// hierarchy is an error that names the remedy.
func Detect() (*Layout, error) {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, sys.Op("detect cgroups", "", err)
	}
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, sys.Op("detect cgroups", "", err)
	}
	l, err := detect(string(info), string(self), sys.IsCgroup)
	if err != nil {
		return nil, err
	}
	data, err := read(filepath.Join(l.Unified, "cgroup.controllers"))
	if err != nil {
		return nil, sys.Op("detect cgroups", l.Unified, err)
	}
	l.V2 = strings.Fields(data)
	if systemdHost() {
		l.Base = slice
	}
	return l, nil
}

// systemdHost says whether pid 1 is systemd: sd_booted(3), or its name where
// /run is not the host's.
func systemdHost() bool {
	if st, err := os.Lstat("/run/systemd/system"); err == nil && st.IsDir() {
		return true
	}
	comm, _ := os.ReadFile("/proc/1/comm")
	return strings.TrimSpace(string(comm)) == "systemd"
}

// detect chooses the mounts. usable says whether a mount point really shows a
// cgroup file system of that generation (another mount may hide it).
func detect(info, self string, usable func(point string, unified bool) bool) (*Layout, error) {
	_, hasUnified, bound := parseSelf(self)
	l := &Layout{V1: map[string]string{}, bound: bound}
	best := map[string]mount{}
	choose := func(key string, m mount) {
		if old, ok := best[key]; !ok || better(m, old) {
			best[key] = m
		}
	}
	for _, m := range parseMountinfo(info) {
		if !usable(m.Point, m.Type == "cgroup2") {
			continue
		}
		if m.Type == "cgroup2" {
			choose("", m)
			continue
		}
		for _, c := range m.Super {
			if _, ok := bound[c]; ok {
				choose(c, m)
			}
		}
	}
	unified, ok := best[""]
	if !ok {
		remedy := "mount it: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified"
		if !hasUnified {
			remedy = "use a kernel of 4.5 or newer, built with CONFIG_CGROUPS"
		}
		return nil, sys.Op("detect cgroups", "", &sys.NotSupported{Feature: "the cgroup v2 hierarchy", Remedy: remedy})
	}
	l.Unified = unified.Point
	if unified.ReadOnly {
		return nil, readOnly(unified.Point)
	}
	for c, m := range best {
		if c != "" && !m.ReadOnly {
			l.V1[c] = m.Point
		}
	}
	return l, nil
}

// better prefers a mount that can be written, then one that shows the whole
// hierarchy; of equals the first stays.
func better(a, b mount) bool {
	if a.ReadOnly != b.ReadOnly {
		return !a.ReadOnly
	}
	return a.Root == "/" && b.Root != "/"
}

func readOnly(path string) error {
	return &sys.OpError{Op: "use cgroups", Target: path, Err: sys.EROFS,
		Hint: "the hierarchy is read-only, as in a container: run vsl on the host, or give the container a writable cgroup2 mount"}
}

// Kind is "v2" when every controller is on the v2 hierarchy, else "hybrid".
// Pure v1 has no kind: Detect refuses it.
func (l *Layout) Kind() string {
	if len(l.V1) == 0 {
		return "v2"
	}
	return "hybrid"
}

// Has says where a controller can be used: 2, 1, or 0 for nowhere.
func (l *Layout) Has(controller string) int {
	if _, ok := l.V1[l.v1Name(controller)]; ok {
		return 1
	}
	if slices.Contains(l.V2, controller) {
		return 2
	}
	return 0
}

// v1Name is what v1 calls a controller of v2.
func (l *Layout) v1Name(controller string) string {
	if controller == "io" {
		return "blkio"
	}
	return controller
}

// Group names the context of a guest; it touches nothing. base keeps two state
// roots apart, name is the guest's. Both are single path elements.
func (l *Layout) Group(base, name string) *Group {
	return &Group{layout: l, base: filepath.Join(l.Base, base), name: name}
}

// Groups lists the contexts that exist below a base, in any hierarchy.
func (l *Layout) Groups(base string) ([]string, error) {
	var out []string
	for _, root := range l.roots() {
		entries, err := os.ReadDir(filepath.Join(root, l.Base, base))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, sys.Op("list cgroups", base, err)
		}
		for _, e := range entries {
			if e.IsDir() {
				out = append(out, e.Name())
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Bases lists the bases that have contexts, of those whose names begin so.
func (l *Layout) Bases(prefix string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(l.Unified, l.Base))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, sys.Op("list cgroups", l.Base, err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), prefix) {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// roots gives every hierarchy's mount point once, v2 first.
func (l *Layout) roots() []string { return append([]string{l.Unified}, l.v1Roots()...) }

func (l *Layout) v1Roots() []string {
	var out []string
	for _, p := range l.V1 {
		out = append(out, p)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
