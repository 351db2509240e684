package spawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"vsl/engine/internal/sys"
)

// Attr says how a child is started. CgroupFD must be set: -1 for no cgroup.
type Attr struct {
	Name       string // what errors call the child: a guest's name
	Program    *Program
	CloneFlags uint64     // namespaces to make: CLONE_NEW...
	Owner      uint32     // the host's uid that a new user namespace belongs to; 0: root
	TimeNS     bool       // make a time namespace whose monotonic and boot-time clocks start at zero
	CgroupFD   int        // directory of the cgroup that the child begins in; < 0: ours
	Join       *Join      // the guest that the child joins before its program, or nil
	Files      []*os.File // become 0, 1, 2, ...; nil and missing ones among the first three are /dev/null
	IDMap      *IDMap     // of the child's new user namespace; nil: the caller's hook writes it, or there is none

	// Hooks run while the child is stopped at the Sync of their name, on one
	// locked thread that is thrown away afterwards: a hook may unshare, join
	// the child's mount namespace and so on. It begins in the mount namespace
	// that Thread has left. pidfd is the child's and stays the package's. An
	// error ends the child.
	Hooks map[string]func(pid int, pidfd int) error

	// Thread runs on the thread that makes the child, before it does, so that
	// what it unshares is the child's too; nil: nothing does.
	Thread func() error

	// Context ends a child that has not reached its exec; nil never does.
	Context context.Context

	values map[string]func(pidfd int, value uint64) error // hooks of our own, with syncValue's value
	inside *Inside

	noShare bool // a child with memory of its own, also where it could share ours
}

// IDMap gives a user namespace the ids HostID..HostID+Size-1 as its 0..Size-1.
// The child becomes root of it before its first step.
type IDMap struct{ HostID, Size uint32 }

const syncIDMap = "id map"

// ChildError is a call that failed in the child.
type ChildError struct {
	Name  string // of the step: "mount proc"
	Index int    // of the step, from 1; 0 when it is none of the program's
	Err   error  // usually a sys.Errno
}

// Error names the step by its number, too, except for the exec: that is the one
// whose failure is a matter of the guest and not of the way there.
func (e *ChildError) Error() string {
	command, exec := strings.CutPrefix(e.Name, "exec ")
	switch {
	case exec && errors.Is(e.Err, sys.ENOENT) && strings.Contains(command, "/"):
		return e.Name + ": there is no such file in the guest, or what its first line or its loader asks for is missing"
	case exec && errors.Is(e.Err, sys.ENOENT):
		return e.Name + ": the command was not found in the guest"
	case exec || e.Index == 0:
		return e.Name + ": " + e.Err.Error()
	}
	return fmt.Sprintf("%s (step %d): %v", e.Name, e.Index, e.Err)
}

func (e *ChildError) Unwrap() error { return e.Err }

// errDied is the cause when a child is gone without having said why.
var errDied = errors.New("the child died")

// Start starts a child and returns when it has made its exec, or has made all
// calls of a program without one. When it fails nothing is left of the child.
func Start(a *Attr) (*Process, error) {
	var (
		proc *Process
		err  error
		done = make(chan struct{})
	)
	go onFreshThread(func() {
		defer close(done)
		proc, err = a.run()
	})
	<-done
	return proc, sys.Op("start", a.Name, err)
}

// onFreshThread runs f on a thread that ends with the calling goroutine. It is
// never the main thread, which cannot end and is what /proc/self shows.
func onFreshThread(f func()) {
	runtime.LockOSThread()
	if sys.Gettid() != sys.Getpid() {
		f()
		return // still locked: the runtime ends the thread
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onFreshThread(f)
	}()
	<-done
	runtime.UnlockOSThread()
}

// launch holds what belongs to one start.
type launch struct {
	a      *Attr
	image  image
	fork   *sys.Fork
	status int // our end, to read
	let    int // our end, to write
	close  []int
	pid    int
	pidfd  int
	birth  *birth       // nil: the child has memory of its own
	stop   func() error // ends the watch over the context; nil: there is none yet
}

func (a *Attr) run() (*Process, error) {
	l := &launch{a: a, status: -1, let: -1, pidfd: -1}
	defer l.cleanup()
	if err := l.prepare(); err != nil {
		return nil, err
	}
	err := l.begin()
	if err == nil {
		err = l.follow()
	}
	if l.stop != nil {
		if cause := l.stop(); cause != nil {
			err = cause
		}
	}
	if err != nil {
		l.destroy()
	}
	if l.birth != nil {
		<-l.birth.done // its thread holds descriptors of ours
	}
	if err != nil {
		return nil, err
	}
	p := newProcess(l.pid, l.pidfd)
	l.pidfd = -1
	return p, nil
}

// begin makes the child, or has it made.
func (l *launch) begin() error {
	if l.a.shares() {
		l.bear()
		return nil
	}
	if err := l.enterThread(); err != nil {
		return err
	}
	err := l.asOwner(func() (err error) {
		l.pid, l.pidfd, err = l.fork.Start()
		return sys.Op("clone3", "", err)
	})
	runtime.KeepAlive(l)
	if err != nil {
		return err
	}
	l.closeChildEnds()
	l.watch()
	return nil
}

// prepare makes the pipes, moves descriptors out of the way of Files, and
// compiles the program.
func (l *launch) prepare() error {
	files, err := l.files()
	if err != nil {
		return err
	}
	min := max(3, len(l.a.Files))
	statusR, statusW, err := sys.PipeFDs()
	if err != nil {
		return sys.Op("pipe", "", err)
	}
	l.status = statusR
	l.close = append(l.close, statusW)
	releaseR, releaseW, err := sys.PipeFDs()
	if err != nil {
		return sys.Op("pipe", "", err)
	}
	l.let = releaseW
	l.close = append(l.close, releaseR)

	l.image.lifted = map[int]int{}
	need := append(l.a.Program.fds(), statusW, releaseR)
	if l.a.Join != nil {
		need = append(need, l.a.Join.pidfd)
	}
	need = append(need, files...)
	keep := make([]int, 0, len(need))
	for _, fd := range need {
		n, err := l.lift(fd, min)
		if err != nil {
			return err
		}
		keep = append(keep, n)
	}
	stdio := make([]Arg, len(files))
	for i, f := range files {
		stdio[i] = Int(l.image.fd(f))
	}
	if err := l.image.program(l.a.prelude(stdio, gaps(keep)), false); err != nil {
		return err
	}
	if err := l.image.program(l.a.Program, true); err != nil {
		return err
	}
	l.image.link()
	f := sys.NewFork()
	f.Calls = l.image.calls
	if l.a.inside != nil {
		f.Serve = l.a.inside.buf
	}
	f.Status, f.Release = l.image.fd(statusW), l.image.fd(releaseR)
	f.Flags, f.Cgroup = l.a.CloneFlags, l.a.CgroupFD
	l.fork = f
	return nil
}

// enterThread prepares the thread: what it unshares or joins here concerns its
// children only.
func (l *launch) enterThread() error {
	sys.PlainThread()
	if j := l.a.Join; j != nil {
		if err := j.enterPIDNS(); err != nil {
			return err
		}
	}
	if l.a.TimeNS {
		if err := sys.UnshareTimeNS(); err != nil {
			return sys.Op("make", "time namespace", err)
		}
	}
	if l.a.Thread != nil {
		return l.a.Thread()
	}
	return nil
}

// watch kills the child when the context ends. l.stop then stops the watching
// and gives the context's error if it struck.
func (l *launch) watch() {
	ctx := l.a.Context
	if ctx == nil {
		return
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = sys.PidfdSignal(l.pidfd, sys.SIGKILL)
	})
	l.stop = func() error {
		if stop() {
			return nil
		}
		<-done
		return context.Cause(ctx)
	}
}

// follow reads the child's reports until it has made its exec.
func (l *launch) follow() error {
	exec := false
	for {
		r, ok, err := sys.ReadReport(l.status)
		if l.birth != nil && err == nil {
			err = l.followBirth(r, ok)
		}
		switch {
		case err != nil:
			return sys.Op("read", "the child's reports", err)
		case !ok && exec:
			return nil
		case !ok:
			return l.died()
		case r.Kind == sys.ReportMark:
			exec = true
		case r.Kind == sys.ReportDone:
			return nil
		case r.Kind == sys.ReportError:
			return l.childError(r)
		case r.Kind == sys.ReportSync:
			served, err := l.hook(r)
			if err != nil || served {
				return err
			}
		}
	}
}

func (l *launch) childError(r sys.ForkReport) error {
	i := int(r.Index)
	return &ChildError{Name: l.image.names[i], Index: l.image.number[i], Err: sys.Errno(r.Value)}
}

// died says how a child ended that never said why.
func (l *launch) died() error {
	st, err := sys.ReapPidfd(l.pidfd)
	if err != nil {
		return errDied
	}
	return fmt.Errorf("%w: %v", errDied, Status(st))
}

// hook runs the hook of a Sync and lets the child go on. It tells whether the
// child now serves an Inside, which takes our ends of the pipes over.
func (l *launch) hook(r sys.ForkReport) (served bool, err error) {
	name := l.image.names[r.Index]
	if l.image.number[r.Index] == 0 && name == syncIDMap {
		err = sys.Op("write", "the id map", sys.WriteIDMaps(l.pid, l.a.IDMap.HostID, l.a.IDMap.Size))
	} else if h := l.a.values[name]; h != nil {
		err = h(l.pidfd, r.Value)
	} else if h := l.a.Hooks[name]; h != nil {
		err = h(l.pid, l.pidfd)
	} else if l.a.inside == nil || name != syncInside {
		err = errors.New("nobody waits for it")
	}
	if err != nil {
		var op *sys.OpError
		if errors.As(err, &op) {
			return false, err
		}
		return false, sys.Op("run the hook", name, err)
	}
	if err := sys.WriteFD(l.let, []byte{1}); err != nil {
		return false, l.died()
	}
	if l.a.inside != nil && name == syncInside {
		l.a.inside.take(l)
		return true, nil
	}
	return false, nil
}

// destroy kills the child, if there is one, and waits for its end.
func (l *launch) destroy() {
	if l.pidfd < 0 {
		return
	}
	_ = sys.PidfdSignal(l.pidfd, sys.SIGKILL)
	_, _ = sys.ReapPidfd(l.pidfd)
}

// closeChildEnds closes what only the child needs from now on. Above all our
// copy of its status pipe: the pipe must end when the child's end is gone.
func (l *launch) closeChildEnds() {
	for _, fd := range l.close {
		sys.CloseFD(fd)
	}
	l.close = nil
}

func (l *launch) cleanup() {
	l.closeChildEnds()
	for _, fd := range []int{l.status, l.let, l.pidfd} {
		if fd >= 0 {
			sys.CloseFD(fd)
		}
	}
}
