package sys

import (
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Stream is what kind of thing a descriptor is open on, as far as that decides
// how to copy from or to it.
type Stream int

// The kinds of stream.
const (
	StreamOther Stream = iota // a socket, a device, a directory
	StreamNull                // the null device: nothing to copy
	StreamPipe
	StreamFile // a regular file: it can be gone back in
	StreamTerminal
)

// StreamOf tells what f is open on.
func StreamOf(f *os.File) Stream {
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return StreamOther
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return StreamPipe
	case unix.S_IFREG:
		return StreamFile
	case unix.S_IFCHR:
		if st.Rdev == unix.Mkdev(1, 3) {
			return StreamNull
		}
		if IsTerminal(f) {
			return StreamTerminal
		}
	}
	return StreamOther
}

// NewPipe makes a pipe whose owner is a user of a guest, so that a command there
// can open its end once more by name, as /dev/stdout. Both ends block.
func NewPipe(uid, gid int) (r, w int, err error) {
	if r, w, err = PipeFDs(); err != nil {
		return -1, -1, Op("make", "a pipe", err)
	}
	// Where it fails the command cannot open it by name, and that is all.
	_ = unix.Fchown(r, uid, gid)
	return r, w, nil
}

// Pollable makes a descriptor a file that the runtime waits on, so that a
// deadline or Close ends a Read or Write of it. Only for what nobody else has
// open: O_NONBLOCK is everybody's.
func Pollable(fd int) *os.File {
	_ = unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), "pipe")
}

// NewEvent makes a descriptor that Poll finds readable once SetEvent was called
// (eventfd(2)).
func NewEvent() (int, error) { return unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) }

// SetEvent makes an event happen.
func SetEvent(fd int) { _, _ = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// Splice moves up to n bytes between descriptors of which one is a pipe, without
// a copy where the kernel can (splice(2)). EAGAIN: it would have to wait; EINVAL:
// one side cannot do it, as a file to append to.
func Splice(to, from, n int) (int, error) {
	return retryN(func() (int64, error) {
		return unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	})
}

// Tee gives the pipe to what the next bytes in the pipe from are, at most n, and
// leaves them there (tee(2)).
func Tee(to, from, n int) (int, error) {
	return retryN(func() (int64, error) { return unix.Tee(from, to, n, unix.SPLICE_F_NONBLOCK) })
}

// ReadOnce is read(2).
func ReadOnce(fd int, p []byte) (int, error) {
	return retryN(func() (int64, error) { n, err := unix.Read(fd, p); return int64(n), err })
}

// WriteOnce is write(2), which may take a part only.
func WriteOnce(fd int, p []byte) (int, error) {
	return retryN(func() (int64, error) { n, err := unix.Write(fd, p); return int64(n), err })
}

func retryN(f func() (int64, error)) (int, error) {
	for {
		n, err := f()
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			n = 0
		}
		return int(n), err
	}
}

// Unread is how many bytes are in a pipe, of which fd is either end (FIONREAD).
func Unread(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// SetPipeSize sets how many bytes a pipe holds, in whole pages (F_SETPIPE_SZ).
func SetPipeSize(fd, n int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, n)
	return err
}

// ReaderOf opens the reading end of a pipe of which fd is the writing one.
func ReaderOf(fd int) (int, error) {
	return unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}

// SeekBy moves a file's offset.
func SeekBy(fd int, n int64) error {
	_, err := unix.Seek(fd, n, io.SeekCurrent)
	return err
}

// What Poll waits for, besides hang-ups and errors, which it always reports.
const (
	PollIn  = unix.POLLIN
	PollOut = unix.POLLOUT
	PollEnd = unix.POLLERR | unix.POLLHUP
)

// Poll waits until one of the descriptors is as wanted and gives what each one is
// (poll(2)). A descriptor below zero is passed over.
func Poll(fds []int, wants []int16) ([]int16, error) {
	p := make([]unix.PollFd, len(fds))
	for i := range fds {
		p[i] = unix.PollFd{Fd: int32(fds[i]), Events: wants[i]}
	}
	if _, err := retryN(func() (int64, error) { n, err := unix.Poll(p, -1); return int64(n), err }); err != nil {
		return nil, err
	}
	got := make([]int16, len(fds))
	for i := range p {
		got[i] = p[i].Revents
	}
	return got, nil
}

// IgnoreTerminalInput makes reading from a terminal of which we are a background
// job fail with EIO, where it would stop us (SIGTTIN, signal(7)).
func IgnoreTerminalInput() { signal.Ignore(unix.SIGTTIN) }
