package cgroup

import (
	"path/filepath"
	"time"

	"vsl/engine/internal/sys"
)

// Usage reads what the context uses, from wherever each controller lives. What
// nothing counts is -1.
func (g *Group) Usage() (Usage, error) {
	u := Usage{Memory: -1, MemoryPeak: -1, Swap: -1, Sockets: -1, SocketPeak: -1, Pids: -1, CPU: -1,
		Hits: Hits{-1, -1, -1, -1}}
	// Every v2 group has cpu.stat, with the run time, even without a controller.
	data, err := read(filepath.Join(g.Path(), "cpu.stat"))
	if err != nil {
		return u, sys.Op("read cgroup", g.Path(), err)
	}
	if usec, ok := parseFlat(data)["usage_usec"]; ok {
		u.CPU = time.Duration(usec) * time.Microsecond
	}
	if t, ok := g.target("memory"); ok {
		u.memory(t)
	}
	if t, ok := g.target("pids"); ok {
		u.Pids = readInt(filepath.Join(t.dir, "pids.current"))
		u.Hits.Pids = pidsHits(t)
	}
	if t, ok := g.target("cpu"); ok {
		u.Hits.Throttled = flatValue(t.dir, "cpu.stat", "nr_throttled")
	}
	return u, nil
}

func (u *Usage) memory(t target) {
	at := func(file string) int64 { return readInt(filepath.Join(t.dir, file)) }
	if t.version == 2 {
		u.Memory, u.MemoryPeak, u.Swap = at("memory.current"), at("memory.peak"), at("memory.swap.current")
		u.Sockets = flatValue(t.dir, "memory.stat", "sock")
		u.Hits.Memory = flatValue(t.dir, "memory.events", "max")
		u.Hits.OOMKills = flatValue(t.dir, "memory.events", "oom_kill")
		return
	}
	u.Memory, u.MemoryPeak = at("memory.usage_in_bytes"), at("memory.max_usage_in_bytes")
	if sum := at("memory.memsw.usage_in_bytes"); sum >= 0 && u.Memory >= 0 {
		u.Swap = max(0, sum-u.Memory)
	}
	u.Sockets, u.SocketPeak = at("memory.kmem.tcp.usage_in_bytes"), at("memory.kmem.tcp.max_usage_in_bytes")
	u.Hits.Memory = at("memory.failcnt")
	u.Hits.OOMKills = flatValue(t.dir, "memory.oom_control", "oom_kill")
	// A limit of memory and swap together is met first, and has a count of its
	// own, which recent kernels leave at 0: a kill was a hit at least.
	u.Hits.Memory = max(u.Hits.Memory+max(0, at("memory.memsw.failcnt")), u.Hits.OOMKills)
}

// pidsHits counts the forks that pids.max refused. Since 6.11 the group whose
// limit it was counts them; before, the group of the process that forked, which
// may be one that the guest made below: there the whole tree is summed up.
func pidsHits(t target) int64 {
	own := flatValue(t.dir, "pids.events", "max")
	if t.version == 1 || !lacks(t.dir, "pids.events.local") {
		return own
	}
	sum := int64(0)
	err := walk(t.dir, func(dir string) error {
		sum += max(0, flatValue(dir, "pids.events", "max"))
		return nil
	})
	if err != nil || own < 0 {
		return own
	}
	return sum
}

// flatValue gives one value of a flat keyed file, or -1.
func flatValue(dir, file, key string) int64 {
	data, err := read(filepath.Join(dir, file))
	if err != nil {
		return -1
	}
	if n, ok := parseFlat(data)[key]; ok {
		return n
	}
	return -1
}
