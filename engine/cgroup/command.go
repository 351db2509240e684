package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"vsl/engine/internal/sys"
)

// commandPrefix begins the names of the groups of single commands: below it come
// the pid of the vsl that made the group and a number.
const commandPrefix = "vsl.command."

var commandNumber atomic.Uint64

// Command is the group that one command run inside the guest is born into, with
// all that it starts: however they fork, they can be ended in one step.
type Command struct {
	FD  *os.File // for CLONE_INTO_CGROUP
	own *Group   // nil where the guest left no room for one
}

// NewCommand makes the group of a command. Where that cannot be, because the
// guest has made as many groups as it may, the command shares the group of all.
// Release must be called.
func (g *Group) NewCommand() (*Command, error) {
	parent, err := g.ExecFD()
	if err != nil {
		return nil, err
	}
	c := &Command{FD: parent}
	name := fmt.Sprintf("%s%d.%d", commandPrefix, os.Getpid(), commandNumber.Add(1))
	dir := filepath.Join(parent.Name(), name)
	if err = mkdir(dir); errors.Is(err, sys.EAGAIN) {
		sweep(parent.Name())
		err = mkdir(dir)
	}
	if err != nil {
		return c, nil
	}
	base, err := filepath.Rel(g.layout.Unified, parent.Name())
	if err != nil {
		return c, nil
	}
	c.own = &Group{layout: g.layout, base: base, name: name}
	uid, gid, err := sys.Owner(parent)
	if err == nil {
		err = delegate(dir, uid, gid) // container tools make groups below their own
	}
	fd, oerr := os.Open(dir)
	if err = errors.Join(err, oerr); err != nil {
		os.Remove(dir)
		c.own = nil
		return c, nil
	}
	parent.Close()
	c.FD = fd
	return c, nil
}

// Group is the command's own group, nil where it has none.
func (c *Command) Group() *Group { return c.own }

// Release removes the command's group. One in which the command left something
// running stays until the next command that does so finds it empty, or until the
// guest's end: its processes are known by numbers only, which may have passed to
// others by the time that they are moved.
func (c *Command) Release() {
	c.FD.Close()
	if c.own == nil {
		return
	}
	if err := os.Remove(c.own.Path()); errors.Is(err, sys.EBUSY) {
		sweep(filepath.Dir(c.own.Path()))
	}
}

// sweep removes the empty groups of commands below dir whose vsl was killed.
func sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		of, ok := strings.CutPrefix(e.Name(), commandPrefix)
		pid, _, _ := strings.Cut(of, ".")
		if _, err := os.Stat("/proc/" + pid); ok && err != nil {
			_ = os.Remove(filepath.Join(dir, e.Name())) // fails while something runs in it
		}
	}
}
