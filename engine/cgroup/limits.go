package cgroup

import "time"

// Limits is what a context may use. A nil or empty field is left as it is, so
// that a value can be changed on a running guest without repeating the others.
// A pointer to Unlimited takes a limit away.
type Limits struct {
	Memory     *int64         `json:"memory,omitempty"`      // bytes; the hard limit (memory.max; on v1 of what sockets queue as well)
	MemoryHigh *int64         `json:"memory_high,omitempty"` // bytes; reclaim and slow down above it (memory.high, v2 only)
	Swap       *int64         `json:"swap,omitempty"`        // bytes of swap beside memory (memory.swap.max)
	CPU        *float64       `json:"cpu,omitempty"`         // cores of run time per second of clock (cpu.max)
	CPUBurst   *time.Duration `json:"cpu_burst,omitempty"`   // run time saved up for bursts (cpu.max.burst)
	CPUWeight  *int           `json:"cpu_weight,omitempty"`  // 1..10000, 100 is normal (cpu.weight)
	CPUSet     *string        `json:"cpuset,omitempty"`      // "0-1,4" (cpuset.cpus)
	Pids       *int64         `json:"pids,omitempty"`        // tasks (pids.max)
	IOWeight   *int           `json:"io_weight,omitempty"`   // 1..10000, 100 is normal (io.weight)
	IO         []IOLimit      `json:"io,omitempty"`          // per block device (io.max)
	OOMGroup   *bool          `json:"oom_group,omitempty"`   // out of memory kills the whole guest (memory.oom.group)
}

// IOLimit bounds one block device. Zero is unset, Unlimited takes a bound away.
type IOLimit struct {
	Device    string `json:"device"`               // "/dev/vda" or "254:0"; the disk, not a partition
	ReadBPS   int64  `json:"read_bps,omitempty"`   // bytes per second
	WriteBPS  int64  `json:"write_bps,omitempty"`  // bytes per second
	ReadIOPS  int64  `json:"read_iops,omitempty"`  // operations per second
	WriteIOPS int64  `json:"write_iops,omitempty"` // operations per second
}

// Unlimited, as the value of a limit in bytes, tasks or cores, takes it away.
const Unlimited = -1

// Usage is what a context uses now and how often it met its limits. A field is
// -1 where no controller counts it (on hybrid hosts, one without a v1 group).
type Usage struct {
	Memory     int64         `json:"memory"`      // bytes
	MemoryPeak int64         `json:"memory_peak"` // bytes
	Swap       int64         `json:"swap"`        // bytes
	Sockets    int64         `json:"sockets"`     // bytes that sockets queue: within Memory on v2, beside it on v1
	SocketPeak int64         `json:"socket_peak"` // bytes; where it is beside Memory
	Pids       int64         `json:"pids"`        // tasks
	CPU        time.Duration `json:"cpu_ns"`      // run time used since the context began
	Hits       Hits          `json:"hits"`
}

// Hits counts the times a limit was met.
type Hits struct {
	Memory    int64 `json:"memory"`    // memory.max reached
	OOMKills  int64 `json:"oom_kills"` // processes killed for memory
	Pids      int64 `json:"pids"`      // forks refused
	Throttled int64 `json:"throttled"` // periods in which cpu quota ran out
}
