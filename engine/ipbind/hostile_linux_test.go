//go:build linux

package ipbind

import (
	"fmt"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Each test here is something that a hostile root of a guest tries.

// port is the port that an autobound socket got.
func (s sock) port() uint16 { return netip.MustParseAddrPort(s.name()).Port() }

// knock has a peer outside connect to addr and be accepted, or its datagram
// arrive, and says why that failed.
func knock(t *testing.T, from *agent, kind int, s sock, addr string) error {
	t.Helper()
	c := from.socket(family(addr), kind)
	defer c.close()
	if kind == udp {
		c.send(addr, "", "hello")
		got, err := s.recv()
		if err == nil && got[:5] != "hello" {
			err = fmt.Errorf("received %q", got)
		}
		return err
	}
	if err := c.connect(addr); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	conn, _, err := s.accept()
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	conn.close()
	return nil
}

func reaches(t *testing.T, from *agent, kind int, s sock, addr string) bool {
	t.Helper()
	return knock(t, from, kind, s, addr) == nil
}

// listen and sendto on an unbound socket bind the wildcard without a hook.
func TestAutobind(t *testing.T) {
	l := newLab(t)
	host := l.host()
	g := l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	for _, c := range []struct {
		kind, family int
		own          string
		foreign      []string
	}{
		{tcp, inet4, "198.51.100.5:%d", []string{"198.51.100.1:%d", "127.0.0.1:%d", "198.51.100.6:%d", "127.16.9.1:%d"}},
		{udp, inet4, "198.51.100.5:%d", []string{"198.51.100.1:%d", "127.0.0.1:%d", "198.51.100.6:%d", "127.16.9.1:%d"}},
		{tcp, inet6, "[2001:db8::5]:%d", []string{"[2001:db8::1]:%d", "[::1]:%d", "198.51.100.1:%d", "127.0.0.1:%d"}},
		{udp, inet6, "[2001:db8::5]:%d", []string{"[2001:db8::1]:%d", "[::1]:%d", "198.51.100.1:%d", "127.0.0.1:%d"}},
	} {
		t.Run(fmt.Sprint(c.kind, c.family), func(t *testing.T) {
			s := g.socket(c.family, c.kind)
			defer s.close()
			if c.kind == tcp {
				if err := s.listen(); err != nil {
					t.Fatal(err)
				}
			} else if err := s.send(fmt.Sprintf(c.own, 9), "", "x"); err != nil {
				t.Fatal(err)
			}
			if err := knock(t, host, c.kind, s, fmt.Sprintf(c.own, s.port())); err != nil {
				t.Error("not reached by its own address:", err)
			}
			for _, f := range c.foreign {
				if reaches(t, host, c.kind, s, fmt.Sprintf(f, s.port())) {
					t.Errorf("reached by %s", f)
				}
			}
		})
	}
}

// IP_PKTINFO lets anybody choose among the host's addresses.
func TestSourceSpoof(t *testing.T) {
	l := newLab(t)
	host := l.host()
	g := l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	sink4, sink6 := host.serve(inet4, udp, "198.51.100.1:99"), host.serve(inet6, udp, "[2001:db8::1]:99")
	for _, c := range []struct {
		name              string
		family            int
		bind, connect, to string
		src               string
		err               error
		sees              string
	}{
		{"own", inet4, "", "", "198.51.100.1:99", "198.51.100.5", nil, "198.51.100.5"},
		{"none", inet4, "", "", "198.51.100.1:99", "", nil, "198.51.100.5"},
		{"host", inet4, "", "", "198.51.100.1:99", "198.51.100.1", unix.EADDRNOTAVAIL, ""},
		{"another guest", inet4, "", "", "198.51.100.1:99", "198.51.100.6", unix.EADDRNOTAVAIL, ""},
		{"bound", inet4, "198.51.100.5:0", "", "198.51.100.1:99", "198.51.100.6", unix.EADDRNOTAVAIL, ""},
		{"connected", inet4, "", "198.51.100.1:99", "", "198.51.100.6", unix.EADDRNOTAVAIL, ""},
		{"connected, own", inet4, "", "198.51.100.1:99", "", "198.51.100.5", nil, "198.51.100.5"},
		{"another's loopback", inet4, "", "", "198.51.100.1:99", "127.16.9.1", unix.EADDRNOTAVAIL, ""},
		{"loopback to a peer", inet4, "", "", "198.51.100.1:99", "127.0.0.1", unix.EINVAL, ""},
		{"mapped", inet6, "", "", "198.51.100.1:99", "::ffff:198.51.100.6", unix.EADDRNOTAVAIL, ""},
		{"mapped, own", inet6, "", "", "198.51.100.1:99", "::ffff:198.51.100.5", nil, "198.51.100.5"},
		{"IPv6 none", inet6, "", "", "[2001:db8::1]:99", "", nil, "2001:db8::5"},
		{"IPv6 own", inet6, "", "", "[2001:db8::1]:99", "2001:db8::5", nil, "2001:db8::5"},
		{"IPv6 host", inet6, "", "", "[2001:db8::1]:99", "2001:db8::1", unix.EADDRNOTAVAIL, ""},
		{"IPv6 another", inet6, "", "", "[2001:db8::1]:99", "2001:db8::6", unix.EADDRNOTAVAIL, ""},
		{"IPv6 connected", inet6, "", "[2001:db8::1]:99", "", "2001:db8::6", unix.EADDRNOTAVAIL, ""},
		{"IPv6 connected, own", inet6, "", "[2001:db8::1]:99", "", "2001:db8::5", nil, "2001:db8::5"},
		{"IPv6 another's loopback", inet6, "", "", "[2001:db8::1]:99", "fd76:736c:6c6f::1009", unix.EADDRNOTAVAIL, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := g.socket(c.family, udp)
			defer s.close()
			s.set(unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
			if c.bind != "" {
				if err := s.bind(c.bind); err != nil {
					t.Fatal(err)
				}
			}
			if c.connect != "" {
				if err := s.connect(c.connect); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.send(c.to, c.src, "hello"); err != c.err {
				t.Fatalf("send from %s: %v, want %v", c.src, err, c.err)
			}
			if c.err != nil {
				return
			}
			sink := sink4
			if netip.MustParseAddr(c.sees).Is6() {
				sink = sink6
			}
			if got, err := sink.recv(); err != nil || ip(got[6:]) != c.sees {
				t.Errorf("arrived %q %v, want from %s", got, err, c.sees)
			}
		})
	}
	for _, s := range []sock{sink4, sink6} {
		if got, err := s.recv(); err == nil {
			t.Errorf("a spoofed datagram arrived: %s", got)
		}
	}
}

// Options that let a socket take addresses that are not local, and a privileged
// guest without a user namespace, change nothing.
func TestForeignBind(t *testing.T) {
	l := newLab(t)
	g := l.guest(0x1001, false, "198.51.100.5", "2001:db8::5")
	for _, c := range []struct {
		name       string
		family     int
		level, opt int
		addr       string
	}{
		{"IP_FREEBIND", inet4, unix.IPPROTO_IP, unix.IP_FREEBIND, "198.51.100.1:80"},
		{"IP_FREEBIND, no host address", inet4, unix.IPPROTO_IP, unix.IP_FREEBIND, "203.0.113.1:80"},
		{"IP_TRANSPARENT", inet4, unix.IPPROTO_IP, unix.IP_TRANSPARENT, "198.51.100.1:80"},
		{"SO_REUSEPORT", inet4, unix.SOL_SOCKET, unix.SO_REUSEPORT, "198.51.100.1:80"},
		{"IPV6_FREEBIND", inet6, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, "[2001:db8::1]:80"},
		{"IPV6_TRANSPARENT", inet6, unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT, "[2001:db8::1]:80"},
		{"mapped", inet6, unix.IPPROTO_IP, unix.IP_FREEBIND, "[::ffff:198.51.100.1]:80"},
	} {
		for _, kind := range []int{tcp, udp} {
			s := g.socket(c.family, kind)
			if err := s.set(c.level, c.opt, 1); err != nil {
				t.Fatal(c.name, err)
			}
			if err := s.bind(c.addr); err != unix.EADDRNOTAVAIL {
				t.Errorf("%s: bind %s: %v", c.name, c.addr, err)
			}
			s.close()
		}
	}
}

// Protocols whose ways are not all covered do not exist.
func TestSockets(t *testing.T) {
	l := newLab(t)
	in, out := l.guest(0x1001, true, "198.51.100.5"), l.guest(0x1002, false, "198.51.100.6")
	const none, perm = unix.EPROTONOSUPPORT, unix.EPERM
	for _, c := range []struct {
		name                string
		guest               *agent
		family, kind, proto int
		err                 error
	}{
		{"TCP", out, inet4, tcp, unix.IPPROTO_TCP, nil},
		{"UDP", out, inet6, udp, unix.IPPROTO_UDP, nil},
		{"MPTCP", out, inet4, tcp, unix.IPPROTO_MPTCP, none},
		{"MPTCP, IPv6", in, inet6, tcp, unix.IPPROTO_MPTCP, none},
		{"UDP-Lite", out, inet4, udp, unix.IPPROTO_UDPLITE, none},
		{"UDP-Lite, IPv6", in, inet6, udp, unix.IPPROTO_UDPLITE, none},
		{"SCTP", out, inet4, tcp, unix.IPPROTO_SCTP, none},
		{"SCTP, one to many", out, inet4, unix.SOCK_SEQPACKET, unix.IPPROTO_SCTP, unix.ESOCKTNOSUPPORT},
		{"DCCP", out, inet4, unix.SOCK_DCCP, unix.IPPROTO_DCCP, unix.ESOCKTNOSUPPORT},
		{"raw", out, inet4, unix.SOCK_RAW, unix.IPPROTO_RAW, perm},
		{"raw ICMP", out, inet4, unix.SOCK_RAW, unix.IPPROTO_ICMP, perm},
		{"raw IPv6", out, inet6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6, perm},
		{"raw in a user namespace", in, inet4, unix.SOCK_RAW, unix.IPPROTO_ICMP, perm},
		{"packet in a user namespace", in, unix.AF_PACKET, unix.SOCK_RAW, 0, perm},
		{"packet datagrams in a user namespace", in, unix.AF_PACKET, unix.SOCK_DGRAM, 0, perm},
	} {
		fd, err := c.guest.trySocket(c.family, c.kind, c.proto)
		if err != c.err && !(c.err == unix.ESOCKTNOSUPPORT && err != nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if err == nil {
			sock{c.guest, fd}.close()
		}
	}
}

// A device or a source route as a way around the address.
func TestDetours(t *testing.T) {
	l := newLab(t)
	host := l.host()
	g := l.guest(0x1001, false, "198.51.100.5") // a source route needs a capability
	for _, kind := range []int{tcp, udp} {
		s := host.serve(inet4, kind, "127.0.0.1:25")
		x := g.socket(inet4, kind)
		if _, _, err := x.do(request{Op: "device", FD: x.fd, Data: []byte("lo")}); err != nil {
			t.Fatal(err)
		}
		if x.connect("127.0.0.1:25") == nil {
			x.send("", "", "hello")
		}
		y := g.socket(inet4, kind)
		route := []byte{131, 7, 4, 127, 0, 0, 1, 0} // LSRR by 127.0.0.1
		if _, _, err := y.do(request{Op: "setbytes", FD: y.fd, Args: []int{unix.IPPROTO_IP, unix.IP_OPTIONS}, Data: route}); err != nil {
			t.Fatal(err)
		}
		if y.connect("198.51.100.1:25") == nil {
			y.send("", "", "hello")
		}
		if kind == udp {
			if got, err := s.recv(); err == nil {
				t.Error("reached:", got)
			}
		} else if _, from, err := s.accept(); err == nil {
			t.Error("reached from", from)
		}
		x.close()
		y.close()
		s.close()
	}
}

// Ping sockets have no hook for bind and sendto.
func TestPing(t *testing.T) {
	l := newLab(t)
	if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0); err != nil {
		t.Fatal(err)
	}
	g := l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	echo4, echo6 := "\x08\x00\x00\x00\x00\x01\x00\x01", "\x80\x00\x00\x00\x00\x01\x00\x01"
	for _, c := range []struct {
		family, proto int
		bind, to      string
		data          string
		answer        bool
	}{
		{inet4, unix.IPPROTO_ICMP, "", "198.51.100.1:0", echo4, true},
		{inet4, unix.IPPROTO_ICMP, "", "127.0.0.1:0", echo4, true},
		{inet4, unix.IPPROTO_ICMP, "198.51.100.5:0", "198.51.100.1:0", echo4, true},
		{inet4, unix.IPPROTO_ICMP, "198.51.100.6:0", "198.51.100.1:0", echo4, false},
		{inet6, unix.IPPROTO_ICMPV6, "", "[2001:db8::1]:0", echo6, true},
		{inet6, unix.IPPROTO_ICMPV6, "[2001:db8::5]:0", "[2001:db8::1]:0", echo6, true},
		{inet6, unix.IPPROTO_ICMPV6, "[2001:db8::6]:0", "[2001:db8::1]:0", echo6, false},
	} {
		fd, err := g.trySocket(c.family, udp, c.proto)
		if err != nil {
			t.Fatal(err)
		}
		s := sock{g, fd}
		if c.bind != "" {
			if err := s.bind(c.bind); err != nil {
				t.Fatal(c.bind, err)
			}
		}
		// The kernel tells of a dropped ICMPv6 packet by no error. Nor does it
		// promise to answer each echo request in time on a loaded machine.
		for range 4 {
			err = s.send(c.to, "", c.data)
			if err == nil {
				_, err = s.recv()
			}
			if !c.answer || err == nil {
				break
			}
		}
		if c.answer != (err == nil) {
			t.Errorf("ping %s from %q: %v", c.to, c.bind, err)
		}
		s.close()
	}
}

func TestSamePorts(t *testing.T) {
	l := newLab(t)
	host := l.host()
	a := l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	b := l.guest(0x1002, true, "198.51.100.6", "2001:db8::6")
	for _, kind := range []int{tcp, udp} {
		for _, any := range []string{"0.0.0.0:80", "127.0.0.1:80", "[::]:81", "[::1]:81"} {
			x, y := a.serve(family(any), kind, any), b.serve(family(any), kind, any)
			switch any {
			case "0.0.0.0:80":
				if !reaches(t, host, kind, x, "198.51.100.5:80") || !reaches(t, host, kind, y, "198.51.100.6:80") {
					t.Error("not reached", any)
				}
			case "[::]:81":
				if !reaches(t, host, kind, x, "[2001:db8::5]:81") || !reaches(t, host, kind, y, "[2001:db8::6]:81") {
					t.Error("not reached", any)
				}
			default:
				if !reaches(t, a, kind, x, any) || !reaches(t, b, kind, y, any) {
					t.Error("not reached", any)
				}
			}
			x.close()
			y.close()
		}
	}
}

// The kernel wants a descriptor of the program, and only CAP_SYS_ADMIN gets one.
func TestNoDetach(t *testing.T) {
	l := newLab(t)
	g := l.guest(0x1001, true, "198.51.100.5")
	for _, dir := range l.groups {
		if _, _, err := g.do(request{Op: "detach", Addr: dir, Args: []int{int(unix.BPF_CGROUP_INET4_BIND)}}); err == nil {
			t.Error("detached", dir)
		}
	}
	if err := g.socket(inet4, tcp).bind("198.51.100.1:80"); err != unix.EADDRNOTAVAIL {
		t.Error(err)
	}
}
