package engine

import (
	"strings"

	"vsl/engine/cgroup"
	"vsl/engine/ipbind"
	"vsl/engine/rootfs"
	"vsl/engine/spawn"
)

// Call is one system call of a guest's child, as a text.
type Call = spawn.Call

// PlanCalls adds to each boot in a plan the system calls that its child makes
// until pid 1 runs, from the very program that the boot would start. Like Plan
// it does nothing; what only the boot can know is in the calls by its name.
func (e *Engine) PlanCalls(p *Plan, decls []Declared) error {
	specs := map[string]*Spec{}
	for _, d := range decls {
		specs[d.Spec.Name] = d.Spec
	}
	for _, gp := range p.Guests {
		anew := gp.Change == ChangeCreate
		for i, s := range gp.Steps {
			anew = anew || s.Op == OpRemove
			if s.Op != OpBoot || specs[gp.Name] == nil {
				continue
			}
			g, err := e.handle(specs[gp.Name])
			if err != nil {
				return err
			}
			if gp.Steps[i].Calls, err = g.calls(*s.Boot, anew); err != nil {
				return err
			}
		}
	}
	return nil
}

// calls lists the system calls of a boot of g, as it is or, anew, as it is made.
func (g *guest) calls(a BootArgs, anew bool) ([]Call, error) {
	c, err := g.plannedPid1(a, anew)
	if err != nil {
		return nil, err
	}
	attr, err := c.attr()
	if err != nil {
		return nil, err
	}
	attr.CgroupFD = spawn.Unopened
	return attr.Calls(c.files), nil
}

// plannedPid1 is what launch.prepare finds out, with nothing opened.
func (g *guest) plannedPid1(a BootArgs, anew bool) (*pid1, error) {
	c := &pid1{hostname: hostname(g.spec), ownNet: g.spec.Net.mode() == "none", nesting: g.spec.Nesting, guard: -1, reaper: -1}
	var err error
	if c.mount, err = rootfs.MountPoint(); err != nil {
		return nil, err
	}
	c.kind, c.argv = g.plannedInit(anew, a)
	if a.Env == nil {
		a.Env = g.spec.Env // which the default flow gives it
	}
	c.env = c.kind.env(strings.Repeat("0", 32), a.Env)
	c.files = c.kind.files(c.argv, false)
	if !c.ownNet && ipbind.LandlockGuards() {
		c.guard = spawn.Unopened
	}
	if c.kind.reaper {
		c.reaper = spawn.Unopened
	}
	grp, err := g.group()
	if err != nil {
		return nil, err
	}
	for _, path := range grp.WouldJoin(cgroup.Limits{Pids: ptr[int64](DefaultPids)}, g.spec.Limits.Limits) {
		c.joins = append(c.joins, descriptor{path, spawn.Unopened})
	}
	return c, nil
}

// plannedRoot is where a guest's init would be looked for, nil while there is
// nothing to look at: its template is not built, or was removed.
func (g *guest) plannedRoot(anew bool) *rootfs.Root {
	if g.rec != nil && g.rec.Clone != "" && !anew {
		root, err := g.rootSpec()
		if err != nil {
			return nil
		}
		return root
	}
	tm, err := g.e.Template(g.spec.Template)
	if err != nil {
		return nil
	}
	return &rootfs.Root{Kind: rootfs.DirectRoot, Tree: tm.RootFS()}
}

// plannedInit is chooseInit, with a name for an init that is not there yet: the
// template or provisioning may bring it.
func (g *guest) plannedInit(anew bool, a BootArgs) (initKind, []string) {
	own := !a.Idle && len(a.Command) == 0
	root := g.plannedRoot(anew)
	if own && root == nil && len(a.Init) > 0 {
		return kindOther, a.Init
	}
	if !own || root != nil {
		if kind, argv, err := g.chooseInit(root, a); err == nil {
			return kind, argv
		}
	}
	return kindOther, []string{"<init of guest " + g.spec.Name + ">"}
}
