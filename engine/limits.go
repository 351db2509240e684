package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"

	"vsl/engine/cgroup"
	"vsl/engine/internal/sys"
)

// DefaultPids bounds the tasks of a guest that sets no limit of its own: one
// guest's fork bomb must not become its neighbours' trouble.
const DefaultPids = 8192

// merge lays the set fields of o over l.
func (l Limits) merge(o Limits) Limits {
	dst, src := reflect.ValueOf(&l.Limits).Elem(), reflect.ValueOf(o.Limits)
	for i := range src.NumField() {
		if !src.Field(i).IsZero() {
			dst.Field(i).Set(src.Field(i))
		}
	}
	if len(o.Rlimits) > 0 {
		l.Rlimits = maps.Clone(l.Rlimits)
		if l.Rlimits == nil {
			l.Rlimits = map[string]Rlimit{}
		}
		maps.Copy(l.Rlimits, o.Rlimits)
	}
	if o.Nice != nil {
		l.Nice = o.Nice
	}
	if o.Sched != nil {
		l.Sched = o.Sched
	}
	if o.Sockets != nil {
		l.Sockets = o.Sockets
	}
	if o.Ports != nil {
		l.Ports = o.Ports
	}
	return l
}

// Lifting is l with every limit that old sets and l does not taken away, so
// that applying it over old leaves just l.
func (l Limits) Lifting(old Limits) Limits {
	lift := func(dst **int64, was *int64) {
		if *dst == nil && was != nil {
			*dst = ptr[int64](cgroup.Unlimited)
		}
	}
	lift(&l.Memory, old.Memory)
	lift(&l.MemoryHigh, old.MemoryHigh)
	lift(&l.Swap, old.Swap)
	if l.Pids == nil && old.Pids != nil {
		l.Pids = ptr[int64](DefaultPids)
	}
	if l.Sockets == nil && old.Sockets != nil {
		l.Sockets = ptr[int64](DefaultSockets)
	}
	if l.Ports == nil && old.Ports != nil {
		l.Ports = ptr[int64](DefaultPorts)
	}
	if l.CPU == nil && old.CPU != nil {
		l.CPU = ptr[float64](cgroup.Unlimited)
	}
	if l.CPUBurst == nil && old.CPUBurst != nil && l.CPU == nil {
		l.CPUBurst = ptr(*old.CPUBurst * 0)
	}
	if l.CPUWeight == nil && old.CPUWeight != nil {
		l.CPUWeight = ptr(100)
	}
	if l.IOWeight == nil && old.IOWeight != nil {
		l.IOWeight = ptr(100)
	}
	if l.CPUSet == nil && old.CPUSet != nil {
		l.CPUSet = ptr("")
	}
	if l.OOMGroup == nil && old.OOMGroup != nil {
		l.OOMGroup = ptr(false)
	}
	if l.Nice == nil && old.Nice != nil {
		l.Nice = ptr(0)
	}
	if l.Sched == nil && old.Sched != nil {
		l.Sched = &Sched{Policy: "other"}
	}
	l.Rlimits = maps.Clone(l.Rlimits)
	for name := range old.Rlimits {
		if _, ok := l.Rlimits[name]; !ok {
			if l.Rlimits == nil {
				l.Rlimits = map[string]Rlimit{}
			}
			l.Rlimits[name] = defaultRlimit(name)
		}
	}
	for _, io := range old.IO {
		if !slices.ContainsFunc(l.IO, func(n cgroup.IOLimit) bool { return n.Device == io.Device }) {
			l.IO = append(slices.Clone(l.IO), cgroup.IOLimit{Device: io.Device, ReadBPS: cgroup.Unlimited,
				WriteBPS: cgroup.Unlimited, ReadIOPS: cgroup.Unlimited, WriteIOPS: cgroup.Unlimited})
		}
	}
	return l
}

// limitProcesses gives every process of a running guest what cgroups do not
// hold: resource limits, niceness and scheduling policy.
func (g *guest) limitProcesses(l Limits) error {
	if l.Nice == nil && l.Sched == nil && len(l.Rlimits) == 0 {
		return nil
	}
	grp, err := g.group()
	if err != nil {
		return err
	}
	procs, err := grp.Procs()
	if err != nil {
		return err
	}
	for _, pid := range procs {
		if err := limitProcess(g.hostID(), pid, l); err != nil && !errors.Is(err, sys.ESRCH) {
			return &OpError{Op: "limit a process of guest", Target: g.spec.Name, Err: err}
		}
	}
	return nil
}

// defaultRlimit is what a process of a guest has without a limit of its own.
func defaultRlimit(name string) Rlimit {
	d := sys.DefaultRlimits[name]
	return Rlimit{Soft: d[0], Hard: d[1]}
}

// plainProcess gives a process that is about to join a guest what a guest begins
// with, whoever started vsl, and then the guest's own limits.
func plainProcess(owner, pid int, l Limits) error {
	for name := range sys.DefaultRlimits {
		if _, own := l.Rlimits[name]; own {
			continue
		}
		if err := sys.DefaultRlimit(uint32(owner), pid, name); err != nil {
			return sys.Op("set rlimit", name, err)
		}
	}
	if err := sys.PlainOOM(pid); err != nil {
		return err
	}
	return limitProcess(owner, pid, l)
}

func limitProcess(owner, pid int, l Limits) error {
	for name, r := range l.Rlimits {
		if r == defaultRlimit(name) {
			if err := sys.DefaultRlimit(uint32(owner), pid, name); err != nil {
				return sys.Op("set rlimit", name, err)
			}
			continue
		}
		if err := sys.Prlimit(uint32(owner), pid, sys.Rlimits[name], r.Soft, r.Hard); err != nil {
			e := &OpError{Op: "set rlimit", Target: name, Err: err}
			if errors.Is(err, sys.EPERM) {
				e.Hint = "vsl may not exceed its own hard limit here: ulimit -H shows it"
			}
			return e
		}
	}
	if l.Nice != nil {
		if err := sys.SetNice(pid, *l.Nice); err != nil {
			return err
		}
	}
	if l.Sched != nil {
		return sys.SetScheduler(pid, sys.SchedPolicies[l.Sched.Policy], l.Sched.Priority)
	}
	return nil
}

func equalJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

func ptr[T any](v T) *T { return &v }
