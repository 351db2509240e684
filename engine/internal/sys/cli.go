package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// Terminate, Resize and BrokenPipe are SIGTERM, SIGWINCH and SIGPIPE for os/signal.
const (
	Terminate  = unix.SIGTERM
	Resize     = unix.SIGWINCH
	BrokenPipe = unix.SIGPIPE
)

// SignalNumber is a signal's number, 0 where it has none.
func SignalNumber(s os.Signal) int {
	if n, ok := s.(unix.Signal); ok {
		return int(n)
	}
	return 0
}
