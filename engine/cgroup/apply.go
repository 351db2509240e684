package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"vsl/engine/internal/sys"
)

// change is one value written to one file of a group.
type change struct {
	key   string // the limit it serves, for errors: "memory"
	file  string // below the group's directory
	value string
	// undo gives what to write to get back, from what the file said before;
	// nil writes the same again.
	undo   func(old string) string
	full   string // written instead when the kernel has no room for value (ENOSPC)
	remedy string // what to do when the file does not exist
}

// target is a group's directory in the hierarchy that has a controller.
type target struct {
	version int    // 1 or 2
	dir     string // of the context
	root    string // mount point
}

// Apply sets limits on the context, live. Each is written where its controller
// lives. On v1 the context gets a group there first, and its processes are
// moved into it last, when its limits are complete.
//
// All or nothing: a limit that cannot be enforced here is an error that names
// the missing controller (see Check), and when a write fails those before it
// are taken back.
func (g *Group) Apply(l Limits) (err error) {
	if err := l.Check(g.layout); err != nil {
		return err
	}
	if !g.Exists() {
		return sys.Op("limit", g.Path(), sys.ENOENT)
	}
	var undo []func()
	defer func() {
		if err != nil {
			for _, f := range slices.Backward(undo) {
				f()
			}
		}
	}()
	var moves []string
	for _, c := range controllers {
		if !l.uses(c) {
			continue
		}
		t, ok := g.target(c)
		if t.version == 1 && !ok {
			if l.onlyLifts(c) {
				continue // no group, so there is nothing to lift
			}
			made, err := g.createV1(t.root)
			undo = append(undo, func() { removeMade(made) })
			if err != nil {
				return err
			}
		}
		if t.version == 1 && !slices.Contains(moves, t.root) {
			moves = append(moves, t.root)
		}
		if t.version == 2 {
			if err := g.layout.enable(g.base, []string{c}); err != nil {
				return sys.Op("limit "+c, g.name, err)
			}
		}
		changes, err := l.changes(c, t)
		if err != nil {
			return sys.Op("limit "+c, g.name, err)
		}
		for _, ch := range changes {
			back, err := ch.apply(t)
			if err != nil {
				return err
			}
			undo = append(undo, back)
		}
	}
	for _, root := range moves {
		if err := g.moveAll(root); err != nil {
			return err
		}
	}
	return nil
}

// changes computes the writes for one controller, in the order that keeps each
// step valid. It reads current values, and writes nothing.
func (l Limits) changes(controller string, t target) ([]change, error) {
	type f = func(Limits, string) ([]change, error)
	table := map[string][2]f{
		"memory": {Limits.memoryV1, Limits.memoryV2},
		"cpu":    {Limits.cpuV1, Limits.cpuV2},
		"cpuset": {Limits.cpusetV1, Limits.cpusetV2},
		"pids":   {Limits.pidsAny, Limits.pidsAny},
		"io":     {Limits.ioV1, Limits.ioV2},
	}
	return table[controller][t.version-1](l, t.dir)
}

// apply writes and gives the way back.
func (c change) apply(t target) (func(), error) {
	path := filepath.Join(t.dir, c.file)
	old, err := read(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &sys.NotSupported{Feature: fmt.Sprintf("limit %s (file %s)", c.key, c.file), Remedy: c.remedy}
	}
	if err == nil {
		err = write(path, c.value)
	}
	if errors.Is(err, sys.ENOSPC) && c.full != "" {
		err = write(path, c.full)
	}
	if err != nil {
		return nil, &sys.OpError{Op: fmt.Sprintf("set %s to %q in", c.file, c.value), Target: t.dir, Err: err, Hint: c.hint(t, err)}
	}
	if c.undo != nil {
		old = c.undo(old)
	}
	return func() { _ = write(path, old) }, nil
}

// hint explains the errors that do not explain themselves.
func (c change) hint(t target, err error) string {
	switch {
	case errors.Is(err, sys.EBUSY) && c.key == "memory":
		return fmt.Sprintf("the context uses %d bytes and they could not be reclaimed", readInt(filepath.Join(t.dir, "memory.usage_in_bytes")))
	case errors.Is(err, sys.EBUSY) && c.key == "socket memory":
		return fmt.Sprintf("its sockets hold %d bytes, which cannot be reclaimed: try again when what they queue was read", readInt(filepath.Join(t.dir, "memory.kmem.tcp.usage_in_bytes")))
	case errors.Is(err, sys.ENODEV) && c.key == "io":
		return "no such disk"
	case errors.Is(err, sys.EINVAL) && (c.key == "cpu" || c.key == "cpu_burst"):
		return "burst must not be more than the cpu limit's share of one period (100 ms), nor the limit more than the groups above have"
	}
	return ""
}

// target finds the context's group for a controller, and whether it exists.
func (g *Group) target(controller string) (target, bool) {
	t := target{version: g.layout.Has(controller), root: g.layout.Unified}
	if t.version == 1 {
		t.root = g.layout.V1[g.layout.v1Name(controller)]
	}
	t.dir = g.in(t.root)
	st, err := os.Lstat(t.dir)
	return t, t.version != 0 && err == nil && st.IsDir()
}
