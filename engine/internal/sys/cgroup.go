package sys

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// IsCgroup says whether path is on a mounted cgroup file system of the wanted
// generation: v2 when unified, else v1. It follows mounts, so that a cgroup
// mount hidden below another mount is found out.
func IsCgroup(path string, unified bool) bool {
	var st unix.Statfs_t
	if err := Retry(func() error { return unix.Statfs(path, &st) }); err != nil {
		return false
	}
	if unified {
		return st.Type == unix.CGROUP2_SUPER_MAGIC
	}
	return st.Type == unix.CGROUP_SUPER_MAGIC
}

// Owner gives the owner of an open file.
func Owner(f *os.File) (uid, gid int, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, 0, Op("stat", f.Name(), err)
	}
	return int(st.Uid), int(st.Gid), nil
}

// BlockDevice gives the device number of a block device's node; the node may
// be a link. Any other kind of file is ENODEV.
func BlockDevice(path string) (major, minor uint32, err error) {
	var st unix.Stat_t
	if err := Retry(func() error { return unix.Stat(path, &st) }); err != nil {
		return 0, 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return 0, 0, ENODEV
	}
	return unix.Major(st.Rdev), unix.Minor(st.Rdev), nil
}

// KillPidFD opens pid, asks check whether it still is the process that is
// meant, and sends SIGKILL through the descriptor: a number that was given to
// another process meanwhile is never hit. A process that is gone is no error.
func KillPidFD(pid int, check func() bool) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !check() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
		return err
	}
	return nil
}

// Watch waits for the notifications of one kernel file, such as cgroup.events,
// that answers poll(2) with POLLPRI after each change.
//
// It is an epoll descriptor that Go's own poller waits on: a waiting goroutine
// costs no thread, and no inotify instance, of which a user has only 128.
type Watch struct {
	file *os.File // the watched file
	ep   *os.File
}

// NewWatch watches the file; f stays the caller's.
func NewWatch(f *os.File) (*Watch, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, Op("watch", f.Name(), err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		unix.Close(fd)
		return nil, Op("watch", f.Name(), err)
	}
	var addErr error
	err = raw.Control(func(target uintptr) {
		ev := unix.EpollEvent{Events: unix.EPOLLPRI, Fd: int32(target)}
		addErr = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, int(target), &ev)
	})
	if err = errors.Join(err, addErr, unix.SetNonblock(fd, true)); err != nil {
		unix.Close(fd)
		return nil, Op("watch", f.Name(), err)
	}
	return &Watch{file: f, ep: os.NewFile(uintptr(fd), "epoll")}, nil
}

// Wait returns nil after a change since the file was last read, or when limit
// has passed; it returns the context's error when that ends first.
func (w *Watch) Wait(ctx context.Context, limit time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	raw, err := w.ep.SyscallConn()
	if err != nil {
		return err
	}
	if err := w.ep.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { w.ep.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err = raw.Read(func(fd uintptr) bool {
		var ev [1]unix.EpollEvent
		n, err := unix.EpollWait(int(fd), ev[:], 0)
		return n > 0 || (err != nil && err != unix.EINTR)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// Close ends the watch; the watched file stays open.
func (w *Watch) Close() error { return w.ep.Close() }
