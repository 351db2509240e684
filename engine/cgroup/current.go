package cgroup

import (
	"path/filepath"
	"strings"
)

// Current gives the limits that the kernel holds the context to now, read from
// wherever each controller lives; nil where no controller bounds it. Unlike a
// record it cannot be out of date. It has the bounds of use alone: memory, swap,
// cpu, cpuset and pids, not weights.
func (g *Group) Current() Limits {
	var l Limits
	if t, ok := g.target("memory"); ok {
		if t.version == 2 {
			l.Memory, l.Swap = boundOf(t.dir, "memory.max"), boundOf(t.dir, "memory.swap.max")
		} else if n := readLimitV1(t.dir, "memory.limit_in_bytes"); n != Unlimited {
			l.Memory = &n
			if sum := readLimitV1(t.dir, "memory.memsw.limit_in_bytes"); sum != Unlimited {
				swap := sum - n
				l.Swap = &swap
			}
		}
	}
	if t, ok := g.target("pids"); ok {
		l.Pids = boundOf(t.dir, "pids.max")
	}
	if t, ok := g.target("cpu"); ok {
		l.CPU = cpuOf(t)
	}
	if t, ok := g.target("cpuset"); ok {
		if set, err := read(filepath.Join(t.dir, "cpuset.cpus")); err == nil && strings.TrimSpace(set) != "" {
			set = strings.TrimSpace(set)
			l.CPUSet = &set
		}
	}
	return l
}

// boundOf reads a file that says a number or "max"; nil is no bound.
func boundOf(dir, file string) *int64 {
	if n := readInt(filepath.Join(dir, file)); n >= 0 {
		return &n
	}
	return nil
}

// cpuOf is the quota in cores; nil is no bound.
func cpuOf(t target) *float64 {
	var quota, period int64
	if t.version == 2 {
		data, err := read(filepath.Join(t.dir, "cpu.max"))
		f := strings.Fields(data)
		if err != nil || len(f) != 2 || f[0] == "max" {
			return nil
		}
		quota, _ = parseNumber(f[0])
		period, _ = parseNumber(f[1])
	} else {
		quota, period = readInt(filepath.Join(t.dir, "cpu.cfs_quota_us")), readInt(filepath.Join(t.dir, "cpu.cfs_period_us"))
	}
	if quota <= 0 || period <= 0 {
		return nil
	}
	cores := float64(quota) / float64(period)
	return &cores
}
