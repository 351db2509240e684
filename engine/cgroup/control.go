package cgroup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vsl/engine/internal/sys"
)

// controllers are those that limits and usage need.
var controllers = []string{"cpu", "cpuset", "io", "memory", "pids"}

// prepareBase makes the directory that contexts live in and tries to enable
// the controllers of v2 down to it. A controller that cannot be enabled is no
// error yet: a context without limits works without it, and Apply asks again.
func (l *Layout) prepareBase(base string) error {
	dir := filepath.Join(l.Unified, base)
	if l.Base != "" {
		top := filepath.Join(l.Unified, l.Base)
		if _, err := os.Lstat(top); errors.Is(err, fs.ErrNotExist) {
			startSlice()
		}
	}
	if err := mkdirAll(dir); err != nil {
		return denied("create cgroup", dir, err)
	}
	_ = l.enable(base, controllers)
	return nil
}

// startSlice asks systemd for vsl.slice, once after each boot of the host.
//
// systemd owns the hierarchy where it is pid 1, and everybody else must stay
// below a unit of it. A slice is the unit whose group may hold groups and no
// processes, and it needs no process of ours to stay alive, which a scope or a
// service with Delegate= would (slices have no Delegate=). Accounting switched
// on in the slice keeps the controllers enabled at the hierarchy's root when
// systemd works out that set again, at each daemon-reload. Within the slice,
// what guards us is the kernel: a controller cannot be disabled while a child
// has it enabled for its own children, and our base always has. Seen with
// systemd 252: daemon-reload and daemon-reexec change nothing below the slice;
// stopping it removes empty groups, never one with processes or its limits.
//
// --runtime keeps it in /run: it is gone with the boot, like the groups. When
// systemctl is missing or fails, the directory is made by hand, and the
// kernel's rule alone holds the controllers. systemctl, not busctl, because it
// also reaches a systemd without D-Bus.
func startSlice() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, args := range [][]string{
		{"set-property", "--runtime", slice, "CPUWeight=100", "MemoryAccounting=yes", "TasksAccounting=yes", "IOAccounting=yes"},
		{"start", slice},
	} {
		if exec.CommandContext(ctx, "systemctl", args...).Run() != nil {
			return
		}
	}
}

// enable makes controllers of the v2 hierarchy available to the groups below
// the relative path base: each group on the way must pass them on. Those that
// v2 does not have are left out.
func (l *Layout) enable(base string, want []string) error {
	var use []string
	for _, c := range want {
		if l.Has(c) == 2 {
			use = append(use, c)
		}
	}
	if len(use) == 0 {
		return nil
	}
	last := filepath.Join(l.Unified, base)
	if on, err := read(filepath.Join(last, "cgroup.subtree_control")); err == nil && containsAll(strings.Fields(on), use) {
		return nil
	}
	dir := l.Unified
	var failed error
	for _, elem := range append([]string{""}, strings.Split(base, "/")...) {
		dir = filepath.Join(dir, elem)
		if err := enableAt(dir, use); err != nil && failed == nil {
			failed = err
		}
	}
	return failed
}

// enableAt enables controllers for the children of one group. When the kernel
// refuses them together, each is tried alone, so that one cannot spoil the rest.
func enableAt(dir string, want []string) error {
	path := filepath.Join(dir, "cgroup.subtree_control")
	data, err := read(path)
	if err != nil {
		return sys.Op("enable controllers", dir, err)
	}
	on := strings.Fields(data)
	missing := slices.DeleteFunc(slices.Clone(want), func(c string) bool { return slices.Contains(on, c) })
	if len(missing) == 0 || write(path, "+"+strings.Join(missing, " +")) == nil {
		return nil
	}
	var failed error
	for _, c := range missing {
		if err := write(path, "+"+c); err != nil && failed == nil {
			failed = refused(dir, c, err)
		}
	}
	return failed
}

// refused explains why a controller could not be enabled in dir.
func refused(dir, controller string, err error) error {
	e := &sys.OpError{Op: "enable the " + controller + " controller in", Target: dir, Err: err}
	switch {
	case errors.Is(err, sys.EBUSY):
		e.Hint = "the group holds processes itself, and v2 lets only groups without processes pass controllers on: move them into a group of their own"
	case errors.Is(err, sys.EINVAL) && controller == "cpu":
		e.Hint = "real-time processes outside the root group keep the cpu controller from being used"
	case errors.Is(err, sys.ENOENT):
		e.Hint = "the group above does not pass it on"
	case errors.Is(err, sys.EACCES), errors.Is(err, sys.EPERM), errors.Is(err, sys.EROFS):
		return denied(e.Op, dir, err)
	}
	return e
}

// denied adds what to do when the hierarchy cannot be written.
func denied(op, path string, err error) error {
	if errors.Is(err, sys.EROFS) {
		return readOnly(path)
	}
	e := &sys.OpError{Op: op, Target: path, Err: err}
	if errors.Is(err, sys.EACCES) || errors.Is(err, sys.EPERM) {
		e.Hint = "vsl needs to be root, with a cgroup hierarchy that it may write; inside a container, have one delegated to it"
	}
	return e
}

func containsAll(have, want []string) bool {
	for _, w := range want {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}
