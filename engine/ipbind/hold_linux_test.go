//go:build linux

package ipbind

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// held are the descriptors of "hold".
var held []int

func drop() error {
	for _, fd := range held {
		unix.Close(fd)
	}
	held = nil
	return nil
}

// hold takes ports in some way, as many as it gets of q.Args[0], and keeps them. It
// gives how many, and the error that ended it as text.
func (q *request) hold() (int, string, error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, "", err
	}
	lim.Cur = lim.Max
	unix.Setrlimit(unix.RLIMIT_NOFILE, &lim)
	take, ok := takers[string(q.Data)]
	if !ok {
		return 0, "", fmt.Errorf("no way to hold %q", q.Data)
	}
	end := time.Now().Add(30 * time.Second)
	n, last, failures := 0, error(nil), 0
	for i := 0; n < q.Args[0] && failures < 64 && time.Now().Before(end); i++ {
		if err := take(q.Addr, i); err != nil {
			last = err
			failures++
			continue
		}
		n, failures = n+1, 0
	}
	if last == nil {
		return n, "", nil
	}
	return n, last.Error(), nil
}

func newSocket(kind int) (int, error) {
	return unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
}

// kept makes a socket, has f do something with it, and keeps it.
func kept(kind int, f func(fd int) error) error {
	fd, err := newSocket(kind)
	if err != nil {
		return err
	}
	if err := f(fd); err != nil {
		unix.Close(fd)
		return err
	}
	held = append(held, fd)
	return nil
}

func at(addr string, port int) unix.Sockaddr {
	return &unix.SockaddrInet4{Addr: netip.MustParseAddr(addr).As4(), Port: port}
}

var takers = map[string]func(addr string, i int) error{
	"socket": func(string, int) error { return kept(unix.SOCK_STREAM, func(int) error { return nil }) },
	"bind": func(addr string, i int) error {
		return kept(unix.SOCK_STREAM, func(fd int) error { return unix.Bind(fd, at(addr, 32768+i)) })
	},
	"bind any": func(addr string, _ int) error {
		return kept(unix.SOCK_STREAM, func(fd int) error { return unix.Bind(fd, at(addr, 0)) })
	},
	"udp": func(addr string, i int) error {
		return kept(unix.SOCK_DGRAM, func(fd int) error { return unix.Bind(fd, at(addr, 32768+i)) })
	},
	"udp connect": func(addr string, _ int) error {
		return kept(unix.SOCK_DGRAM, func(fd int) error { return unix.Connect(fd, at(addr, 9)) })
	},
	"sendto": func(addr string, _ int) error {
		return kept(unix.SOCK_DGRAM, func(fd int) error { return unix.Sendto(fd, []byte("x"), 0, at(addr, 9)) })
	},
	"sendto, refused": func(addr string, _ int) error {
		return kept(unix.SOCK_DGRAM, func(fd int) error { unix.Sendto(fd, []byte("x"), 0, at(addr, 9)); return nil })
	},
	"listen": func(string, int) error {
		return kept(unix.SOCK_STREAM, func(fd int) error { return unix.Listen(fd, 1) })
	},
	// A port that bind took and that stays behind in TIME_WAIT: one of those that
	// connect looks for first, which are even.
	"linger": func(addr string, i int) error {
		l, err := newSocket(unix.SOCK_STREAM)
		if err != nil {
			return err
		}
		defer unix.Close(l)
		c, err := newSocket(unix.SOCK_STREAM)
		if err != nil {
			return err
		}
		if err := errors.Join(unix.Bind(l, at(addr, 20000)), unix.Listen(l, 8)); err != nil {
			unix.Close(c)
			return err
		}
		if err := unix.Bind(c, at(addr, 32768+2*i)); err != nil {
			unix.Close(c)
			return err
		}
		if err := unix.Connect(c, at(addr, 20000)); err != nil {
			unix.Close(c)
			return err
		}
		a, _, err := unix.Accept(l)
		unix.Close(c)
		if err == nil {
			unix.Close(a)
		}
		return err
	},
}

// out connects to a listener and sends to a resolver, at the address, from where the
// kernel chooses: what all others have to be able to do. Ten times each, at once.
func (q *request) out() error {
	to := sockaddr(-1, "v4!"+q.Addr)
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	for range 10 {
		for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
			fd, err := newSocket(kind)
			if err != nil {
				return err
			}
			fds = append(fds, fd)
			if err := unix.Connect(fd, to); err != nil {
				return err
			}
		}
	}
	return nil
}
