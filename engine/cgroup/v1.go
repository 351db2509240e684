package cgroup

import (
	"errors"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"vsl/engine/internal/sys"
)

// noLimitV1 is from where on a v1 memory value means none: the kernel writes
// the largest number of whole pages.
const noLimitV1 = math.MaxInt64 / 2

// readLimitV1 gives a limit of a v1 memory file, or Unlimited.
func readLimitV1(dir, file string) int64 {
	n := readInt(filepath.Join(dir, file))
	if n < 0 || n > noLimitV1 {
		return Unlimited
	}
	return n
}

// memoryV1 sets memory, swap and the memory of sockets.
func (l Limits) memoryV1(dir string) ([]change, error) {
	changes, err := l.memoryAndSwapV1(dir)
	return append(changes, l.socketsV1(dir)...), err
}

// memoryAndSwapV1 sets memory and swap. v1 has no limit of swap alone: its second
// limit bounds memory and swap together (memsw) and must never be below the
// first, which also decides the order of the writes.
func (l Limits) memoryAndSwapV1(dir string) ([]change, error) {
	const limitFile, memswFile = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
	oldMem, oldSum := readLimitV1(dir, limitFile), readLimitV1(dir, memswFile)
	mem, swap := oldMem, int64(Unlimited)
	if oldMem != Unlimited && oldSum != Unlimited {
		swap = oldSum - oldMem
	}
	if l.Memory != nil {
		mem = *l.Memory
	}
	if l.Swap != nil {
		swap = *l.Swap
	}
	if swap != Unlimited && mem == Unlimited {
		return nil, errors.New("on cgroup v1 a swap limit needs a memory limit beside it, and goes with it: set both, or make both unlimited")
	}
	sum := int64(Unlimited)
	if swap != Unlimited && mem <= noLimitV1-swap {
		sum = mem + swap
	}
	setMem := change{key: "memory", file: limitFile, value: strconv.FormatInt(mem, 10)}
	setSum := change{key: "swap", file: memswFile, value: strconv.FormatInt(sum, 10), remedy: swapRemedy}
	noSwap := lacks(dir, memswFile) && !swapOn()
	switch {
	case sum == oldSum && (l.Swap == nil || noSwap || sum == Unlimited):
		return only(setMem, mem != oldMem), nil
	case noSwap && swap <= 0:
		return only(setMem, l.Memory != nil), nil
	case sum == Unlimited || (oldSum != Unlimited && sum >= oldSum):
		return append([]change{setSum}, only(setMem, l.Memory != nil)...), nil
	}
	return append(only(setMem, l.Memory != nil), setSum), nil
}

// socketsV1 bounds what sockets queue, which v1 counts apart from all other memory,
// and only in a group that has this limit: TCP's, and despite the file's name every
// protocol's with accounts of its own. It gets as much as memory has, so that both
// together are at most twice that. It counts sockets made from now on.
func (l Limits) socketsV1(dir string) []change {
	const file = "memory.kmem.tcp.limit_in_bytes"
	if l.Memory == nil || lacks(dir, file) || readLimitV1(dir, file) == *l.Memory {
		return nil
	}
	return []change{{key: "socket memory", file: file, value: strconv.FormatInt(*l.Memory, 10)}}
}

func only(c change, wanted bool) []change {
	if !wanted {
		return nil
	}
	return []change{c}
}

func (l Limits) cpuV1(dir string) ([]change, error) {
	period := readInt(filepath.Join(dir, "cpu.cfs_period_us"))
	if period <= 0 {
		period = defaultPeriod
	}
	var quota *change
	if l.CPU != nil {
		value := "-1"
		if *l.CPU != Unlimited {
			value = strconv.FormatInt(quotaOf(*l.CPU, period), 10)
		}
		quota = &change{key: "cpu", file: "cpu.cfs_quota_us", value: value, remedy: quotaRemedy}
	}
	out := l.quotaAndBurst(quota, "cpu.cfs_burst_us", dir, period)
	if l.CPUWeight != nil {
		out = append(out, change{key: "cpu_weight", file: "cpu.shares", value: strconv.Itoa(sharesOf(weightOf(*l.CPUWeight)))})
	}
	return out, nil
}

// sharesOf maps a weight onto v1's shares, of which 1024 are normal.
func sharesOf(weight int) int { return max(2, weight*1024/100) }

// cpusetV1 sets the cpus; "" goes back to those of the group above, because a
// v1 group with processes cannot be without cpus.
func (l Limits) cpusetV1(dir string) ([]change, error) {
	value, err := cpuList(*l.CPUSet)
	if err == nil && value == "" {
		value, err = read(filepath.Join(filepath.Dir(dir), "cpuset.cpus"))
		value = strings.TrimSpace(value)
	}
	return []change{{key: "cpuset", file: "cpuset.cpus", value: value, undo: withNewline}}, err
}

// ioV1 sets weight and throttling. v1 counts only direct and read I/O against
// a group: what the page cache writes back later belongs to nobody there.
func (l Limits) ioV1(dir string) ([]change, error) {
	var out []change
	if l.IOWeight != nil {
		w := weightOf(*l.IOWeight)
		file, value := "blkio.bfq.weight", bfqWeight(w)
		if lacks(dir, file) && !lacks(dir, "blkio.weight") { // CFQ, before 5.0: 10..1000, 500 is normal
			file, value = "blkio.weight", min(1000, max(10, bfqWeight(w)*5))
		}
		out = append(out, change{key: "io_weight", file: file, value: strconv.Itoa(value), undo: firstWeight, remedy: ioRemedy})
	}
	for _, d := range l.IO {
		dev, err := diskNumber(d.Device)
		if err != nil {
			return nil, sys.Op("find disk", d.Device, err)
		}
		for _, f := range []struct {
			name string
			n    int64
		}{{"read_bps", d.ReadBPS}, {"write_bps", d.WriteBPS}, {"read_iops", d.ReadIOPS}, {"write_iops", d.WriteIOPS}} {
			if f.n == 0 {
				continue
			}
			out = append(out, change{key: "io", file: "blkio.throttle." + f.name + "_device",
				value: dev + " " + strconv.FormatInt(max(0, f.n), 10), remedy: ioMaxRemedy,
				undo: func(old string) string {
					if line := deviceLine(old, dev); line != "" {
						return dev + " " + line
					}
					return dev + " 0"
				}})
		}
	}
	return out, nil
}
