package cgroup

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"vsl/engine/internal/sys"
)

const (
	swapRemedy  = "the kernel does not count swap: boot with swapaccount=1, or use one with CONFIG_SWAP"
	ioRemedy    = "use the bfq scheduler on the disk (echo bfq > /sys/block/DISK/queue/scheduler), or a kernel with CONFIG_BLK_CGROUP_IOCOST"
	ioMaxRemedy = "use a kernel with CONFIG_BLK_DEV_THROTTLING"
	burstRemedy = "use a kernel of 5.14 or newer"
	quotaRemedy = "use a kernel with CONFIG_CFS_BANDWIDTH"
)

// maxOr gives a number as v2 writes it.
func maxOr(n int64) string {
	if n == Unlimited {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

func (l Limits) memoryV2(dir string) ([]change, error) {
	var out []change
	add := func(key, file string, p *int64, remedy string) {
		if p != nil {
			out = append(out, change{key: key, file: file, value: maxOr(*p), remedy: remedy})
		}
	}
	if l.OOMGroup != nil {
		out = append(out, change{key: "oom_group", file: "memory.oom.group", value: map[bool]string{true: "1", false: "0"}[*l.OOMGroup], remedy: "use a kernel of 4.19 or newer"})
	}
	// Swap first: lowering memory then cannot push more into swap than is allowed.
	if !(l.Swap != nil && *l.Swap <= 0 && lacks(dir, "memory.swap.max") && !swapOn()) {
		add("swap", "memory.swap.max", l.Swap, swapRemedy)
	}
	add("memory_high", "memory.high", l.MemoryHigh, "")
	add("memory", "memory.max", l.Memory, "")
	return out, nil
}

// swapOn says whether this host has any swap space in use.
func swapOn() bool {
	data, err := os.ReadFile("/proc/swaps")
	return err != nil || strings.Count(string(data), "\n") > 1
}

func lacks(dir, file string) bool {
	_, err := os.Lstat(filepath.Join(dir, file))
	return os.IsNotExist(err)
}

func (l Limits) cpuV2(dir string) ([]change, error) {
	period := defaultPeriod
	if cur, err := read(filepath.Join(dir, "cpu.max")); err == nil {
		if f := strings.Fields(cur); len(f) == 2 {
			if n, ok := parseNumber(f[1]); ok && n > 0 {
				period = n
			}
		}
	}
	var quota *change
	if l.CPU != nil {
		value := "max"
		if *l.CPU != Unlimited {
			value = strconv.FormatInt(quotaOf(*l.CPU, period), 10)
		}
		quota = &change{key: "cpu", file: "cpu.max", value: fmt.Sprintf("%s %d", value, period), remedy: quotaRemedy}
	}
	out := l.quotaAndBurst(quota, "cpu.max.burst", dir, period)
	if l.CPUWeight != nil {
		out = append(out, change{key: "cpu_weight", file: "cpu.weight", value: strconv.Itoa(weightOf(*l.CPUWeight))})
	}
	return out, nil
}

// Period is the kernel's period of cpu bandwidth control, of which a limit of cpu is
// a share.
const Period = 100 * time.Millisecond

// defaultPeriod is the same in µs.
const defaultPeriod = int64(Period / time.Microsecond)

// quotaOf gives the run time per period in µs; the kernel's least is 1 ms.
func quotaOf(cores float64, period int64) int64 {
	return max(1000, int64(math.Round(cores*float64(period))))
}

// weightOf gives a weight; 100 is normal, and what unlimited goes back to.
func weightOf(w int) int {
	if w == Unlimited {
		return 100
	}
	return w
}

// quotaAndBurst orders the two: the kernel refuses a burst above the quota at
// each instant, so a quota that falls below the present burst comes second.
func (l Limits) quotaAndBurst(quota *change, burstFile, dir string, period int64) []change {
	var out []change
	if l.CPUBurst != nil {
		out = append(out, change{key: "cpu_burst", file: burstFile,
			value: strconv.FormatInt(max(0, int64(*l.CPUBurst/time.Microsecond)), 10), remedy: burstRemedy})
	}
	if quota == nil {
		return out
	}
	present := readInt(filepath.Join(dir, burstFile))
	if l.CPUBurst != nil && *l.CPU != Unlimited && present > quotaOf(*l.CPU, period) {
		return append(out, *quota)
	}
	return append([]change{*quota}, out...)
}

// cpusetV2 sets the cpus; a bare newline takes the restriction away, since
// writing nothing at all would not reach the kernel. Some kernels, 6.1 among
// them, refuse that to a group with processes (ENOSPC): there it gets all that
// the group above has.
func (l Limits) cpusetV2(dir string) ([]change, error) {
	value, err := cpuList(*l.CPUSet)
	c := change{key: "cpuset", file: "cpuset.cpus", value: value + "\n", undo: withNewline}
	if err == nil && value == "" {
		c.full, err = read(filepath.Join(filepath.Dir(dir), "cpuset.cpus.effective"))
	}
	return []change{c}, err
}

func withNewline(old string) string { return strings.TrimSpace(old) + "\n" }

// cpuList gives a list in the kernel's form.
func cpuList(s string) (string, error) {
	cpus, err := ParseCPUSet(s)
	return formatCPUSet(cpus), err
}

func (l Limits) pidsAny(string) ([]change, error) {
	return []change{{key: "pids", file: "pids.max", value: maxOr(*l.Pids)}}, nil
}

func (l Limits) ioV2(dir string) ([]change, error) {
	var out []change
	if l.IOWeight != nil {
		w := weightOf(*l.IOWeight)
		// io.weight belongs to iocost, io.bfq.weight to the BFQ scheduler:
		// which of them acts is chosen per disk, so both get the value.
		if !lacks(dir, "io.weight") || lacks(dir, "io.bfq.weight") {
			out = append(out, change{key: "io_weight", file: "io.weight", value: strconv.Itoa(w), undo: firstWeight, remedy: ioRemedy})
		}
		if !lacks(dir, "io.bfq.weight") {
			out = append(out, change{key: "io_weight", file: "io.bfq.weight", value: strconv.Itoa(bfqWeight(w)), undo: firstWeight})
		}
	}
	for _, d := range l.IO {
		dev, err := diskNumber(d.Device)
		if err != nil {
			return nil, sys.Op("find disk", d.Device, err)
		}
		var b strings.Builder
		b.WriteString(dev)
		for _, f := range []struct {
			key string
			n   int64
		}{{"rbps", d.ReadBPS}, {"wbps", d.WriteBPS}, {"riops", d.ReadIOPS}, {"wiops", d.WriteIOPS}} {
			if f.n != 0 {
				fmt.Fprintf(&b, " %s=%s", f.key, maxOr(f.n))
			}
		}
		if b.Len() == len(dev) {
			continue
		}
		out = append(out, change{key: "io", file: "io.max", value: b.String(), remedy: ioMaxRemedy,
			undo: func(old string) string {
				return dev + " " + cmp.Or(deviceLine(old, dev), "rbps=max wbps=max riops=max wiops=max")
			}})
	}
	return out, nil
}

// firstWeight gives the group's own weight from "default 100" or "100", the
// first line of a weight file.
func firstWeight(old string) string {
	line, _, _ := strings.Cut(old, "\n")
	return strings.TrimPrefix(strings.TrimSpace(line), "default ")
}

// bfqWeight maps 1..10000 onto BFQ's 1..1000, with 100 as the middle of both.
func bfqWeight(w int) int {
	if w <= 100 {
		return w
	}
	return 100 + (w-100)/11
}

// DiskName tells whether a text can name a disk at all.
func DiskName(device string) bool {
	_, _, number := majorMinor(device)
	return number || filepath.IsAbs(device)
}

func majorMinor(device string) (major, minor uint32, ok bool) {
	n, err := fmt.Sscanf(device, "%d:%d", &major, &minor)
	return major, minor, err == nil && n == 2 && device == fmt.Sprintf("%d:%d", major, minor)
}

// diskNumber gives the "major:minor" of a disk, from its number or the path of
// its node. For a partition it is the whole disk's: the kernel limits disks.
func diskNumber(device string) (string, error) {
	major, minor, ok := majorMinor(device)
	if !ok {
		if !DiskName(device) {
			return "", fmt.Errorf("want a path such as /dev/vda, or a number such as 254:0")
		}
		var err error
		if major, minor, err = sys.BlockDevice(device); err != nil {
			return "", err
		}
	}
	node := fmt.Sprintf("/sys/dev/block/%d:%d", major, minor)
	if _, err := os.Stat(node); err != nil {
		return "", fmt.Errorf("no block device %d:%d", major, minor)
	}
	if _, err := os.Stat(node + "/partition"); err != nil {
		return fmt.Sprintf("%d:%d", major, minor), nil
	}
	data, err := os.ReadFile(node + "/../dev")
	return strings.TrimSpace(string(data)), err
}
