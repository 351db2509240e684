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

// EndSignals ask a program to end, and PassedSignals are all that whoever runs a
// command somewhere else gets in its stead.
var (
	EndSignals    = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT}
	PassedSignals = append([]os.Signal{unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGTSTP, unix.SIGCONT}, EndSignals...)
)

// TerminalStop is the signal of the key that stops a job.
const TerminalStop = unix.SIGTSTP

// StopSelf stops this process until it is told to go on.
func StopSelf() { _ = unix.Kill(unix.Getpid(), unix.SIGSTOP) }

// SignalNumber is a signal's number, 0 where it has none.
func SignalNumber(s os.Signal) int {
	if n, ok := s.(unix.Signal); ok {
		return int(n)
	}
	return 0
}
