package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"vsl/engine/internal/sys"
)

// recheck is how long a wait trusts the kernel's notification at most.
const recheck = time.Second

// Procs gives the processes of the context and of all groups below it, sorted,
// in our pid namespace's numbers. A context that does not exist has none.
func (g *Group) Procs() ([]int, error) {
	pids, err := procs(g.Path())
	return pids, sys.Op("list processes", g.Path(), err)
}

func procs(dir string) ([]int, error) {
	var out []int
	err := walk(dir, func(d string) error {
		data, err := read(filepath.Join(d, "cgroup.procs"))
		// A threaded group has no list of its own: the nearest group above
		// that is not threaded lists its processes.
		if gone(err) || errors.Is(err, sys.EOPNOTSUPP) {
			return nil
		}
		out = append(out, parsePids(data)...)
		return err
	})
	slices.Sort(out)
	return slices.Compact(out), err
}

// Populated says whether a process lives in the context or below it. Zombies
// do not count. A context that does not exist is not populated.
func (g *Group) Populated() (bool, error) { return g.event("populated") }

// Frozen says whether every process of the context is frozen.
func (g *Group) Frozen() (bool, error) { return g.event("frozen") }

func (g *Group) event(key string) (bool, error) {
	data, err := read(filepath.Join(g.Path(), "cgroup.events"))
	if gone(err) {
		return false, nil
	}
	return parseFlat(data)[key] == 1, sys.Op("read cgroup", g.Path(), err)
}

// WaitEmpty waits until no process lives in the context. It returns the
// context's error when that ends first.
func (g *Group) WaitEmpty(ctx context.Context) error { return g.waitEvent(ctx, "populated", 0) }

// waitEvent waits until cgroup.events says so. A group that went away says 0
// to everything.
func (g *Group) waitEvent(ctx context.Context, key string, want int64) error {
	path := filepath.Join(g.Path(), "cgroup.events")
	f, err := os.Open(path)
	if gone(err) && want == 0 {
		return nil
	}
	if err != nil {
		return sys.Op("wait for cgroup", path, err)
	}
	defer f.Close()
	w, err := sys.NewWatch(f)
	if err != nil {
		return err
	}
	defer w.Close()
	var buf [256]byte
	for {
		n, err := f.ReadAt(buf[:], 0)
		if n == 0 && gone(err) && want == 0 {
			return nil
		}
		if n == 0 && err != nil {
			return sys.Op("wait for cgroup", path, err)
		}
		if parseFlat(string(buf[:n]))[key] == want {
			return nil
		}
		if err := w.Wait(ctx, recheck); err != nil {
			return sys.Op("wait for cgroup", fmt.Sprintf("%s (%s)", g.Path(), key), err)
		}
	}
}

// Freeze stops every process of the context and waits until all are stopped.
// When ctx ends first they are let go again.
func (g *Group) Freeze(ctx context.Context) error {
	if err := g.set("cgroup.freeze", "1"); err != nil {
		return err
	}
	if err := g.waitEvent(ctx, "frozen", 1); err != nil {
		return errors.Join(err, g.set("cgroup.freeze", "0"))
	}
	return nil
}

// Thaw lets the processes of the context run again.
func (g *Group) Thaw(ctx context.Context) error {
	if err := g.set("cgroup.freeze", "0"); err != nil {
		return err
	}
	return g.waitEvent(ctx, "frozen", 0)
}

func (g *Group) set(file, value string) error {
	return sys.Op("write "+file+" of cgroup", g.Path(), write(filepath.Join(g.Path(), file), value))
}

// Kill sends SIGKILL to every process of the context, frozen or not, in one
// step that no fork escapes. It does not wait: see WaitEmpty. A context that
// does not exist is no error.
func (g *Group) Kill() error {
	err := write(filepath.Join(g.Path(), "cgroup.kill"), "1")
	if err == nil || !g.Exists() {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return sys.Op("kill cgroup", g.Path(), err)
	}
	return g.killEach()
}

// killEach does what cgroup.kill does on kernels before 5.14. The freezer
// keeps new processes from appearing between reading the list and killing.
func (g *Group) killEach() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		// A process in an uninterruptible wait delays freezing; killing goes on regardless.
		short, done := context.WithTimeout(ctx, time.Second)
		_ = g.Freeze(short)
		done()
		pids, err := g.Procs()
		if err == nil {
			for _, pid := range pids {
				if err = sys.KillPidFD(pid, func() bool { return g.holds(pid) }); err != nil {
					break
				}
			}
		}
		if terr := g.set("cgroup.freeze", "0"); terr != nil && g.Exists() {
			err = errors.Join(err, terr)
		}
		if err != nil {
			return sys.Op("kill cgroup", g.Path(), err)
		}
		short, done = context.WithTimeout(ctx, time.Second)
		err = g.WaitEmpty(short)
		done()
		if err == nil {
			return nil
		}
	}
	return sys.Op("kill cgroup", g.Path(), ctx.Err())
}

// holds says whether a process is in the context now.
func (g *Group) holds(pid int) bool {
	pids, err := g.Procs()
	return err == nil && slices.Contains(pids, pid)
}

// Remove removes the context and all groups below it from every hierarchy, and
// the base when this was its last context. It may be called again, and on a
// context that does not exist. A context with living processes is EBUSY.
func (g *Group) Remove() error {
	for _, root := range g.layout.roots() {
		if err := removeTree(g.in(root)); err != nil {
			return err
		}
		// Fails while other contexts are there, which is what is wanted.
		if err := os.Remove(filepath.Join(root, g.base)); (err == nil || gone(err)) && root == g.layout.Unified {
			removeHelpers(filepath.Join(root, helpers(g.base)))
		}
	}
	return nil
}

// helpersEnd bounds the wait for helpers, which end with the contexts that they
// served, an instant later.
const helpersEnd = 5 * time.Second

// RemoveHelpers removes the group of helpers where the base has no context any more,
// and tells whether there was one. It is for what a killed command left.
func (l *Layout) RemoveHelpers(base string) bool {
	if _, err := os.Lstat(filepath.Join(l.Unified, l.Base, base)); err == nil {
		return false
	}
	return os.Remove(filepath.Join(l.Unified, l.Base, helpers(base))) == nil
}

// removeHelpers removes the group of helpers. One that stays longer than it should is
// left alone, and so is the group where the contexts of other commands have begun to
// use it.
func removeHelpers(dir string) {
	for end := time.Now().Add(helpersEnd); ; time.Sleep(time.Millisecond) {
		if err := os.Remove(dir); !errors.Is(err, sys.EBUSY) || time.Now().After(end) {
			return
		}
	}
}

// removeTree removes a group and those below it, the deepest first.
func removeTree(dir string) error {
	deadline := time.Now().Add(2 * time.Second)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		var dirs []string
		err := walk(dir, func(d string) error { dirs = append(dirs, d); return nil })
		if err != nil {
			return sys.Op("remove cgroup", dir, err)
		}
		slices.Reverse(dirs) // walk goes level by level
		err = nil
		for _, d := range dirs {
			if rerr := os.Remove(d); rerr != nil && !gone(rerr) && err == nil {
				err = sys.Op("remove cgroup", d, rerr)
			}
		}
		if err == nil {
			return nil
		}
		// A process that has just died holds its group for a moment.
		if !errors.Is(err, sys.EBUSY) || time.Now().After(deadline) || populated(dir) {
			return occupied(dir, err)
		}
		time.Sleep(pause)
	}
}

func populated(dir string) bool {
	data, err := read(filepath.Join(dir, "cgroup.events"))
	return err == nil && parseFlat(data)["populated"] == 1
}

// occupied names the processes that keep a group from being removed.
func occupied(dir string, err error) error {
	pids, perr := procs(dir)
	if perr != nil || len(pids) == 0 || !errors.Is(err, sys.EBUSY) {
		return err
	}
	names := make([]string, 0, 5)
	for _, p := range pids[:min(5, len(pids))] {
		names = append(names, strconv.Itoa(p))
	}
	return &sys.OpError{Op: "remove cgroup", Target: dir, Err: sys.EBUSY,
		Hint: fmt.Sprintf("%d processes live in it: %s", len(pids), strings.Join(names, " "))}
}
