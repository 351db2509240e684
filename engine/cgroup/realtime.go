package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"vsl/engine/internal/sys"
)

// AllowRealtime lets processes of the context run under SCHED_FIFO or SCHED_RR
// for at most this much of each second. It is needed only where the context
// has a group in a v1 cpu hierarchy of a kernel with CONFIG_RT_GROUP_SCHED:
// groups there begin with none (sched-rt-group.rst), and setting the policy
// fails with EPERM. Anywhere else it does nothing.
//
// The time comes out of what the groups above have, 0.95 s for all of the
// machine by default; more than is left is an error.
func (g *Group) AllowRealtime(runtime time.Duration) error {
	const runtimeFile, periodFile = "cpu.rt_runtime_us", "cpu.rt_period_us"
	t, ok := g.target("cpu")
	if !ok || t.version != 1 || lacks(t.dir, runtimeFile) {
		return nil
	}
	period := readInt(filepath.Join(t.dir, periodFile))
	if period <= 0 {
		period = 1_000_000
	}
	want := int64(float64(period) * runtime.Seconds())
	more := want - readInt(filepath.Join(t.dir, runtimeFile))
	if more == 0 {
		return nil
	}
	// A group may have no more than the group above. So time is given from the
	// top down, and taken from the bottom up.
	var dirs []string
	for dir := t.dir; dir != t.root; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
	}
	for i := range dirs {
		dir := dirs[i]
		if more > 0 {
			dir = dirs[len(dirs)-1-i]
		}
		path := filepath.Join(dir, runtimeFile)
		err := write(path, strconv.FormatInt(max(0, readInt(path)+more), 10))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return &sys.OpError{Op: fmt.Sprintf("allow %v of real time in", runtime), Target: dir, Err: err,
				Hint: "the groups above have less than that left in each second"}
		}
	}
	return nil
}
