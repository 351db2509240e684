package spawn

import (
	"fmt"

	"vsl/engine/internal/sys"
)

// Join is an open guest: what a child needs to become one of its processes.
type Join struct {
	PID   int // of the guest's init
	pidfd int
	flags int // namespaces that are not ours
}

// OpenJoin opens a guest by the pid and start time (field 22 of
// /proc/pid/stat, clock ticks since boot) of its init; 0 does not check the
// start time. ESRCH says that this very process is gone, whoever has its pid
// now. Close must be called.
//
// A child that joins has its own Landlock domain: abstract UNIX sockets of the
// guest's init and its own do not reach each other.
func OpenJoin(pid int, startTime uint64) (*Join, error) {
	target := fmt.Sprint(pid)
	fd, err := sys.PidfdOpen(pid, false)
	if err != nil {
		return nil, sys.Op("open process", target, err)
	}
	same, err := sys.SameProcess(pid, startTime, fd)
	if err == nil && !same {
		err = sys.ESRCH
	}
	var flags int
	if err == nil {
		flags, err = sys.OtherNamespaces(pid)
	}
	if err == nil { // the pid was still this process's while its namespaces were read
		var alive bool
		if alive, err = sys.ProcessAlive(fd); err == nil && !alive {
			err = sys.ESRCH
		}
	}
	if err != nil {
		sys.CloseFD(fd)
		return nil, sys.Op("join", "process "+target, err)
	}
	return &Join{PID: pid, pidfd: fd, flags: flags}, nil
}

// PidFD is the pidfd of the guest's init; it stays the Join's.
func (j *Join) PidFD() int { return j.pidfd }

// Close releases the guest.
func (j *Join) Close() { sys.CloseFD(j.pidfd) }

// enterPIDNS makes the calling thread's children be born in the guest's pid
// namespace. A thread of ours can do that much; the rest is the child's.
func (j *Join) enterPIDNS() error {
	return sys.Op("join", "the pid namespace", sys.Setns(j.pidfd, sys.CLONE_NEWPID))
}
