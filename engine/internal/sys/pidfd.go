package sys

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PidfdOpen opens a process (pidfd_open(2)). With nonblock the descriptor is
// one that the runtime can poll on: it becomes readable when the process ends.
func PidfdOpen(pid int, nonblock bool) (int, error) {
	flags := 0
	if nonblock {
		flags = unix.PIDFD_NONBLOCK
	}
	return unix.PidfdOpen(pid, flags)
}

// PidfdSignal sends a signal; 0 only asks whether the process still exists.
func PidfdSignal(fd, sig int) error {
	return unix.PidfdSendSignal(fd, unix.Signal(sig), nil, 0)
}

// PidfdGetFD duplicates a descriptor of another process (pidfd_getfd(2)).
func PidfdGetFD(pidfd, fd int) (int, error) { return unix.PidfdGetfd(pidfd, fd, 0) }

// ProcessAlive tells whether the process behind a pidfd has not ended yet. A
// zombie has ended.
func ProcessAlive(pidfd int) (bool, error) {
	p := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	for err == unix.EINTR {
		n, err = unix.Poll(p, 0)
	}
	return n == 0, err
}

// ExitStatus is how a process ended: by exit with Code, or by Signal.
type ExitStatus struct {
	Code   int
	Signal int
	Core   bool
}

// siginfoChild is siginfo_t as waitid(2) fills it on 64-bit machines.
type siginfoChild struct {
	signo, errno, code int32
	_                  int32
	pid, uid, status   int32
	_                  [100]byte
}

// WaitPidfd asks without blocking for the end of a child and reaps it unless
// keep is set. done is false while it runs. ECHILD means that it is not ours or
// was reaped before.
func WaitPidfd(pidfd int, keep bool) (st ExitStatus, done bool, err error) {
	var info siginfoChild
	options := unix.WEXITED | unix.WNOHANG
	if keep {
		options |= unix.WNOWAIT
	}
	err = Retry(func() error {
		_, _, e := unix.Syscall6(unix.SYS_WAITID, unix.P_PIDFD, uintptr(pidfd), uintptr(unsafe.Pointer(&info)), uintptr(options), 0, 0)
		if e != 0 {
			return e
		}
		return nil
	})
	runtime.KeepAlive(&info)
	if err == unix.EAGAIN { // what a non-blocking pidfd says instead of nothing
		return st, false, nil
	}
	if err != nil || info.pid == 0 {
		return st, false, err
	}
	const cldExited, cldDumped = 1, 3
	if info.code == cldExited {
		st.Code = int(info.status)
	} else {
		st.Signal = int(info.status)
		st.Core = info.code == cldDumped
	}
	return st, true, nil
}

// PidfdFile makes a pidfd an *os.File that the runtime polls on, if it was
// opened non-blocking.
func PidfdFile(fd int) *os.File { return os.NewFile(uintptr(fd), "pidfd") }

// pidfdInfo is struct pidfd_info of linux/pidfd.h.
type pidfdInfo struct {
	mask, cgroupid                                                            uint64
	pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid, status uint32
}

// PidfdExit is the exit status of any process that has been reaped, child or
// not (ioctl PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15). known is false
// while it runs, while it is a zombie, and on older kernels.
func PidfdExit(pidfd int) (st ExitStatus, known bool, err error) {
	const infoExit = 1 << 3
	info := pidfdInfo{mask: infoExit}
	// _IOWR(0xFF, 11, struct pidfd_info)
	const size = unsafe.Sizeof(info)
	req := uintptr(3<<30 | size<<16 | 0xff<<8 | 11)
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(pidfd), req, uintptr(unsafe.Pointer(&info)))
	runtime.KeepAlive(&info)
	switch {
	case e == unix.ENOTTY || e == unix.EINVAL || e == unix.ESRCH:
		return st, false, nil
	case e != 0:
		return st, false, e
	case info.mask&infoExit == 0:
		return st, false, nil
	}
	w := unix.WaitStatus(info.status)
	if w.Signaled() {
		return ExitStatus{Signal: int(w.Signal()), Core: w.CoreDump()}, true, nil
	}
	return ExitStatus{Code: w.ExitStatus()}, true, nil
}

// ReapPidfd waits for a child's end and reaps it. It blocks the thread.
func ReapPidfd(pidfd int) (ExitStatus, error) {
	for {
		st, done, err := WaitPidfd(pidfd, false)
		if done || err != nil {
			return st, err
		}
		p := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err != nil && err != unix.EINTR {
			return st, err
		}
	}
}

// StartTime is when a process began, in clock ticks since boot (proc(5),
// stat, field 22). With its pid it names a process for good, within one boot.
func StartTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStartTime(b)
}

// parseStartTime finds field 22. The command in field 2 may hold anything,
// also blanks and parentheses, so counting begins behind the last one.
func parseStartTime(stat []byte) (uint64, error) {
	rest := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const field = 22 - 3
	if len(rest) <= field {
		return 0, fmt.Errorf("process status %q is too short", stat)
	}
	return strconv.ParseUint(rest[field], 10, 64)
}

// Ending tells whether a process has ended or has begun to (proc(5), stat, fields 3
// and 9): from then on its namespaces cannot be joined.
func Ending(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || parseEnding(b)
}

func parseEnding(stat []byte) bool {
	const exiting = 0x4 // PF_EXITING of linux/sched.h
	rest := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(rest) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(rest[6], 10, 64)
	return rest[0] == "Z" || rest[0] == "X" || err == nil && flags&exiting != 0
}

// SameProcess tells whether pid is the process that began at startTime (0: any)
// and whether pidfd is it. The pidfd must have been opened before.
func SameProcess(pid int, startTime uint64, pidfd int) (bool, error) {
	if startTime != 0 {
		t, err := StartTime(pid)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			return false, nil
		}
		if err != nil || t != startTime {
			return false, err
		}
	}
	// alive now: so the number was not given away since the pidfd was opened
	return ProcessAlive(pidfd)
}

// OtherNamespaces tells which namespaces of a process differ from ours, as
// CLONE_NEW... flags; the pid namespace is left out, it is joined otherwise.
func OtherNamespaces(pid int) (int, error) {
	kinds := map[string]int{
		"user": unix.CLONE_NEWUSER, "mnt": unix.CLONE_NEWNS, "uts": unix.CLONE_NEWUTS, "ipc": unix.CLONE_NEWIPC,
		"net": unix.CLONE_NEWNET, "cgroup": unix.CLONE_NEWCGROUP, "time": unix.CLONE_NEWTIME,
	}
	flags := 0
	for name, flag := range kinds {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
		if err != nil {
			return 0, err
		}
		ours, err := os.Readlink("/proc/self/ns/" + name)
		if err != nil {
			return 0, err
		}
		if ours != theirs {
			flags |= flag
		}
	}
	return flags, nil
}
