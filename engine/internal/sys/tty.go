package sys

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// OpenPollable opens what f is open on once more, non-blocking, so that Close
// ends a Read on it. f keeps its own mode: for a terminal or a pipe, O_NONBLOCK
// on f itself would be shared with whoever else has it open.
func OpenPollable(f *os.File) (*os.File, error) {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, Op("open again", f.Name(), err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// IsTerminal tells whether f is open on a terminal.
func IsTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
