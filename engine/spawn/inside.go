package spawn

import (
	"context"
	"runtime"
	"unsafe"

	"vsl/engine/internal/sys"
)

const syncInside = "inside"

// Inside is a process of a guest that makes system calls there for us. It has
// the guest's own credentials, root and mounts: a link or a file with a will of
// its own that the guest put in the way has no more power than the guest's own
// root. Nothing of the guest is opened on the host.
//
// The process is a copy of ours that never executes anything. The guest can
// kill it but not look into it, and it ends when we do. One goroutine at a time
// may use an Inside.
type Inside struct {
	proc        *Process
	status, let int // our ends of its pipes
	buf         []byte
	base        uintptr // where buf is, in both processes
	stop        func() bool
	ctx         context.Context
}

// Where things are in an Inside's buffer: data, structures and results at its
// start, paths behind them.
const (
	insideData = 64 << 10
	insidePath = 8 << 10
	insideSize = insideData + 2*insidePath
)

// OpenInside starts such a process in the cgroup whose directory is open as
// cgroupFD (< 0: in ours). The end of the context ends it, at whatever it is.
func OpenInside(ctx context.Context, j *Join, cgroupFD int) (*Inside, error) {
	in := &Inside{buf: make([]byte, insideSize), ctx: ctx}
	in.base = uintptr(unsafe.Pointer(unsafe.SliceData(in.buf)))
	p := &Program{}
	p.Call("umask", sys.NrUmask, 0) // modes are meant as they are given
	p.Sync(syncInside)
	p.add(&Step{name: "serve", kind: sys.ForkServe})
	proc, err := Start(&Attr{Name: "a process inside the guest", Program: p, CgroupFD: cgroupFD, Join: j, Context: ctx, inside: in})
	if err != nil {
		return nil, err
	}
	in.proc = proc
	in.stop = context.AfterFunc(ctx, func() { _ = proc.Signal(sys.SIGKILL) })
	return in, nil
}

// take makes our ends of the pipes the Inside's.
func (in *Inside) take(l *launch) {
	in.status, in.let = l.status, l.let
	l.status, l.let = -1, -1
}

// Close ends the process.
func (in *Inside) Close() {
	in.stop()
	_ = in.proc.Signal(sys.SIGKILL)
	sys.CloseFD(in.let)
	sys.CloseFD(in.status)
	_, _ = in.proc.Wait(context.Background())
	in.proc.Close()
}

// request is one system call. Its arguments may point into the buffer.
type request struct {
	nr        uintptr
	args      [6]uintptr
	inAt, in  int  // part of the buffer that the call needs
	out       int  // bytes of the buffer that it fills
	outResult bool // of them as many as it returns
}

// data and path are the addresses of the parts of the buffer.
func (in *Inside) data() uintptr { return in.base }
func (in *Inside) path(n int, p string) (uintptr, error) {
	if len(p)+1 > insidePath {
		return 0, sys.ENAMETOOLONG
	}
	at := insideData + n*insidePath
	copy(in.buf[at:], p)
	in.buf[at+len(p)] = 0
	return in.base + uintptr(at), nil
}

// call has the process make a call; the buffer then holds what it filled.
func (in *Inside) call(r request) (uintptr, error) {
	head := sys.ForkRequest{Nr: r.nr, Args: r.args, InAt: uintptr(r.inAt), In: uintptr(r.in), Out: uintptr(r.out)}
	if r.outResult {
		head.OutResult = 1
	}
	msg := unsafe.Slice((*byte)(unsafe.Pointer(&head)), sys.ForkRequestSize)
	err := sys.WriteFD(in.let, msg)
	runtime.KeepAlive(&head)
	if err == nil && r.in > 0 {
		err = sys.WriteFD(in.let, in.buf[r.inAt:r.inAt+r.in])
	}
	if err != nil {
		return 0, in.gone()
	}
	rep, ok, err := sys.ReadReport(in.status)
	if err != nil || !ok || rep.Kind != sys.ReportServed {
		return 0, in.gone()
	}
	if rep.Index != 0 {
		return 0, sys.Errno(rep.Index)
	}
	n := r.out
	if r.outResult {
		n = min(n, int(rep.Value))
	}
	if ok, err := sys.ReadFull(in.status, in.buf[:n]); err != nil || !ok {
		return 0, in.gone()
	}
	return uintptr(rep.Value), nil
}

// gone is the error of a process that answers no more.
func (in *Inside) gone() error {
	if err := context.Cause(in.ctx); err != nil {
		return err
	}
	return errDied
}

// onPath makes a call of the form f(AT_FDCWD, path, a, b, c).
func (in *Inside) onPath(nr uintptr, path string, rest ...uintptr) (uintptr, error) {
	at, err := in.path(0, path)
	if err != nil {
		return 0, err
	}
	cwd := sys.AT_FDCWD
	r := request{nr: nr, args: [6]uintptr{uintptr(cwd), at}, inAt: insideData, in: len(path) + 1}
	copy(r.args[2:], rest)
	return in.call(r)
}

func (in *Inside) open(path string, flags int, mode uint32) (uintptr, error) {
	const always = sys.O_CLOEXEC | sys.O_NOCTTY | sys.O_NONBLOCK // a FIFO must not hold us
	return in.onPath(sys.NrOpenat, path, uintptr(flags|always), uintptr(mode))
}

func (in *Inside) close(fd uintptr) {
	_, _ = in.call(request{nr: sys.NrClose, args: [6]uintptr{fd}})
}
