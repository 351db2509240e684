package engine

import (
	"context"
	"errors"
	"time"

	"vsl/engine/internal/sys"
)

// hangupGrace is how long a command whose terminal went away may take to end.
const hangupGrace = 2 * time.Second

// listen passes signals on to the command until done.
func (x *execution) listen(done <-chan struct{}) {
	for {
		select {
		case sig := <-x.args.Signals:
			x.signal(sig)
		case <-done:
			return
		}
	}
}

func (x *execution) signal(sig int) {
	x.mu.Lock()
	if sig == sys.SIGTERM || sig == sys.SIGINT {
		x.urgent++
	}
	again, proc := x.urgent > 1, x.proc
	x.mu.Unlock()
	switch {
	case proc == nil:
		if ends(sig) {
			x.over(&Signalled{sig})
		}
	case again:
		x.kill()
	case x.args.TTY == nil:
		if sig == sys.SIGTSTP { // the kernel spares a session that has no parent in its own (setpgid(2))
			sig = sys.SIGSTOP
		}
		_ = proc.SignalGroup(sig) // ESRCH: it has ended meanwhile
	case ends(sig):
		x.hangUp()
	}
}

// ends tells whether a signal is one by which a program is told to end.
func ends(sig int) bool {
	return sig == sys.SIGTERM || sig == sys.SIGINT || sig == sys.SIGHUP || sig == sys.SIGQUIT
}

// hangUp takes the command's terminal away, which ends its session as on any
// host, and kills it if it goes on all the same.
func (x *execution) hangUp() {
	x.pty.Close()
	time.AfterFunc(hangupGrace, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		_ = x.proc.SignalGroup(sys.SIGKILL)
	})
}

// kill ends the command and whatever it started, also what has left its session.
func (x *execution) kill() {
	x.mu.Lock()
	x.killed = true
	proc := x.proc
	x.mu.Unlock()
	_ = proc.SignalGroup(sys.SIGKILL)
	_ = proc.Signal(sys.SIGKILL)
	grp := x.command.Group()
	if grp == nil {
		return
	}
	if err := grp.Kill(); err != nil {
		x.g.e.log.Warn().Str("guest", x.g.spec.Name).Err(err).Msg("what the command started may go on")
		return
	}
	wait, done := context.WithTimeout(context.Background(), reapGrace)
	defer done()
	_ = grp.WaitEmpty(wait)
}

// orEnding is err, or that the guest is going down where that is why: a pid 1 that
// is about to end has no namespaces any more that could be joined.
func (g *guest) orEnding(pid int, err error) error {
	if err == nil || errors.Is(err, ErrNotRunning) || !sys.Ending(pid) {
		return err
	}
	return &OpError{Op: "join guest", Target: g.spec.Name, Err: errGoingDown}
}
