package sys

import (
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls that child programs are made of. Only calls that every
// architecture has: mkdirat and not mkdir.
const (
	NrMount         = unix.SYS_MOUNT
	NrUmount        = unix.SYS_UMOUNT2
	NrMkdirat       = unix.SYS_MKDIRAT
	NrMknodat       = unix.SYS_MKNODAT
	NrSymlinkat     = unix.SYS_SYMLINKAT
	NrReadlinkat    = unix.SYS_READLINKAT
	NrUnlinkat      = unix.SYS_UNLINKAT
	NrLinkat        = unix.SYS_LINKAT
	NrRenameat2     = unix.SYS_RENAMEAT2
	NrOpenat        = unix.SYS_OPENAT
	NrOpenat2       = unix.SYS_OPENAT2
	NrClose         = unix.SYS_CLOSE
	NrRead          = unix.SYS_READ
	NrWrite         = unix.SYS_WRITE
	NrFstat         = unix.SYS_FSTAT
	NrStatx         = unix.SYS_STATX
	NrGetdents64    = unix.SYS_GETDENTS64
	NrFaccessat     = unix.SYS_FACCESSAT
	NrFchmod        = unix.SYS_FCHMOD
	NrFchmodat      = unix.SYS_FCHMODAT
	NrFchown        = unix.SYS_FCHOWN
	NrFchownat      = unix.SYS_FCHOWNAT
	NrFtruncate     = unix.SYS_FTRUNCATE
	NrUtimensat     = unix.SYS_UTIMENSAT
	NrChdir         = unix.SYS_CHDIR
	NrFchdir        = unix.SYS_FCHDIR
	NrChroot        = unix.SYS_CHROOT
	NrPivotRoot     = unix.SYS_PIVOT_ROOT
	NrUnshare       = unix.SYS_UNSHARE
	NrSetns         = unix.SYS_SETNS
	NrSethostname   = unix.SYS_SETHOSTNAME
	NrSetdomainname = unix.SYS_SETDOMAINNAME
	NrSetsid        = unix.SYS_SETSID
	NrSetpgid       = unix.SYS_SETPGID
	NrSetgroups     = unix.SYS_SETGROUPS
	NrSetresgid     = unix.SYS_SETRESGID
	NrSetresuid     = unix.SYS_SETRESUID
	NrPrlimit64     = unix.SYS_PRLIMIT64
	NrSetpriority   = unix.SYS_SETPRIORITY
	NrSetscheduler  = unix.SYS_SCHED_SETSCHEDULER
	NrPrctl         = unix.SYS_PRCTL
	NrSeccomp       = unix.SYS_SECCOMP
	NrLandlock      = unix.SYS_LANDLOCK_RESTRICT_SELF
	NrDup3          = unix.SYS_DUP3
	NrCloseRange    = unix.SYS_CLOSE_RANGE
	NrSocket        = unix.SYS_SOCKET
	NrIoctl         = unix.SYS_IOCTL
	NrUmask         = unix.SYS_UMASK
	NrExecve        = unix.SYS_EXECVE
	NrExecveat      = unix.SYS_EXECVEAT
	NrGetpid        = unix.SYS_GETPID
	NrSync          = unix.SYS_SYNC
	NrExitGroup     = unix.SYS_EXIT_GROUP
	NrMoveMount     = unix.SYS_MOVE_MOUNT
	NrOpenTree      = unix.SYS_OPEN_TREE
	NrMountSetattr  = unix.SYS_MOUNT_SETATTR
	NrRtSigaction   = unix.SYS_RT_SIGACTION
	NrRtSigprocmask = unix.SYS_RT_SIGPROCMASK
)

// Constants for child programs.
const (
	CLONE_NEWCGROUP = unix.CLONE_NEWCGROUP
	CLONE_NEWIPC    = unix.CLONE_NEWIPC
	CLONE_NEWNET    = unix.CLONE_NEWNET
	CLONE_NEWNS     = unix.CLONE_NEWNS
	CLONE_NEWPID    = unix.CLONE_NEWPID
	CLONE_NEWTIME   = unix.CLONE_NEWTIME
	CLONE_NEWUSER   = unix.CLONE_NEWUSER
	CLONE_NEWUTS    = unix.CLONE_NEWUTS

	AT_FDCWD            = unix.AT_FDCWD
	AT_EMPTY_PATH       = unix.AT_EMPTY_PATH
	AT_REMOVEDIR        = unix.AT_REMOVEDIR
	AT_SYMLINK_NOFOLLOW = unix.AT_SYMLINK_NOFOLLOW

	PR_SET_DUMPABLE     = unix.PR_SET_DUMPABLE
	PR_CAPBSET_DROP     = unix.PR_CAPBSET_DROP
	PR_SET_NO_NEW_PRIVS = unix.PR_SET_NO_NEW_PRIVS

	CLOSE_RANGE_CLOEXEC     = unix.CLOSE_RANGE_CLOEXEC
	SECCOMP_SET_MODE_FILTER = unix.SECCOMP_SET_MODE_FILTER

	MNT_DETACH = unix.MNT_DETACH

	SIG_SETMASK = unix.SIG_SETMASK
	Signals     = 64 // the last one's number

	SIGKILL = int(unix.SIGKILL)
	SIGTERM = int(unix.SIGTERM)
	SIGINT  = int(unix.SIGINT)
	SIGHUP  = int(unix.SIGHUP)
	SIGQUIT = int(unix.SIGQUIT)
	SIGTSTP = int(unix.SIGTSTP)
	SIGSTOP = int(unix.SIGSTOP)

	SIOCSIFFLAGS = unix.SIOCSIFFLAGS
	TIOCSPTLCK   = unix.TIOCSPTLCK
	TIOCGPTPEER  = unix.TIOCGPTPEER
	TIOCSCTTY    = unix.TIOCSCTTY
)

// Open flags, as openat(2) takes them.
const (
	O_RDONLY    = unix.O_RDONLY
	O_WRONLY    = unix.O_WRONLY
	O_RDWR      = unix.O_RDWR
	O_CREAT     = unix.O_CREAT
	O_EXCL      = unix.O_EXCL
	O_TRUNC     = unix.O_TRUNC
	O_APPEND    = unix.O_APPEND
	O_NONBLOCK  = unix.O_NONBLOCK
	O_NOCTTY    = unix.O_NOCTTY
	O_CLOEXEC   = unix.O_CLOEXEC
	O_NOFOLLOW  = unix.O_NOFOLLOW
	O_DIRECTORY = unix.O_DIRECTORY
	O_PATH      = unix.O_PATH
)

// Gettid is the calling thread's id: the process's own id on its main thread.
func Gettid() int { return unix.Gettid() }

// Getpid is the process's id.
func Getpid() int { return unix.Getpid() }

// DupAbove duplicates fd to the lowest free number that is at least min,
// close-on-exec (fcntl(2), F_DUPFD_CLOEXEC).
func DupAbove(fd, min int) (int, error) {
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, min)
}

// CloseFD closes a bare descriptor.
func CloseFD(fd int) { _ = unix.Close(fd) }

// PipeFDs makes a close-on-exec pipe of bare, blocking descriptors.
func PipeFDs() (r, w int, err error) {
	var p [2]int
	err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	return p[0], p[1], err
}

// ReadReport reads one report of a forked child; io.EOF-like ends give ok
// false. It blocks the thread.
func ReadReport(fd int) (r ForkReport, ok bool, err error) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(&r)), ForkReportSize)
	ok, err = ReadFull(fd, b)
	return r, ok, err
}

// ReadFull reads len(b) bytes; ok is false at a clean end of file.
func ReadFull(fd int, b []byte) (ok bool, err error) {
	for at := 0; at < len(b); {
		n, err := unix.Read(fd, b[at:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false, err
		}
		if n == 0 {
			return false, nil
		}
		at += n
	}
	return true, nil
}

// WriteFD writes all of b to a bare descriptor.
func WriteFD(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// Setns joins namespaces of the calling thread (setns(2)); fd may be a pidfd.
func Setns(fd int, flags int) error { return unix.Setns(fd, flags) }

// UnshareTimeNS makes a time namespace for the children of the calling thread
// in which the monotonic and the boot-time clock start at zero
// (time_namespaces(7)). The thread must be locked and discarded afterwards.
func UnshareTimeNS() error {
	if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
		return err
	}
	var mono, boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono); err != nil {
		return err
	}
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return err
	}
	text := "monotonic " + negated(mono) + "\nboottime " + negated(boot) + "\n"
	return writeProc("/proc/"+strconv.Itoa(unix.Gettid())+"/timens_offsets", text)
}

// negated writes -t as seconds and a nanosecond part that is not negative.
func negated(t unix.Timespec) string {
	sec, nsec := -t.Sec, -t.Nsec
	if nsec < 0 {
		sec, nsec = sec-1, nsec+1e9
	}
	return fmt.Sprintf("%d %d", sec, nsec)
}

// WriteIDMaps gives the child pid the user and group ids base..base+size-1 as
// its 0..size-1 (user_namespaces(7)).
func WriteIDMaps(pid int, base, size uint32) error {
	text := fmt.Sprintf("0 %d %d\n", base, size)
	for _, name := range []string{"uid_map", "gid_map"} {
		if err := writeProc("/proc/"+strconv.Itoa(pid)+"/"+name, text); err != nil {
			return err
		}
	}
	return nil
}

func writeProc(path, text string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// OpenNull opens /dev/null for reading and writing.
func OpenNull() (int, error) {
	return unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
}

// SetNonblock makes a descriptor non-blocking.
func SetNonblock(fd int) error { return unix.SetNonblock(fd, true) }

// HardLimit is our hard limit of a resource (getrlimit(2)).
func HardLimit(resource int) (uint64, error) {
	var r unix.Rlimit
	err := unix.Getrlimit(resource, &r)
	return r.Max, err
}

// Errors and calls that processes inside a guest meet.
const (
	EDQUOT = unix.EDQUOT
	EFBIG  = unix.EFBIG

	NrKeyctl = unix.SYS_KEYCTL
)
