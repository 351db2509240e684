package sys

import (
	"errors"
	"os"
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Every process inherits from its starter much that nobody thinks of. What is here
// puts back what a process has that the kernel itself began, so that what vsl starts
// is the same from a terminal, from cron, and from a service with a nice value.
//
// Not to be put back: no_new_privs, seccomp filters, a Landlock domain, MDWE and the
// audit login id, which the kernel keeps for good.

// DefaultRlimits are the resource limits of a process of a guest, by the names of
// Rlimits: the kernel's own (INIT_RLIMITS), with as many open files as systemd
// gives, and without those that depend on the size of the host. Soft, then hard.
var DefaultRlimits = map[string][2]int64{
	"as": {-1, -1}, "core": {0, -1}, "cpu": {-1, -1}, "data": {-1, -1}, "fsize": {-1, -1}, "locks": {-1, -1},
	"memlock": {8 << 20, 8 << 20}, "msgqueue": {819200, 819200}, "nice": {0, 0}, "nofile": {1024, 524288},
	"nproc": {-1, -1}, "rss": {-1, -1}, "rtprio": {0, 0}, "rttime": {-1, -1}, "sigpending": {16384, 16384},
	"stack": {8 << 20, -1},
}

// nsRlimits are those that a user namespace is bounded by as a whole, by what its
// maker had when it made it (user_namespaces: ucount.h, UCOUNT_RLIMIT_COUNTS).
var nsRlimits = []string{"nproc", "msgqueue", "sigpending", "memlock"}

// DefaultRlimit gives a process the default of one limit. Above what a root without
// CAP_SYS_RESOURCE may give, it is what it may.
func DefaultRlimit(owner uint32, pid int, name string) error {
	d := DefaultRlimits[name]
	err := Prlimit(owner, pid, Rlimits[name], d[0], d[1])
	if !errors.Is(err, EPERM) {
		return err
	}
	var now unix.Rlimit
	if err := prlimit(owner, pid, Rlimits[name], nil, &now); err != nil {
		return err
	}
	hard := min(now.Max, uint64(d[1]))
	return Prlimit(owner, pid, Rlimits[name], int64(min(hard, uint64(d[0]))), int64(hard))
}

// plainProcess does once for this process what its children inherit from it as a
// whole: what belongs to the memory of each process, and the limits of user
// namespaces that it makes. None of it matters to vsl itself.
var plainProcess = sync.OnceFunc(func() {
	for _, name := range nsRlimits {
		_ = DefaultRlimit(0, 0, name)
	}
	_ = unix.Prctl(unix.PR_SET_THP_DISABLE, 0, 0, 0, 0)
	_ = unix.Prctl(unix.PR_SET_MEMORY_MERGE, 0, 0, 0, 0)
	_ = os.WriteFile("/proc/self/coredump_filter", []byte("0x33"), 0) // core(5)
})

// PlainThread gives the calling thread, which must be locked and discarded
// afterwards, the scheduling and the other properties of threads that its children
// are to begin with. What a host does not have or does not let us do stays.
func PlainThread() {
	plainProcess()
	other := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
	_ = unix.SchedSetAttr(0, &other, 0) // and the nice value, 0
	all := allCPUs
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(all), uintptr(unsafe.Pointer(&all)))
	const whoProcess, slack = 1, 50_000                              // linux/ioprio.h; prctl(2), PR_SET_TIMERSLACK
	_, _, _ = unix.RawSyscall(unix.SYS_IOPRIO_SET, whoProcess, 0, 0) // no class: that of the nice value
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, slack, 0, 0, 0)
	_, _, _ = unix.RawSyscall(unix.SYS_PERSONALITY, 0, 0, 0)
	_, _, _ = unix.RawSyscall(unix.SYS_SET_MEMPOLICY, 0, 0, 0) // MPOL_DEFAULT
	_ = unix.Prctl(unix.PR_MCE_KILL, unix.PR_MCE_KILL_CLEAR, 0, 0, 0)
}

// allCPUs is more than any host has; the kernel leaves those to a thread that its
// cpuset has.
var allCPUs = func() (set [8192 / 64]uint64) {
	for i := range set {
		set[i] = ^uint64(0)
	}
	return set
}()

// PlainOOM gives a process the middle of all oom_score_adj, and bars it from less.
func PlainOOM(pid int) error {
	err := writeProc("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", "0")
	if errors.Is(err, EACCES) { // no CAP_SYS_RESOURCE, and our own is not to go below more than that
		return nil
	}
	return err
}
