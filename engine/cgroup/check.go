package cgroup

import (
	"errors"
	"fmt"
	"os"

	"vsl/engine/internal/sys"
)

// uses says whether a limit of this controller is set.
func (l Limits) uses(controller string) bool {
	switch controller {
	case "memory":
		return l.Memory != nil || l.MemoryHigh != nil || l.Swap != nil || l.OOMGroup != nil
	case "cpu":
		return l.CPU != nil || l.CPUBurst != nil || l.CPUWeight != nil
	case "cpuset":
		return l.CPUSet != nil
	case "pids":
		return l.Pids != nil
	case "io":
		return l.IOWeight != nil || len(l.IO) > 0
	}
	return false
}

// onlyLifts says whether everything set for this controller takes a limit away.
func (l Limits) onlyLifts(controller string) bool {
	lifted := func(p *int64) bool { return p == nil || *p == Unlimited }
	switch controller {
	case "memory":
		return lifted(l.Memory) && lifted(l.MemoryHigh) && lifted(l.Swap) && (l.OOMGroup == nil || !*l.OOMGroup)
	case "cpu":
		return (l.CPU == nil || *l.CPU == Unlimited) && (l.CPUBurst == nil || *l.CPUBurst <= 0) && (l.CPUWeight == nil || *l.CPUWeight == Unlimited)
	case "cpuset":
		return *l.CPUSet == ""
	case "pids":
		return lifted(l.Pids)
	case "io":
		for _, d := range l.IO {
			if d.ReadBPS > 0 || d.WriteBPS > 0 || d.ReadIOPS > 0 || d.WriteIOPS > 0 {
				return false
			}
		}
		return l.IOWeight == nil || *l.IOWeight == Unlimited
	}
	return true
}

// Check says whether this host can enforce the limits, before anything is
// written. It gives all mistakes at once (errors.Join): values out of range as
// OpError, and what is missing as *sys.NotSupported, by the controller's name.
func (l Limits) Check(layout *Layout) error {
	errs := l.ranges()
	for _, c := range controllers {
		if !l.uses(c) {
			continue
		}
		where := layout.Has(c)
		if where == 0 {
			errs = append(errs, layout.missing(c))
		}
		if where == 1 && c == "memory" {
			const remedy = "the host keeps the memory controller on cgroup v1: boot it with systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all"
			if l.MemoryHigh != nil && *l.MemoryHigh != Unlimited {
				errs = append(errs, &sys.NotSupported{Feature: "limit memory_high (memory.high of the v2 memory controller)", Remedy: remedy})
			}
			if l.OOMGroup != nil && *l.OOMGroup {
				errs = append(errs, &sys.NotSupported{Feature: "limit oom_group (memory.oom.group of the v2 memory controller)", Remedy: remedy})
			}
		}
	}
	return errors.Join(errs...)
}

// missing names a controller that no usable hierarchy has.
func (l *Layout) missing(controller string) error {
	e := &sys.NotSupported{Feature: "the cgroup controller " + controller}
	v1 := l.v1Name(controller)
	switch _, bound := l.bound[v1]; {
	case bound:
		e.Remedy = fmt.Sprintf("it is on a v1 hierarchy that is not mounted here: mkdir -p /sys/fs/cgroup/%s && mount -t cgroup -o %s none /sys/fs/cgroup/%[1]s", v1, v1)
	case controller == "memory":
		e.Remedy = "boot with cgroup_enable=memory, or use a kernel with CONFIG_MEMCG"
	default:
		e.Remedy = "use a kernel that has it, and do not disable it with cgroup_disable= on its command line; inside a container, have it delegated"
	}
	return e
}

// ranges checks each value by itself.
func (l Limits) ranges() []error {
	var errs []error
	bad := func(key string, value any, want string) {
		errs = append(errs, sys.Op("limit", key, fmt.Errorf("%v is out of range: want %s", value, want)))
	}
	for key, p := range map[string]*int64{"memory": l.Memory, "memory_high": l.MemoryHigh, "swap": l.Swap, "pids": l.Pids} {
		if p != nil && *p < Unlimited {
			bad(key, *p, "0 or more, or unlimited")
		}
	}
	for key, p := range map[string]*int{"cpu_weight": l.CPUWeight, "io_weight": l.IOWeight} {
		if p != nil && *p != Unlimited && (*p < 1 || *p > 10000) {
			bad(key, *p, "1 to 10000")
		}
	}
	// The kernel's smallest quota is 1 ms of each period of 100 ms.
	if l.CPU != nil && *l.CPU != Unlimited && !(*l.CPU >= 0.01 && *l.CPU <= maxCPU) {
		bad("cpu", *l.CPU, "0.01 cores or more, or unlimited")
	}
	if l.CPUBurst != nil && *l.CPUBurst < Unlimited {
		bad("cpu_burst", *l.CPUBurst, "a time, or unlimited")
	}
	if l.CPUSet != nil {
		if err := checkCPUs(*l.CPUSet); err != nil {
			errs = append(errs, sys.Op("limit", "cpuset", err))
		}
	}
	for _, d := range l.IO {
		for _, n := range []int64{d.ReadBPS, d.WriteBPS, d.ReadIOPS, d.WriteIOPS} {
			if n < Unlimited {
				bad("io "+d.Device, n, "1 or more, or unlimited")
			}
		}
		if _, err := diskNumber(d.Device); err != nil {
			errs = append(errs, sys.Op("limit io", d.Device, err))
		}
	}
	return errs
}

// checkCPUs wants a list whose cpus are all online: the kernel would accept
// others and run the context somewhere else.
func checkCPUs(list string) error {
	cpus, err := ParseCPUSet(list)
	if err != nil || len(cpus) == 0 {
		return err
	}
	data, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return nil // no sysfs: the kernel has the last word
	}
	online, err := ParseCPUSet(string(data))
	if err != nil {
		return err
	}
	on := map[int]bool{}
	for _, c := range online {
		on[c] = true
	}
	for _, c := range cpus {
		if !on[c] {
			return fmt.Errorf("cpu %d is not online: this host has %s", c, formatCPUSet(online))
		}
	}
	return nil
}
