package sys

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The runtime's own bracket around a fork: it blocks signals, makes any growth
// of the stack a fatal error instead of a corruption, and in the child puts
// signal handlers back. Package syscall uses the same three; the runtime keeps
// them reachable by linkname.
//
//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork()

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()

//go:linkname runtimeAfterForkInChild syscall.runtime_AfterForkInChild
func runtimeAfterForkInChild()

// What a ForkCall does.
const (
	ForkSyscall uintptr = iota // call Nr with Args
	ForkSync                   // report, then wait for one byte from the parent
	ForkMark                   // report and go on: an exec comes next
	ForkBorn                   // report and go on: the child is there
	ForkServe                  // carry out the parent's requests until it closes the pipe
)

// What the child reports.
const (
	ReportSync   = 1 // stopped at the call Index; Value is its first argument
	ReportError  = 2 // the call Index failed with errno Value, the child is gone
	ReportMark   = 3 // about to exec: the end of the pipe now means success
	ReportDone   = 4 // every call is made, the child is gone
	ReportBorn   = 6 // a child of StartShared is there
	ReportServed = 5 // Index is the errno, Value the result of a request
)

// ForkCall is one thing that a forked child does. It holds no pointers, so
// that the child can work through a slice of them without the runtime.
type ForkCall struct {
	Kind   uintptr
	Nr     uintptr
	Args   [6]uintptr
	Refs   uintptr    // bit i: Args[i] is the index of an earlier call whose result is meant
	Ignore [4]uintptr // errnos that are no failure; 0 ends the list
	Exit   uintptr    // not 0: a failure ends the child silently
	Result uintptr
}

// ForkReport is what the child writes to its status pipe, always as a whole.
type ForkReport struct {
	Kind  uint32
	Index uint32
	Value uint64
}

// ForkReportSize is the size of a ForkReport in bytes.
const ForkReportSize = int(unsafe.Sizeof(ForkReport{}))

// ForkRequest heads a request to a child in ForkServe: In bytes of data follow
// it and are stored in the serve buffer at InAt before the call is made;
// afterwards the child sends its report and, unless the call failed, Out bytes
// from the buffer's start, or as many as the call returned if OutResult is set.
type ForkRequest struct {
	Nr        uintptr
	Args      [6]uintptr
	InAt, In  uintptr
	Out       uintptr
	OutResult uintptr
}

// ForkRequestSize is the size of a ForkRequest in bytes.
const ForkRequestSize = int(unsafe.Sizeof(ForkRequest{}))

// Fork describes a child; NewFork makes one. Calls and everything their
// arguments point to must be on the heap and reachable by the caller until
// Start returns.
type Fork struct {
	Calls   []ForkCall
	Status  int // the child's end of its status pipe, close-on-exec
	Release int // the child's end of the pipe on which the parent lets it go on
	Flags   uint64
	Cgroup  int // a cgroup directory to begin in, or < 0

	// scratch memory of the child
	report ForkReport
	byte   [8]byte
	req    ForkRequest
	Serve  []byte // buffer of ForkServe

	pid, pidfd int32
	args       cloneArgs
}

// cloneArgs is struct clone_args of clone3(2), its version 2.
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls, setTID, setTIDSize, cgroup uint64
}

// NewFork returns a Fork on the heap, where nothing moves: the child and the
// kernel know parts of it by their addresses.
//
//go:noinline
func NewFork() *Fork { return &Fork{Cgroup: -1} }

// Start makes the child by clone3(2), with memory of its own (no CLONE_VM).
// It must be called on a locked thread. It returns the child's pid in our pid
// namespace and a close-on-exec pidfd.
func (f *Fork) Start() (pid, pidfd int, err error) {
	f.prepare(0)
	n, errno := f.clone()
	runtime.KeepAlive(f)
	if errno != 0 {
		return 0, -1, errno
	}
	return int(n), int(f.pidfd), nil
}

func (f *Fork) prepare(flags uint64) {
	f.args = cloneArgs{
		flags:      f.Flags | flags | unix.CLONE_PIDFD | unix.CLONE_CLEAR_SIGHAND,
		pidfd:      uint64(uintptr(unsafe.Pointer(&f.pidfd))),
		exitSignal: uint64(unix.SIGCHLD),
	}
	if f.Cgroup >= 0 {
		f.args.flags |= unix.CLONE_INTO_CGROUP
		f.args.cgroup = uint64(f.Cgroup)
	}
}

// CloneFlags are the flags of the clone3(2) that makes the child, shared or not,
// without making it.
func (f *Fork) CloneFlags(shared bool) uint64 {
	if shared {
		f.prepare(sharedFlags)
	} else {
		f.prepare(0)
	}
	return f.args.flags
}

// sharedFlags make a child that runs in our memory; see StartShared.
const sharedFlags = unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_PARENT_SETTID

// clone returns only in the parent. Between clone3 and its end the child must
// not allocate, grow its stack, take a lock or write a pointer to the heap: it
// is the only thread of a copy of a running Go program.
//
//go:noinline
//go:norace
func (f *Fork) clone() (uintptr, syscall.Errno) {
	runtimeBeforeFork()
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&f.args)), unsafe.Sizeof(f.args), 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		runtimeAfterFork()
		return pid, errno
	}
	runtimeAfterForkInChild()
	f.child()
	for { // not reached
		syscall.RawSyscall6(unix.SYS_EXIT_GROUP, 125, 0, 0, 0, 0, 0)
	}
}

// child runs the calls.
//
//go:nosplit
//go:norace
func (f *Fork) child() {
	for i := range f.Calls {
		c := &f.Calls[i]
		switch c.Kind {
		case ForkSyscall:
			f.call(i, c)
		case ForkSync:
			v := c.Args[0]
			if c.Refs&1 != 0 {
				v = f.Calls[v].Result
			}
			f.tell(ReportSync, uintptr(i), v)
			n, _, _ := syscall.RawSyscall6(unix.SYS_READ, uintptr(f.Release), uintptr(unsafe.Pointer(&f.byte)), 1, 0, 0, 0)
			if n != 1 {
				f.exit(125)
			}
		case ForkMark:
			f.tell(ReportMark, uintptr(i), 0)
		case ForkBorn:
			f.tell(ReportBorn, uintptr(i), 0)
		case ForkServe:
			f.serve()
		}
	}
	f.tell(ReportDone, 0, 0)
	f.exit(0)
}

//go:nosplit
//go:norace
func (f *Fork) call(i int, c *ForkCall) {
	for a := uintptr(0); a < 6; a++ {
		if c.Refs>>a&1 != 0 {
			c.Args[a] = f.Calls[c.Args[a]].Result
		}
	}
	r, _, errno := syscall.RawSyscall6(c.Nr, c.Args[0], c.Args[1], c.Args[2], c.Args[3], c.Args[4], c.Args[5])
	c.Result = r
	if errno == 0 {
		return
	}
	for _, e := range c.Ignore {
		if e != 0 && e == uintptr(errno) {
			return
		}
	}
	if c.Exit == 0 {
		f.tell(ReportError, uintptr(i), uintptr(errno))
	}
	f.exit(126)
}

// serve makes system calls at the parent's request, until the parent closes
// its end of the pipe or dies.
//
//go:nosplit
//go:norace
func (f *Fork) serve() {
	buf := uintptr(unsafe.Pointer(unsafe.SliceData(f.Serve)))
	for {
		f.fill(uintptr(unsafe.Pointer(&f.req)), uintptr(ForkRequestSize))
		size := uintptr(len(f.Serve))
		if f.req.In > size || f.req.InAt > size-f.req.In || f.req.Out > size {
			f.exit(125)
		}
		f.fill(buf+f.req.InAt, f.req.In)
		r, _, errno := syscall.RawSyscall6(f.req.Nr, f.req.Args[0], f.req.Args[1], f.req.Args[2], f.req.Args[3], f.req.Args[4], f.req.Args[5])
		f.tell(ReportServed, uintptr(errno), r)
		out := f.req.Out
		if errno != 0 {
			out = 0
		} else if f.req.OutResult != 0 && r < out {
			out = r
		}
		for at := uintptr(0); at < out; {
			n, _, errno := syscall.RawSyscall6(unix.SYS_WRITE, uintptr(f.Status), buf+at, out-at, 0, 0, 0)
			if errno != 0 {
				f.exit(125)
			}
			at += n
		}
	}
}

// fill reads exactly n bytes to p from the release pipe, or ends the child.
//
//go:nosplit
//go:norace
func (f *Fork) fill(p, n uintptr) {
	for n > 0 {
		r, _, errno := syscall.RawSyscall6(unix.SYS_READ, uintptr(f.Release), p, n, 0, 0, 0)
		if errno != 0 || r == 0 {
			f.exit(0)
		}
		p += r
		n -= r
	}
}

//go:nosplit
//go:norace
func (f *Fork) tell(kind uint32, index, value uintptr) {
	f.report.Kind = kind
	f.report.Index = uint32(index)
	f.report.Value = uint64(value)
	_, _, errno := syscall.RawSyscall6(unix.SYS_WRITE, uintptr(f.Status), uintptr(unsafe.Pointer(&f.report)), uintptr(ForkReportSize), 0, 0, 0)
	if errno != 0 {
		f.exit(125)
	}
}

//go:nosplit
//go:norace
func (f *Fork) exit(code uintptr) {
	for {
		syscall.RawSyscall6(unix.SYS_EXIT_GROUP, code, 0, 0, 0, 0, 0)
	}
}
