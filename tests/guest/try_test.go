package guest

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func addrOf(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

func errname(err error) string {
	if err == nil {
		return "ok"
	}
	var e syscall.Errno
	if errors.As(err, &e) {
		return unix.ErrnoName(e)
	}
	return err.Error()
}

func sysno(nr uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	_, _, e := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if e != 0 {
		return e
	}
	return nil
}
