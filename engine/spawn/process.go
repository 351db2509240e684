package spawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"vsl/engine/internal/sys"
)

// Status is how a process ended: by exit with Code, or by Signal.
type Status sys.ExitStatus

func (s Status) String() string {
	if s.Signal != 0 {
		return fmt.Sprintf("killed by signal %d", s.Signal)
	}
	return fmt.Sprintf("exit status %d", s.Code)
}

// ShellCode is the status as a shell gives it: the code, or 128 + the signal.
func (s Status) ShellCode() int {
	if s.Signal != 0 {
		return 128 + s.Signal
	}
	return s.Code
}

// Process is a started child. Close must be called; it does not end the child.
type Process struct {
	PID    int // in our pid namespace
	file   *os.File
	raw    int
	mu     sync.Mutex // of status: once it is known the PID may be another's
	status *Status
}

func newProcess(pid, pidfd int) *Process {
	_ = sys.SetNonblock(pidfd) // so that the runtime polls on it
	return &Process{PID: pid, raw: pidfd, file: sys.PidfdFile(pidfd)}
}

// PidFD is the child's pidfd; it stays the Process's.
func (p *Process) PidFD() int { return p.raw }

// Signal sends a signal to the child, and to no other process that may have
// got its number since.
func (p *Process) Signal(sig int) error {
	return sys.Op("signal", fmt.Sprint(p.PID), sys.PidfdSignal(p.raw, sig))
}

// SignalGroup sends a signal to the child's process group, which is its own if it
// has made a session. Once the child was reaped it is ESRCH.
func (p *Process) SignalGroup(sig int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status != nil {
		return sys.Op("signal", fmt.Sprint(p.PID), sys.ESRCH)
	}
	return sys.Op("signal", fmt.Sprint(p.PID), sys.Kill(-p.PID, sig))
}

// Wait waits for the child's end and reaps it. It returns early with the
// context's error. It may be called again, but not by two goroutines at once.
func (p *Process) Wait(ctx context.Context) (Status, error) {
	if p.status != nil {
		return *p.status, nil
	}
	var (
		st  sys.ExitStatus
		err error
	)
	perr := poll(ctx, p.file, func(fd int) (done bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if st, done, err = sys.WaitPidfd(fd, false); done {
			p.status = (*Status)(&st)
		}
		return done || err != nil
	})
	if perr != nil {
		return Status{}, perr
	}
	if err != nil {
		return Status{}, sys.Op("wait for", fmt.Sprint(p.PID), err)
	}
	return Status(st), nil
}

// Close releases the pidfd.
func (p *Process) Close() error { return p.file.Close() }

// poll calls ready when the file may have become readable, until it says true
// or the context ends.
func poll(ctx context.Context, f *os.File, ready func(fd int) bool) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if err := f.SetReadDeadline(time.Time{}); err != nil {
		return sys.Op("poll on", "a process", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	err = conn.Read(func(fd uintptr) bool { return ready(int(fd)) })
	stop()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}

// WaitPID waits for the end of a process that need not be our child. known
// says whether its status could be learnt: only from Linux 6.15, and only once
// its parent has reaped it, for which WaitPID waits a second.
func WaitPID(ctx context.Context, pid int, startTime uint64) (st Status, known bool, err error) {
	fd, err := sys.PidfdOpen(pid, true)
	if err == sys.ESRCH {
		return st, false, nil
	}
	if err != nil {
		return st, false, sys.Op("open process", fmt.Sprint(pid), err)
	}
	f := sys.PidfdFile(fd)
	defer f.Close()
	if same, err := sys.SameProcess(pid, startTime, fd); err != nil || !same {
		return st, false, err
	}
	var aliveErr error
	err = poll(ctx, f, func(fd int) bool {
		alive, err := sys.ProcessAlive(fd)
		aliveErr = err
		return !alive || err != nil
	})
	if err = errors.Join(err, aliveErr); err != nil {
		return st, false, err
	}
	for wait := time.Millisecond; wait < 600*time.Millisecond; wait *= 2 {
		st, known, err := sys.PidfdExit(fd)
		if known || err != nil {
			return Status(st), known, sys.Op("read", "the exit status", err)
		}
		select {
		case <-ctx.Done():
			return Status{}, false, nil
		case <-time.After(wait):
		}
	}
	return Status{}, false, nil
}
