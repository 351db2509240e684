package sys

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CanShareMemory tells whether StartShared works on this architecture.
const CanShareMemory = true

// The brackets of a system call that blocks: while it does, other goroutines
// have our processor. Package syscall uses the same two.
//
//go:linkname runtimeEnterSyscall runtime.entersyscall
func runtimeEnterSyscall()

//go:linkname runtimeExitSyscall runtime.exitsyscall
func runtimeExitSyscall()

//go:noescape
func cloneShared(f *Fork) (pid uintptr)

// StartShared is Start with a child that runs in our own memory (CLONE_VM)
// until its exec or its end, for which the calling thread waits (CLONE_VFORK).
// Of a process that runs Go, copying the page tables and every page that either
// side then writes costs as much as all the rest of a boot.
//
// Why this is safe: the child runs nothing but the loop of cloneShared, written
// in assembly. It has no stack and knows no goroutine, so no state of the
// runtime exists for it; it reads and writes only f and what f points to, which
// the collector never moves and the caller keeps. It has its own dispositions of
// signals (no CLONE_SIGHAND), all default, so that no handler of ours can run in
// it. Memory is charged to its cgroup, but while it is in vfork the kernel never
// picks it as the one to kill for lack of memory (oom_badness), which would kill
// us too: the call that lacks memory fails instead.
//
// What it does to its memory's other properties is seen by us: from its first
// change of ids on we are undumpable as well (PR_SET_DUMPABLE, prctl(2)).
// ForkServe is not among what it can do.
//
// Until this returns, Child says from another thread who the child is, once it
// has reported anything.
func (f *Fork) StartShared() error {
	f.prepare(sharedFlags)
	f.args.parentTID = uint64(uintptr(unsafe.Pointer(&f.pid)))
	// A handler that ran in the child before it has its own dispositions would
	// run on our stack.
	all, old := ^uint64(0), uint64(0)
	if err := sigprocmask(&all, &old); err != nil {
		return err
	}
	r := f.vfork()
	_ = sigprocmask(&old, nil)
	runtime.KeepAlive(f)
	if r > ^uintptr(4095) {
		return syscall.Errno(-r)
	}
	return nil
}

// Child is the pid, in our pid namespace, and the pidfd of a child that
// StartShared has made.
func (f *Fork) Child() (pid, pidfd int) {
	return int(atomic.LoadInt32(&f.pid)), int(atomic.LoadInt32(&f.pidfd))
}

//go:noinline
//go:nosplit
//go:norace
func (f *Fork) vfork() uintptr {
	runtimeEnterSyscall()
	r := cloneShared(f)
	runtimeExitSyscall()
	return r
}

func sigprocmask(set, old *uint64) error {
	_, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}
