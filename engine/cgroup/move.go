package cgroup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"vsl/engine/internal/sys"
)

// createV1 makes the context's group in a v1 hierarchy and gives the
// directories that it made, the deepest last, also when it fails.
//
// Another vsl that removes the last context of this base removes the base as well:
// what went away under our feet is made again.
func (g *Group) createV1(root string) (made []string, err error) {
	for range 100 {
		var again []string
		again, err = g.createV1Once(root)
		made = append(made, again...)
		if !gone(err) {
			break
		}
	}
	return made, err
}

func (g *Group) createV1Once(root string) (made []string, err error) {
	dir := root
	for _, elem := range strings.Split(filepath.Join(g.base, g.name), "/") {
		dir = filepath.Join(dir, elem)
		err := mkdir(dir)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return made, denied("create cgroup", dir, err)
		}
		if err == nil {
			made = append(made, dir)
		}
		if root != g.layout.V1["cpuset"] {
			continue
		}
		// A cpuset group of v1 begins without cpus and memory nodes, and
		// takes no process until it has both.
		for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := inherit(dir, f); err != nil {
				return made, sys.Op("prepare cgroup", dir, err)
			}
		}
	}
	return made, nil
}

// inherit gives a group the value of the group above where it has none.
func inherit(dir, file string) error {
	own, err := read(filepath.Join(dir, file))
	if err != nil || strings.TrimSpace(own) != "" {
		return err
	}
	above, err := read(filepath.Join(filepath.Dir(dir), file))
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, file), strings.TrimSpace(above))
}

func removeMade(made []string) {
	for _, dir := range slices.Backward(made) {
		_ = os.Remove(dir)
	}
}

// hasV1 gives the v1 hierarchies in which the context has a group.
func (g *Group) hasV1() []string {
	var out []string
	for _, root := range g.layout.v1Roots() {
		if _, err := os.Lstat(g.in(root)); err == nil {
			out = append(out, root)
		}
	}
	return out
}

// Join puts a process, with all its threads, into the context's v1 groups; on
// a host without v1 hierarchies, or for a context without limits there, it
// does nothing. In v2 a process is born where it belongs (CLONE_INTO_CGROUP).
//
// The kernel stops all forks of the machine for each of these moves, some
// milliseconds: a process that can write for itself takes JoinFiles.
func (g *Group) Join(pid int) error {
	for _, root := range g.hasV1() {
		if err := moveOne(g.in(root), pid); err != nil {
			return err
		}
	}
	return nil
}

// WouldJoin gives the paths of the files that JoinFiles would open, had the group
// been created and these limits applied to it.
func (g *Group) WouldJoin(limits ...Limits) []string {
	var out []string
	for _, root := range g.layout.v1Roots() {
		own := slices.ContainsFunc(limits, func(l Limits) bool { return g.needsV1(root, l) })
		if dir := g.v1Place(root, own); dir != "" {
			out = append(out, filepath.Join(dir, joinFile))
		}
	}
	return out
}

// v1Place is the group of a v1 hierarchy that a process of the context is to be in:
// the context's own, where it has one, else the top of the hierarchy, as the group of
// whoever starts vsl must be no guest's limit. "": where it is born already.
func (g *Group) v1Place(root string, own bool) string {
	if own {
		return g.in(root)
	}
	for c, at := range g.layout.V1 {
		if at == root && g.layout.bound[c] != "/" {
			return root
		}
	}
	return ""
}

// needsV1 tells whether limits make a group in a v1 hierarchy; Apply makes it.
func (g *Group) needsV1(root string, l Limits) bool {
	return slices.ContainsFunc(controllers, func(c string) bool {
		t, _ := g.target(c)
		return t.version == 1 && t.root == root && l.uses(c) && !l.onlyLifts(c)
	})
}

// joinFile is the file of a v1 group through which a single thread joins it.
const joinFile = "tasks"

// JoinFiles opens the files through which a thread puts itself into the
// context's v1 groups (v1Place), by writing "0" to each: without the cost of Join, since
// a thread that moves itself needs no lock on the whole process. Only for a
// process of one thread, such as one just cloned. The caller closes them; the
// right to write was settled when they were opened.
func (g *Group) JoinFiles() ([]*os.File, error) {
	var out []*os.File
	has := g.hasV1()
	for _, root := range g.layout.v1Roots() {
		dir := g.v1Place(root, slices.Contains(has, root))
		if dir == "" {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, joinFile), os.O_WRONLY, 0)
		if err != nil {
			for _, o := range out {
				o.Close()
			}
			return nil, sys.Op("open cgroup", dir, err)
		}
		out = append(out, f)
	}
	return out, nil
}

// moveOne moves a process; one that has ended is no error.
func moveOne(dir string, pid int) error {
	err := write(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid))
	if errors.Is(err, sys.ESRCH) {
		return nil
	}
	return sys.Op("move process "+strconv.Itoa(pid)+" into cgroup", dir, err)
}

// moveAll moves every process of the context into its group of one v1
// hierarchy. A child forked by one not moved yet stays outside, so it looks
// again until nobody is; a child of one that has moved is inside by birth.
// Where forks outrun it, the context is frozen for the last rounds.
func (g *Group) moveAll(root string) error {
	dir := g.in(root)
	for round := range 10 {
		outside, err := g.outside(dir)
		if err != nil || len(outside) == 0 {
			return err
		}
		if round == 3 {
			if frozen, _ := g.Frozen(); !frozen {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				if err := g.Freeze(ctx); err != nil {
					return err
				}
				defer g.set("cgroup.freeze", "0")
			}
		}
		for _, pid := range outside {
			if err := moveOne(dir, pid); err != nil {
				return err
			}
		}
	}
	return sys.Op("move processes into cgroup", dir, sys.EAGAIN)
}

// outside gives the context's processes that are not in its v1 group dir.
func (g *Group) outside(dir string) ([]int, error) {
	all, err := g.Procs()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	data, err := read(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil, sys.Op("list processes", dir, err)
	}
	inside := map[int]bool{}
	for _, pid := range parsePids(data) {
		inside[pid] = true
	}
	return slices.DeleteFunc(all, func(pid int) bool { return inside[pid] }), nil
}
