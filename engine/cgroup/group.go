package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"vsl/engine/internal/sys"
)

// A guest may build groups below its own; these bound how many and how deep,
// so that removing them is always possible. systemd needs about a hundred.
const (
	maxDescendants = 1024
	maxDepth       = 32
)

// execName is the group below the context that commands run in when the
// context itself cannot hold processes any more.
const execName = "vsl.exec"

// Group is one context. It holds no kernel object: any number of values, in
// any number of processes, may stand for the same context.
type Group struct {
	layout *Layout
	base   string // relative path of the directory that it is in
	name   string
}

// Path is the context's directory in the v2 hierarchy.
func (g *Group) Path() string { return g.in(g.layout.Unified) }

// in is the context's directory in the hierarchy mounted at root.
func (g *Group) in(root string) string { return filepath.Join(root, g.base, g.name) }

// Exists says whether the context has a group in the v2 hierarchy.
func (g *Group) Exists() bool {
	st, err := os.Lstat(g.Path())
	return err == nil && st.IsDir()
}

// ExistsAnywhere is Exists for a context of which only a group on v1 may be left.
func (g *Group) ExistsAnywhere() bool {
	return slices.ContainsFunc(g.layout.roots(), func(root string) bool {
		_, err := os.Lstat(g.in(root))
		return err == nil
	})
}

// Create makes the context, with what is above it. A context that exists is an
// error (EEXIST): what an earlier run left is to be removed first, because its
// limits and programs would stay.
func (g *Group) Create() error {
	if g.name == "" || strings.ContainsAny(g.name, "/\n") || g.name[0] == '.' {
		return sys.Op("create cgroup", strconv.Quote(g.name), sys.EINVAL)
	}
	var err error
	// Another vsl that removes the last context of this base removes the base
	// as well: begin again when it went away under our feet.
	for range 100 {
		if err = g.layout.prepareBase(g.base); err == nil {
			err = mkdir(g.Path())
		}
		if !gone(err) {
			break
		}
	}
	if err != nil {
		return denied("create cgroup", g.Path(), err)
	}
	for file, n := range map[string]int{"cgroup.max.descendants": maxDescendants, "cgroup.max.depth": maxDepth} {
		if err := write(filepath.Join(g.Path(), file), strconv.Itoa(n)); err != nil {
			os.Remove(g.Path())
			return sys.Op("bound cgroup", g.Path(), err)
		}
	}
	return nil
}

// FD opens the context's directory, for CLONE_INTO_CGROUP and for attaching
// BPF programs. The caller closes it.
func (g *Group) FD() (*os.File, error) {
	f, err := os.Open(g.Path())
	if err != nil {
		return nil, sys.Op("open cgroup", g.Path(), err)
	}
	return f, nil
}

// helpers is the group beside a base for processes of ours that outlive a command
// and belong to no context.
func helpers(base string) string { return base + ".log" }

// Helpers opens that group, and makes it: removing the last context of the base
// removes it too, after which a clone into it fails with ENODEV. The caller closes
// it.
func (l *Layout) Helpers(base string) (*os.File, error) {
	dir := filepath.Join(l.Unified, l.Base, helpers(base))
	if err := mkdirAll(dir); err != nil {
		return nil, denied("create cgroup", dir, err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, sys.Op("open cgroup", dir, err)
	}
	return f, nil
}

// delegated are the files that a guest needs to manage its own subtree
// (cgroup-v2.rst, "Model of Delegation"). The files of the controllers stay
// ours: in the context's own directory they are its limits.
var delegated = []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"}

// Delegate gives the context's subtree to a user of the host: the guest's root.
func (g *Group) Delegate(uid, gid int) error { return delegate(g.Path(), uid, gid) }

func delegate(dir string, uid, gid int) error {
	for _, f := range delegated {
		if err := os.Lchown(filepath.Join(dir, f), uid, gid); err != nil {
			return sys.Op("delegate cgroup", dir, err)
		}
	}
	return nil
}

// ExecFD opens the group that a command run inside the guest is born into. The
// caller closes it.
//
// That is the context, until the guest's init enables controllers for groups
// of its own: from then on the kernel keeps processes out of the context's own
// directory (EBUSY), and commands go into a group "vsl.exec" below it, made
// here and owned like the context. The guest may change this at any time:
// when the clone fails with EBUSY or ENODEV, ask again.
func (g *Group) ExecFD() (*os.File, error) {
	top, err := g.FD()
	if err != nil {
		return nil, err
	}
	if !g.internalForbidden() {
		return top, nil
	}
	defer top.Close()
	uid, gid, err := sys.Owner(top)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(g.Path(), execName)
	if err := mkdir(dir); err == nil {
		if err := delegate(dir, uid, gid); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, &sys.OpError{Op: "create cgroup", Target: dir, Err: err,
			Hint: "EAGAIN means that the guest made as many groups as it may"}
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, sys.Op("open cgroup", dir, err)
	}
	return f, nil
}

// internalForbidden says whether the no-internal-process rule keeps processes
// out of the context's directory: it passes controllers on, and is not the
// root of a threaded subtree, to which the rule does not apply.
func (g *Group) internalForbidden() bool {
	on, err := read(filepath.Join(g.Path(), "cgroup.subtree_control"))
	if err != nil || strings.TrimSpace(on) == "" {
		return false
	}
	kind, _ := read(filepath.Join(g.Path(), "cgroup.type"))
	return strings.TrimSpace(kind) != "domain threaded"
}
