package sys

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// HarmlessInput tells whether a guest may hold what f is open on to read: a
// pipe, the null device, or a regular file. With any of them a command takes
// just what it reads, as it would on the host. A terminal or a socket has two
// directions, and more that can be done to it.
func HarmlessInput(f *os.File) bool {
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return false
	}
	return readOnly(f) && st.Mode&unix.S_IFMT == unix.S_IFREG || passable(&st)
}

// HarmlessOutput tells whether a guest may hold what f is open on to write: a
// pipe or the null device.
func HarmlessOutput(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && passable(&st)
}

func passable(st *unix.Stat_t) bool {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return true
	case unix.S_IFCHR:
		return st.Rdev == unix.Mkdev(1, 3)
	}
	return false
}

func readOnly(f *os.File) bool {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE == unix.O_RDONLY
}

// IgnoreTerminalInput makes reading from a terminal of which we are a background
// job fail with EIO, where it would stop us (SIGTTIN, signal(7)).
func IgnoreTerminalInput() { signal.Ignore(unix.SIGTTIN) }
