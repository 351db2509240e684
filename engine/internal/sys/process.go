package sys

import (
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rlimits maps the names of getrlimit(2), in lower case without their prefix,
// to the kernel's numbers.
var Rlimits = map[string]int{
	"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA,
	"fsize": unix.RLIMIT_FSIZE, "locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK,
	"msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE, "nofile": unix.RLIMIT_NOFILE,
	"nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
	"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
}

// Scarce tells whether a call failed for want of descriptors or memory: that says
// nothing of what it was made on.
func Scarce(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

// NoFile is how many files this process may have open.
func NoFile() int {
	var now unix.Rlimit
	if unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &now) != nil || now.Cur > 1<<30 {
		return 1 << 30
	}
	return int(now.Cur)
}

// SchedPolicies maps the names of sched(7) to the kernel's numbers.
var SchedPolicies = map[string]int{"other": 0, "fifo": 1, "rr": 2, "batch": 3, "idle": 5}

// Prlimit sets a resource limit of a process in a user namespace that belongs to
// owner (OwnAs); -1 is infinity. A root without CAP_SYS_RESOURCE may do so as the
// owner only.
func Prlimit(owner uint32, pid, resource int, soft, hard int64) error {
	return prlimit(owner, pid, resource, &unix.Rlimit{Cur: uint64(soft), Max: uint64(hard)}, nil)
}

func prlimit(owner uint32, pid, resource int, to, was *unix.Rlimit) error {
	set := func() error { return unix.Prlimit(pid, resource, to, was) }
	err := set()
	if err != unix.EPERM {
		return err
	}
	runtime.LockOSThread()
	restore, err := OwnAs(owner)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = set()
	if rerr := restore(); rerr != nil {
		return rerr // the thread stays locked, so that nobody else gets it
	}
	runtime.UnlockOSThread()
	return err
}

// SetNice sets the niceness of a process and its threads that share its pid.
func SetNice(pid, nice int) error { return unix.Setpriority(unix.PRIO_PROCESS, pid, nice) }

// SetScheduler sets the policy of a process (sched_setscheduler(2)).
func SetScheduler(pid, policy, priority int) error {
	prio := int32(priority)
	_, _, errno := unix.Syscall(unix.SYS_SCHED_SETSCHEDULER, uintptr(pid), uintptr(policy), uintptr(unsafe.Pointer(&prio)))
	if errno != 0 {
		return errno
	}
	return nil
}

// Kill sends a signal to a process by its number. Use it only where the number
// cannot have passed to another process, as for one's own children.
func Kill(pid int, sig int) error { return unix.Kill(pid, unix.Signal(sig)) }

// SignalProcess sends a signal to a process after check has confirmed that the
// pid still is the process meant: its pidfd is opened first, so that a pid that
// passed to another process in between is never hit.
func SignalProcess(pid, sig int, check func() bool) error {
	fd, err := PidfdOpen(pid, false)
	if err != nil {
		return err
	}
	defer CloseFD(fd)
	if !check() {
		return ESRCH
	}
	return PidfdSignal(fd, sig)
}
