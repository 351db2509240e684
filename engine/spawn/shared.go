package spawn

import (
	"errors"
	"strconv"
	"sync/atomic"

	"vsl/engine/internal/sys"
	"vsl/engine/kernel"
)

// birth is a clone that shares our memory: its thread waits for the child's
// exec, so the hooks run on another one meanwhile.
type birth struct {
	tid  atomic.Int32  // of the thread, once it is prepared
	done chan struct{} // closed when the child has made its exec, or is gone
	err  error         // valid once done is closed: there was no child
}

// shares tells whether the child may run in our memory until its exec. One that
// joins a guest may not: setns(2) refuses to change the time namespace then. A
// new one is entered at the exec only since Linux 6.2.
func (a *Attr) shares() bool {
	return sys.CanShareMemory && !a.noShare && a.Join == nil && a.inside == nil && (!a.TimeNS || kernel.AtLeast(6, 2))
}

// bear makes the child on a thread of its own.
func (l *launch) bear() {
	b := &birth{done: make(chan struct{})}
	l.birth = b
	go onFreshThread(func() {
		defer close(b.done)
		if b.err = l.enterThread(); b.err == nil {
			b.tid.Store(int32(sys.Gettid()))
			b.err = l.asOwner(func() error { return sys.Op("clone3", "", l.fork.StartShared()) })
		}
		l.closeChildEnds() // the pipe of reports ends with this
	})
}

// followBirth goes along with a read of the child's reports, or of their end.
func (l *launch) followBirth(r sys.ForkReport, reported bool) error {
	if reported {
		if r.Kind == sys.ReportBorn {
			return l.meet()
		}
		return nil
	}
	<-l.birth.done
	if l.birth.err == nil && l.pidfd < 0 {
		l.pid, l.pidfd = l.fork.Child() // it died without a word
	}
	return l.birth.err
}

// meet is called when the child says that it is there: who it is can be told, and
// the hooks' thread goes to where the child was born.
func (l *launch) meet() error {
	l.pid, l.pidfd = l.fork.Child()
	l.watch()
	if l.a.Thread == nil || len(l.a.Hooks) == 0 {
		return nil // a program that waits for nobody may be done by now, and its thread gone
	}
	ns := "/proc/self/task/" + strconv.Itoa(int(l.birth.tid.Load())) + "/ns/mnt"
	return sys.Op("join", "the mount namespace of the child", sys.JoinMounts(ns))
}

// asOwner runs clone with the user as whom a new user namespace is to be made.
// What comes after it, hooks above all, is root's again.
func (l *launch) asOwner(clone func() error) error {
	if l.a.Owner == 0 {
		return clone()
	}
	restore, err := sys.OwnAs(l.a.Owner)
	if err != nil {
		return err
	}
	return errors.Join(clone(), restore())
}
