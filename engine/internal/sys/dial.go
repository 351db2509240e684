package sys

import (
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// DialInNetNS connects to a TCP port of 127.0.0.1 in another network namespace.
// A socket belongs to the namespace it was made in, so only its making needs a
// thread there; the thread is thrown away.
func DialInNetNS(ns *os.File, port int, timeout time.Duration) (*os.File, error) {
	type result struct {
		fd  int
		err error
	}
	c := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		fd, err := -1, unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		}
		c <- result{fd, err}
	}()
	r := <-c
	if r.err != nil {
		return nil, Op("make socket in network namespace", "", r.err)
	}
	f := os.NewFile(uintptr(r.fd), "socket")
	tv := unix.NsecToTimeval(max(timeout, time.Millisecond).Nanoseconds())
	err := unix.SetsockoptTimeval(r.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv)
	if err == nil {
		err = Retry(func() error {
			return unix.Connect(r.fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		})
	}
	if err != nil {
		f.Close()
		return nil, Op("connect to", "127.0.0.1 in the guest", err)
	}
	return f, nil
}

// PacketPriority gives net.Dialer's Control for sockets whose packets have that
// priority. One above 6 takes CAP_NET_ADMIN: socket(7), SO_PRIORITY.
func PacketPriority(priority int) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PRIORITY, priority)
		}); e != nil {
			return e
		}
		return Op("set the priority of a socket", "", err)
	}
}
