package sys

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Error numbers that a guest's seccomp filter answers with.
const (
	EAFNOSUPPORT    = unix.EAFNOSUPPORT
	EPROTONOSUPPORT = unix.EPROTONOSUPPORT
	ENOPROTOOPT     = unix.ENOPROTOOPT
	ESOCKTNOSUPPORT = unix.ESOCKTNOSUPPORT
)

// LandlockAbstractScope makes a Landlock ruleset that does one thing: abstract
// UNIX sockets of processes outside cannot be reached. It forbids neither
// mounts nor paths. Needs ABI 6; elsewhere the error is a NotSupported.
func LandlockAbstractScope() (*os.File, error) {
	attr := struct{ fs, net, scoped uint64 }{scoped: unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	runtime.KeepAlive(&attr)
	switch errno {
	case 0:
		return os.NewFile(fd, "landlock"), nil
	case unix.ENOSYS, unix.EOPNOTSUPP, unix.EINVAL, unix.E2BIG, unix.ENOMSG:
		return nil, &NotSupported{Feature: "landlock scope", Since: "6.12", Remedy: "boot with lsm=landlock,... on Linux 6.12 or later"}
	}
	return nil, errno
}

// SealedExecutable makes a file in memory that holds an executable and can
// never change. It can be executed by everybody and read by nobody but root of
// the namespace that owns it.
func SealedExecutable(name string, data []byte) (*os.File, error) {
	flags := unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if err == unix.EINVAL { // before 6.3 all are executable
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err = f.Write(data); err == nil {
		if err = unix.Fchmod(fd, 0o111); err == nil {
			_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
