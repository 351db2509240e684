//go:build linux

package ipbind

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	inet4, inet6 = unix.AF_INET, unix.AF_INET6
	tcp, udp     = unix.SOCK_STREAM, unix.SOCK_DGRAM
)

// sock is one socket of an agent.
type sock struct {
	*agent
	fd int
}

func (a *agent) socket(family, kind int) sock {
	a.t.Helper()
	fd, err := a.trySocket(family, kind, 0)
	if err != nil {
		a.t.Fatal("socket", err)
	}
	return sock{a, fd}
}

func (a *agent) trySocket(family, kind, proto int) (int, error) {
	fd, _, err := a.do(request{Op: "socket", Args: []int{family, kind, proto}})
	return fd, err
}

func (s sock) op(op, addr string) (string, error) {
	_, text, err := s.do(request{Op: op, FD: s.fd, Addr: addr})
	return text, err
}
func (s sock) close()                    { s.op("close", "") }
func (s sock) bind(addr string) error    { _, err := s.op("bind", addr); return err }
func (s sock) connect(addr string) error { _, err := s.op("connect", addr); return err }
func (s sock) listen() error             { return s.backlog(8) }
func (s sock) name() string              { text, _ := s.op("getsockname", ""); return text }
func (s sock) peer() string              { text, _ := s.op("getpeername", ""); return text }
func (s sock) backlog(n int) error {
	_, _, err := s.do(request{Op: "listen", FD: s.fd, Args: []int{n}})
	return err
}
func (s sock) set(level, opt, v int) error {
	_, _, err := s.do(request{Op: "setsockopt", FD: s.fd, Args: []int{level, opt, v}})
	return err
}
func (s sock) send(to, src, data string, flags ...int) error {
	_, _, err := s.do(request{Op: "send", FD: s.fd, Addr: to, Src: src, Data: []byte(data), Args: flags})
	return err
}
func (s sock) recv() (string, error) { return s.op("recv", "") }
func (s sock) accept() (sock, string, error) {
	fd, text, err := s.do(request{Op: "accept", FD: s.fd})
	return sock{s.agent, fd}, text, err
}

func (a *agent) serve(family, kind int, addr string) sock {
	a.t.Helper()
	s := a.socket(family, kind)
	s.set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := s.bind(addr); err != nil {
		a.t.Fatalf("bind %s: %v", addr, err)
	}
	if kind == tcp {
		if err := s.listen(); err != nil {
			a.t.Fatalf("listen %s: %v", addr, err)
		}
	}
	return s
}

func TestBindRules(t *testing.T) {
	l := newLab(t)
	const none = unix.EADDRNOTAVAIL
	v4 := l.guest(0x1001, true, "198.51.100.5", "198.51.100.6")
	v6 := l.guest(0x1002, true, "2001:db8::5")
	both := l.guest(0x1003, false, "198.51.100.7", "2001:db8::7")
	bare := l.guest(0x1004, true)
	for _, c := range []struct {
		name   string
		guest  *agent
		family int
		only   bool // IPV6_V6ONLY
		addr   string
		shows  string
		err    error
	}{
		{"wildcard is the first address", v4, inet4, false, "0.0.0.0:80", "198.51.100.5:80", nil},
		{"own address", v4, inet4, false, "198.51.100.6:80", "198.51.100.6:80", nil},
		{"privileged port of loopback", v4, inet4, false, "127.0.0.1:22", "127.0.0.1:22", nil},
		{"the rest of 127/8", v4, inet4, false, "127.0.0.53:53", "127.0.0.1:53", nil},
		{"private loopback by its name", v4, inet4, false, "127.16.1.1:70", "127.0.0.1:70", nil},
		{"another guest's loopback is one's own", v4, inet4, false, "127.16.2.1:70", "127.0.0.1:70", nil},
		{"host address", v4, inet4, false, "198.51.100.1:80", "", none},
		{"another guest's address", v4, inet4, false, "198.51.100.7:80", "", none},
		{"broadcast", v4, inet4, false, "255.255.255.255:80", "", none},
		{"multicast", v4, inet4, false, "224.0.0.251:5353", "", none},
		{"dual-stack wildcard without IPv6", v4, inet6, false, "[::]:80", "[::ffff:198.51.100.5]:80", nil},
		{"IPv6-only wildcard without IPv6 is nowhere", v4, inet6, true, "[::]:80", "[::1]:*", nil},
		{"::1 without IPv6", v4, inet6, false, "[::1]:80", "[::ffff:127.0.0.1]:80", nil},
		{"IPv6-only ::1 without IPv6", v4, inet6, true, "[::1]:80", "", none},
		{"mapped wildcard", v4, inet6, false, "[::ffff:0.0.0.0]:80", "[::ffff:198.51.100.5]:80", nil},
		{"mapped loopback", v4, inet6, false, "[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80", nil},
		{"mapped host address", v4, inet6, false, "[::ffff:198.51.100.1]:80", "", none},
		{"host IPv6 address", v4, inet6, false, "[2001:db8::1]:80", "", none},
		{"IPv6 wildcard", v6, inet6, false, "[::]:80", "[2001:db8::5]:80", nil},
		{"IPv6-only wildcard", v6, inet6, true, "[::]:80", "[2001:db8::5]:80", nil},
		{"own IPv6 address", v6, inet6, false, "[2001:db8::5]:80", "[2001:db8::5]:80", nil},
		{"::1", v6, inet6, false, "[::1]:80", "[::1]:80", nil},
		{"IPv6-only ::1", v6, inet6, true, "[::1]:80", "[::1]:80", nil},
		{"another's IPv6 loopback", v6, inet6, false, "[fd76:736c:6c6f::1003]:80", "", none},
		{"another guest's IPv6 address", v6, inet6, false, "[2001:db8::7]:80", "", none},
		{"IPv6 multicast", v6, inet6, false, "[ff02::fb]:5353", "", none},
		{"wildcard without IPv4 is loopback", v6, inet4, false, "0.0.0.0:80", "127.0.0.1:80", nil},
		{"dual-stack wildcard with both", both, inet6, false, "[::]:80", "[2001:db8::7]:80", nil},
		{"IPv4 wildcard with both", both, inet4, false, "0.0.0.0:80", "198.51.100.7:80", nil},
		{"without addresses", bare, inet4, false, "0.0.0.0:80", "127.0.0.1:80", nil},
		{"IPv6 without addresses", bare, inet6, false, "[::]:80", "[::ffff:127.0.0.1]:80", nil},
		{"the host's address without addresses", bare, inet4, false, "198.51.100.1:80", "", none},
	} {
		for kind, what := range map[int]string{tcp: "tcp", udp: "udp"} {
			t.Run(c.name+"/"+what, func(t *testing.T) {
				s := c.guest.socket(c.family, kind)
				defer s.close()
				if c.family == inet6 {
					v := 0
					if c.only {
						v = 1
					}
					s.set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v)
				}
				if err := s.bind(c.addr); err != c.err {
					t.Fatalf("bind %s: %v, want %v", c.addr, err, c.err)
				}
				got := s.name()
				if host, ok := strings.CutSuffix(c.shows, "*"); ok && strings.HasPrefix(got, host) {
					got = c.shows
				}
				if c.err == nil && got != c.shows {
					t.Errorf("shows %s, want %s", s.name(), c.shows)
				}
			})
		}
	}
}
