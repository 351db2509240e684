package engine

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"vsl/engine/internal/sys"
)

const (
	// pipeGrace is how long output is still read after a command ended: a daemon
	// that it left behind may hold the pipe for ever.
	pipeGrace = 500 * time.Millisecond

	// hangupAfter is how long a command runs before it is looked whether somebody
	// still reads its output, which costs a thread.
	hangupAfter = 50 * time.Millisecond
)

// streams are a command's input and output. What the guest gets are pipes of
// ours, owned by the command's user, which it may keep, write to and read from
// as it likes: through what the caller has open it could read what others write
// there, and write what others read. Bytes go between the two by splice(2),
// where the kernel can.
type streams struct {
	child     [3]*os.File // the command's ends
	in        *feed
	outs      []*outlet
	cancel    int           // an event; -1 where there is no output to copy
	late      int           // likewise
	ended     chan struct{} // by close
	started   bool
	abandoned bool // something of ours copies on

	copies, watching sync.WaitGroup
}

// connect makes the pipes for a command whose user has these ids on the host.
func connect(in io.Reader, out, errOut io.Writer, uid, gid int) (s *streams, err error) {
	s = &streams{cancel: -1, late: -1, ended: make(chan struct{})}
	if !nothing(in) {
		r, w, err := sys.NewPipe(uid, gid)
		if err != nil {
			return s, err
		}
		s.child[0] = os.NewFile(uintptr(r), "pipe")
		s.in = &feed{from: in, to: sys.Pollable(w), fd: w, stop: -1, kept: -1, done: make(chan struct{})}
		if s.in.stop, err = sys.NewEvent(); err != nil {
			return s, sys.Op("make", "an event", err)
		}
	}
	for i, w := range []io.Writer{out, errOut} {
		switch {
		case nothing(w):
		case i == 1 && same(out, w):
			s.child[2] = s.child[1] // so that what is printed keeps its order
		default:
			if s.cancel < 0 {
				if s.cancel, err = sys.NewEvent(); err == nil {
					s.late, err = sys.NewEvent()
				}
				if err != nil {
					return s, sys.Op("make", "an event", err)
				}
			}
			r, pw, err := sys.NewPipe(uid, gid)
			if err != nil {
				return s, err
			}
			s.child[1+i] = os.NewFile(uintptr(pw), "pipe")
			s.outs = append(s.outs, newOutlet(w, r, s.cancel, s.late))
		}
	}
	return s, nil
}

// nothing tells whether a stream is none, or the null device.
func nothing(stream any) bool {
	f, ok := stream.(*os.File)
	return stream == nil || ok && (f == nil || sys.StreamOf(f) == sys.StreamNull)
}

// same tells whether two writers are one, as os/exec does.
func same(a, b io.Writer) bool {
	defer func() { _ = recover() }() // of a kind that cannot be compared
	return a == b
}

// start begins to copy, once the command has its ends.
func (s *streams) start() {
	s.closeChild()
	if s.in != nil {
		go s.in.run()
	}
	for _, o := range s.outs {
		s.copies.Go(o.run)
	}
	s.started = true
	s.watching.Go(func() {
		select {
		case <-time.After(hangupAfter):
			s.watch()
		case <-s.ended:
		}
	})
}

func (s *streams) closeChild() {
	for i, f := range s.child {
		if f != nil && (i < 2 || f != s.child[1]) {
			f.Close()
		}
	}
	s.child = [3]*os.File{}
}

// watch closes the command's output when those who read it have gone, as a pipe
// would be closed for it. It ends by the cancel event.
func (s *streams) watch() {
	fds, wants := []int{s.cancel}, []int16{sys.PollIn}
	for _, o := range s.outs {
		fds, wants = append(fds, o.watched), append(wants, 0)
	}
	for open := len(s.outs); open > 0; {
		got, err := sys.Poll(fds, wants)
		if err != nil || got[0] != 0 {
			return
		}
		for i, o := range s.outs {
			if got[i+1] != 0 {
				o.from.Close()
				fds[i+1] = -1
				open--
			}
		}
	}
}

// finish copies what is left when the command has ended: all of it, but of a
// command that was killed only what is taken soon. It gives what was lost.
func (s *streams) finish(killed bool) (lost error) {
	if s.in != nil {
		lost = sys.Op("read", "the command's input", s.in.finish())
	}
	t := time.AfterFunc(pipeGrace, func() {
		for _, o := range s.outs {
			o.rest()
		}
		if killed {
			sys.SetEvent(s.cancel)
		}
	})
	all := make(chan struct{})
	go func() { s.copies.Wait(); close(all) }()
	if s.abandoned = killed && !waitOr(all, 2*pipeGrace); s.abandoned {
		return lost // one of them waits for a writer that is not a file
	}
	<-all
	t.Stop()
	for _, o := range s.outs {
		lost = errors.Join(lost, sys.Op("pass on", "the command's output", o.err))
	}
	return lost
}

// close releases all, also of streams that never started.
func (s *streams) close() {
	s.closeChild()
	close(s.ended)
	sys.SetEvent(s.cancel)
	s.watching.Wait()
	if !s.started {
		for _, o := range s.outs {
			o.from.Close()
		}
		if s.in != nil {
			s.in.to.Close()
		}
	}
	if s.abandoned {
		return // what still copies may look at its event
	}
	if s.in != nil {
		sys.CloseFD(s.in.stop)
	}
	for _, event := range []int{s.cancel, s.late} {
		if event >= 0 {
			sys.CloseFD(event)
		}
	}
}
