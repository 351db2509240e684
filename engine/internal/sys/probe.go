package sys

import (
	"errors"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Release is the kernel's release, as uname(2) gives it.
func Release() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// LandlockABI is the version of the Landlock interface (landlock(7)); 0 where
// the kernel has none or it is switched off.
func LandlockABI() int {
	n, _, err := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if err != 0 {
		return 0
	}
	return int(n)
}

// LSMs names the security modules that are active, in the kernel's order. They
// are read from securityfs, on a mount of our own that is attached nowhere, so
// that it does not matter whether the host mounts it.
func LSMs() ([]string, error) {
	fd, err := NewMount("securityfs", 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	file, err := unix.Openat(fd, "lsm", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, Op("read", "securityfs/lsm", err)
	}
	f := os.NewFile(uintptr(file), "lsm")
	defer f.Close()
	var buf [1024]byte
	n, err := f.Read(buf[:])
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSpace(string(buf[:n])), ","), nil
}

// The probes below call with arguments that do nothing and look only at
// whether the kernel knows the call. A filter such as a container's may refuse
// a call that the kernel has: that error comes back as it is.

// ProbeClone3 says whether clone3(2) can be called.
func ProbeClone3() error {
	_, _, e := unix.RawSyscall(unix.SYS_CLONE3, 0, 0, 0)
	return known(e, EINVAL)
}

// ProbeOpenat2 says whether openat2(2) can be called.
func ProbeOpenat2() error {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// ProbePidfdGetfd says whether pidfd_getfd(2) can be called.
func ProbePidfdGetfd() error {
	_, err := unix.PidfdGetfd(-1, -1, 0)
	return known(err, unix.EBADF)
}

// ProbePidfdInfo says whether a pidfd answers PIDFD_GET_INFO (6.13). The exit
// status of a process that is no child came to it in 6.15 and cannot be probed
// on a living process: the release decides that part.
func ProbePidfdInfo() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var info pidfdInfo
	const size = unsafe.Sizeof(info)
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(3<<30|size<<16|0xff<<8|11), uintptr(unsafe.Pointer(&info)))
	return known(e, nil)
}

// ProbeSeccomp says whether seccomp filters can be installed.
func ProbeSeccomp() error {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return known(e, nil)
}

// known is nil when err is the answer of a kernel that has the call.
func known(err, want error) error {
	if e, ok := err.(unix.Errno); ok && e == 0 {
		return nil
	}
	if want != nil && errors.Is(err, want) {
		return nil
	}
	return err
}

// ProbeIDMap says whether mounts of the file system that dir lies on can be
// id-mapped (mount_setattr(2)), by id-mapping a copy of its mount that is
// attached nowhere. userns is any user namespace but the host's.
func ProbeIDMap(dir string, userns *os.File) error {
	fd, err := OpenTree(unix.AT_FDCWD, dir)
	if err != nil {
		return Op("copy mount", dir, err)
	}
	defer unix.Close(fd)
	return Op("id-map a mount of", dir, SetMountAttr(fd, 0, int(userns.Fd())))
}

// ProbeReflink says whether files in dir can share their data (FICLONE), with
// two files that never have a name (O_TMPFILE). The source holds one block,
// because some file systems accept to share nothing.
func ProbeReflink(dir string) error {
	var fds [2]int
	for i := range fds {
		fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return Op("make a file in", dir, err)
		}
		defer unix.Close(fd)
		fds[i] = fd
	}
	if _, err := unix.Pwrite(fds[0], make([]byte, 4096), 0); err != nil {
		return Op("write a file in", dir, err)
	}
	return Op("reflink in", dir, CloneFile(fds[1], fds[0]))
}
