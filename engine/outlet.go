package engine

import (
	"errors"
	"io"
	"os"
	"time"

	"vsl/engine/internal/sys"
)

// outlet passes a command's output on: from a pipe of ours to what the caller has
// open, which is never the guest's.
type outlet struct {
	to      io.Writer
	from    *os.File // our end of the command's pipe
	cancel  int      // the event that ends it where nobody reads what it passes on
	late    int      // the event that makes what is there the rest
	watched int      // to's descriptor, -1 where it is no file
	file    int      // the same where it can be spliced to, -1 else
	buf     []byte
	err     error // what kept output from getting where it was to go
}

func newOutlet(to io.Writer, from, cancel, late int) *outlet {
	o := &outlet{to: to, from: sys.Pollable(from), cancel: cancel, late: late, watched: -1}
	if f, ok := to.(*os.File); ok {
		o.watched = int(f.Fd())
	}
	o.file = o.watched
	return o
}

// run passes output on until the last process lets go of the pipe, or the read
// deadline: then what is in it is the rest.
func (o *outlet) run() {
	defer o.from.Close()
	raw, err := o.from.SyscallConn()
	if err != nil {
		o.err = err
		return
	}
	for moved, left := 0, -1; left != 0; {
		var n int
		max := pipeBulk
		pass := func(fd uintptr) bool {
			n, err = o.pass(int(fd), max)
			return !errors.Is(err, sys.EAGAIN) || sys.Unread(int(fd)) > 0
		}
		if left < 0 && moved >= pipeLazy {
			_ = raw.Control(func(fd uintptr) { left = o.wait(int(fd), pass) })
			if left >= 0 {
				continue
			}
		} else if left < 0 {
			if werr := raw.Read(pass); errors.Is(werr, os.ErrDeadlineExceeded) {
				_ = raw.Control(func(fd uintptr) { left = sys.Unread(int(fd)) })
				continue
			} else if werr != nil {
				return // closed: whoever reads it has gone
			}
		} else {
			max = left
			_ = raw.Control(func(fd uintptr) { pass(fd) })
			left -= n
		}
		if errors.Is(err, sys.EAGAIN) && left != 0 {
			if left > 0 { // what the guest took out again does not come
				_ = raw.Control(func(fd uintptr) { left = min(left, sys.Unread(int(fd))) })
			}
			err, n = o.room(), 1
		}
		if err != nil || n == 0 {
			o.fail(err)
			return
		}
		if moved < pipeLazy && moved+n >= pipeLazy {
			_ = raw.Control(func(fd uintptr) { _ = sys.SetPipeSize(int(fd), pipeBulk) })
		}
		moved += n
	}
}

// wait passes output on as raw.Read does, but on a thread of its own, which is faster
// where there is much. It gives how much is the rest, -1 before the read deadline.
func (o *outlet) wait(fd int, pass func(fd uintptr) bool) int {
	for !pass(uintptr(fd)) {
		got, err := sys.Poll([]int{o.cancel, o.late, fd}, []int16{sys.PollIn, sys.PollIn, sys.PollIn})
		if err != nil || got[0]|got[1] != 0 {
			return sys.Unread(fd)
		}
	}
	return -1
}

// pass passes at most max bytes on. It waits for none, but may for who gets them.
func (o *outlet) pass(from, max int) (int, error) {
	if o.file >= 0 {
		n, err := sys.Splice(o.file, from, max)
		if !errors.Is(err, sys.EINVAL) {
			return n, err
		}
		o.file = -1 // as a file that is appended to
	}
	if o.buf == nil {
		o.buf = make([]byte, 32<<10)
	}
	n, err := sys.ReadOnce(from, o.buf[:min(max, len(o.buf))])
	if err != nil || n == 0 {
		return n, err
	}
	return o.to.Write(o.buf[:n])
}

// room waits until whoever gets the output takes more of it.
func (o *outlet) room() error {
	if o.file < 0 {
		return nil // a write waits by itself: what was missing has come meanwhile
	}
	got, err := sys.Poll([]int{o.cancel, o.file}, []int16{sys.PollIn, sys.PollOut})
	if err == nil && got[0] != 0 {
		err = errStopped
	}
	return err
}

// fail notes what kept output from being passed on. That whoever read it has gone
// is the command's to find out, as it does from a closed pipe.
func (o *outlet) fail(err error) {
	if err != nil && !errors.Is(err, sys.EPIPE) && !errors.Is(err, errStopped) {
		o.err = err
	}
}

// rest makes what is in the pipe now the last of it.
func (o *outlet) rest() {
	_ = o.from.SetReadDeadline(time.Unix(1, 0))
	sys.SetEvent(o.late)
}
