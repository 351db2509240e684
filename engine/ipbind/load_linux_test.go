//go:build linux

package ipbind

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// What an agent does many times at one request.

// processor is what this process has used, of which the network stack is a part. It
// tells more than the time that passed, on a machine that has other work.
func processor() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rounds sends datagrams between two sockets of the agent on its address and
// gives the nanoseconds of processor that one way took.
func (q *request) rounds() (int, string, error) {
	sa := sockaddr(-1, "v4!"+q.Addr)
	a, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return 0, "", err
	}
	defer unix.Close(a)
	b, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return 0, "", err
	}
	defer unix.Close(b)
	if err := errors.Join(unix.Bind(a, sa), unix.Connect(b, sa)); err != nil {
		return 0, "", err
	}
	buf := make([]byte, 64)
	start := processor()
	for range q.Args[0] {
		if _, err := unix.Write(b, buf); err != nil {
			return 0, "", err
		}
		if _, err := unix.Read(a, buf); err != nil {
			return 0, "", err
		}
	}
	return int((processor() - start).Nanoseconds()) / q.Args[0], "", nil
}

// connections connects to a listener of its own, accepts and closes, and gives the
// nanoseconds of processor of one.
func (q *request) connections() (int, string, error) {
	sa := sockaddr(-1, "v4!"+q.Addr)
	family := unix.AF_INET
	if netip.MustParseAddrPort(q.Addr).Addr().Is6() {
		family = unix.AF_INET6
	}
	l, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return 0, "", err
	}
	defer unix.Close(l)
	// Ports that wait are not to be what is measured.
	now := &unix.Linger{Onoff: 1}
	if err := errors.Join(unix.Bind(l, sa), unix.Listen(l, 8)); err != nil {
		return 0, "", err
	}
	start := processor()
	for range q.Args[0] {
		c, err := unix.Socket(family, unix.SOCK_STREAM, 0)
		if err != nil {
			return 0, "", err
		}
		unix.SetsockoptLinger(c, unix.SOL_SOCKET, unix.SO_LINGER, now)
		if err := unix.Connect(c, sa); err != nil {
			return 0, "", err
		}
		a, _, err := unix.Accept(l)
		if err != nil {
			return 0, "", err
		}
		unix.Close(c)
		unix.Close(a)
	}
	return int((processor() - start).Nanoseconds()) / q.Args[0], "", nil
}

// stream sends so many MiB by one connection to a listener of its own, for no longer
// than some seconds, and gives the Mbit/s.
func (q *request) stream() (int, string, error) {
	l, err := net.Listen("tcp", q.Addr)
	if err != nil {
		return 0, "", err
	}
	defer l.Close()
	end := time.Now().Add(4 * time.Second)
	got := make(chan int64)
	go func() {
		c, err := l.Accept()
		if err != nil {
			got <- 0
			return
		}
		defer c.Close()
		c.SetDeadline(end)
		n, _ := io.Copy(io.Discard, c)
		got <- n
	}()
	start := time.Now()
	c, err := net.Dial("tcp", q.Addr)
	if err != nil {
		return 0, "", err
	}
	c.SetDeadline(end)
	buf := make([]byte, 1<<20)
	for range q.Args[0] {
		if _, err := c.Write(buf); err != nil {
			break // the time is over
		}
	}
	c.Close()
	n := <-got
	return int(float64(n*8) / time.Since(start).Seconds() / 1e6), "", nil
}

// churn sends datagrams on connected sockets without an address while it
// connects, disconnects and binds them, for some milliseconds: whatever leaves
// in between must be the guest's.
func (q *request) churn() error {
	family := unix.AF_INET
	if netip.MustParseAddrPort(q.Addr).Addr().Is6() {
		family = unix.AF_INET6
	}
	to := sockaddr(-1, "v4!"+q.Addr)
	var any unix.Sockaddr = &unix.SockaddrInet4{}
	if family == unix.AF_INET6 {
		any = &unix.SockaddrInet6{}
	}
	end := time.Now().Add(time.Duration(q.Args[0]) * time.Millisecond)
	for time.Now().Before(end) {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					unix.Write(fd, []byte("hello"))
				}
			}
		}()
		for range 200 {
			unix.Sendto(fd, []byte("hello"), 0, to)
			unix.Connect(fd, to)
			b := [28]byte{}
			unix.Syscall(unix.SYS_CONNECT, uintptr(fd), bytesPtr(b[:]), 28)
		}
		unix.Bind(fd, any)
		close(stop)
		<-done
		unix.Close(fd)
	}
	return nil
}
