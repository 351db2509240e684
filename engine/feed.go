package engine

import (
	"errors"
	"io"
	"os"
	"sync/atomic"

	"vsl/engine/internal/sys"
)

const (
	// pipeLazy is how much of a pipe a command gets piece by piece, before it is
	// known to be one that reads on.
	pipeLazy = 64 << 10
	// pipeBulk is what a pipe of ours holds once much goes through it.
	pipeBulk = 512 << 10
)

// feed passes the caller's input on to a command: from what the caller has open,
// which is never the guest's, to a pipe of ours.
//
// What the command did not take goes back, so that the input of a loop is not
// eaten by the command in it. In a file the offset is set back. Of a pipe a copy
// is given (tee(2)), and the original is taken only when the copy was, one page
// at a time; a command that has taken pipeLazy bytes is one that reads on, and
// from then on up to pipeBulk bytes more than it reads may be lost to others.
// Of anything else, as a terminal, what was read stays read.
type feed struct {
	from  io.Reader
	to    *os.File    // our end of the command's pipe
	fd    int         // to's
	stop  int         // the event that ends it
	over  atomic.Bool // set before stop
	done  chan struct{}
	buf   []byte
	given int   // bytes that were read of a file
	rest  int   // of them those that are not in the pipe yet
	kept  int   // a reading end, once ours was closed at the end of a file; -1 before
	err   error // why the input could not be read to its end
}

// run passes input on until its end, the command's, or stop.
func (f *feed) run() {
	defer close(f.done)
	file, ok := f.from.(*os.File)
	if !ok {
		_, err := io.Copy(f.to, f.from)
		f.end(err)
		return
	}
	from := int(file.Fd())
	switch sys.StreamOf(file) {
	case sys.StreamFile:
		f.end(f.fromFile(from))
	case sys.StreamPipe:
		f.end(f.fromPipe(from))
	case sys.StreamTerminal:
		sys.IgnoreTerminalInput() // of a command in the background: it gets no input, and we are not stopped
		err := f.fromOther(from)
		if errors.Is(err, sys.EIO) {
			err = nil
		}
		f.end(err)
	default:
		f.end(f.fromOther(from))
	}
}

// errStopped says that nobody wants more input.
var errStopped = errors.New("stopped")

// end closes the command's input, unless there is nobody to see it: what was not
// read is still to be counted then.
func (f *feed) end(err error) {
	if errors.Is(err, errStopped) || errors.Is(err, sys.EPIPE) || errors.Is(err, os.ErrClosed) {
		return
	}
	if f.given > 0 {
		f.kept, _ = sys.ReaderOf(f.fd)
	}
	f.err = err
	f.to.Close()
	f.fd = -1
}

// wait waits for the caller's input or for room in the command's pipe.
func (f *feed) wait(from int, in, room int16) error {
	got, err := sys.Poll([]int{f.stop, f.fd, from}, []int16{sys.PollIn, room, in})
	if err == nil && (got[0] != 0 || got[1]&sys.PollEnd != 0) {
		err = errStopped
	}
	return err
}

func (f *feed) fromFile(from int) error {
	for moved := 0; !f.over.Load(); {
		n, err := sys.Splice(f.fd, from, pipeBulk)
		if errors.Is(err, sys.EINVAL) {
			return f.fromOther(from)
		}
		if errors.Is(err, sys.EAGAIN) {
			if err := f.wait(-1, 0, sys.PollOut); err != nil {
				return err
			}
			continue
		}
		if err != nil || n == 0 {
			return err
		}
		f.given += n
		if moved < pipeLazy && moved+n >= pipeLazy {
			_ = sys.SetPipeSize(f.fd, pipeBulk) // it is only slower without
		}
		moved += n
	}
	return errStopped
}

func (f *feed) fromPipe(from int) error {
	_ = sys.SetPipeSize(f.fd, 1) // is one page
	for taken := 0; taken < pipeLazy; {
		n, err := f.tee(from)
		if err != nil || n == 0 {
			return err
		}
		// The only page is free again when all of it was taken.
		ended := f.wait(-1, 0, sys.PollOut)
		took := n - min(n, sys.Unread(f.fd))
		if ended == nil {
			taken += n
			if took < n { // the guest has made its pipe larger: all it was given is its own
				taken, took = pipeLazy, n
			}
		}
		if err := f.consume(from, took); err != nil || ended != nil {
			return errors.Join(err, ended)
		}
	}
	_ = sys.SetPipeSize(f.fd, pipeBulk)
	for !f.over.Load() {
		n, err := sys.Splice(f.fd, from, pipeBulk)
		if errors.Is(err, sys.EAGAIN) {
			if err = f.wait(from, sys.PollIn, 0); err == nil {
				err = f.wait(-1, 0, sys.PollOut)
			}
			n = 1
		}
		if err != nil || n == 0 {
			return err
		}
	}
	return errStopped
}

// tee gives the command a copy of what is next in the caller's pipe; 0 is its end.
func (f *feed) tee(from int) (int, error) {
	for {
		if err := f.wait(from, sys.PollIn, 0); err != nil {
			return 0, err
		}
		n, err := sys.Tee(f.fd, from, pipeLazy)
		if !errors.Is(err, sys.EAGAIN) {
			return n, err
		}
		if err := f.wait(-1, 0, sys.PollOut); err != nil { // the guest has written into its pipe
			return 0, err
		}
	}
}

// consume takes from the caller's pipe what the command took of its copy.
func (f *feed) consume(from, n int) error {
	buf := f.buffer()
	for n > 0 {
		k, err := sys.ReadOnce(from, buf[:min(n, len(buf))])
		if err != nil || k == 0 {
			return err
		}
		n -= k
	}
	return nil
}

// fromOther copies what cannot be spliced.
func (f *feed) fromOther(from int) error {
	for {
		if err := f.wait(from, sys.PollIn, 0); err != nil {
			return err
		}
		n, err := sys.ReadOnce(from, f.buffer())
		if errors.Is(err, sys.EAGAIN) {
			continue
		}
		if err != nil || n == 0 {
			return err
		}
		f.given += n
		if err := f.write(f.buf[:n]); err != nil {
			return err
		}
	}
}

func (f *feed) write(p []byte) error {
	for f.rest = len(p); f.rest > 0; {
		n, err := sys.WriteOnce(f.fd, p[len(p)-f.rest:])
		f.rest -= n
		if errors.Is(err, sys.EAGAIN) {
			err = f.wait(-1, 0, sys.PollOut)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *feed) buffer() []byte {
	if f.buf == nil {
		f.buf = make([]byte, 16<<10)
	}
	return f.buf
}

// finish ends the feed when the command has ended and gives back what it did not
// take. A reader that is not a file may go on waiting: nothing of ours does.
func (f *feed) finish() error {
	f.over.Store(true)
	sys.SetEvent(f.stop)
	file, ok := f.from.(*os.File)
	if !ok {
		f.to.Close()
		return nil
	}
	if !waitOr(f.done, pipeGrace) {
		return nil
	}
	if sys.StreamOf(file) == sys.StreamFile {
		unread := sys.Unread(max(f.fd, f.kept))
		// The pipe is the guest's to write to: never further back than we came from.
		if back := min(f.given, unread+f.rest); back > 0 {
			_ = sys.SeekBy(int(file.Fd()), -int64(back))
		}
	}
	if f.fd >= 0 {
		f.to.Close()
	}
	if f.kept >= 0 {
		sys.CloseFD(f.kept)
	}
	return f.err
}
