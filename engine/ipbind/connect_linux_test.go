//go:build linux

package ipbind

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ip is the address without the port, which differs each time.
func ip(s string) string {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return s
	}
	return ap.Addr().String()
}

type reach struct {
	name   string
	server *agent
	listen string // where the server binds, in its family
	client *agent
	v6     bool   // the client's socket is AF_INET6
	bind   string // where the client binds first; "" nowhere
	to     string
	err    error  // of connect, or of the first datagram
	local  string // the client's own address as it sees it
	peer   string // the peer as the client sees it
	sees   string // the client as the server sees it
}

func family(addr string) int {
	if strings.HasPrefix(addr, "[") {
		return inet6
	}
	return inet4
}

func (r *reach) run(t *testing.T, kind int) {
	if r.listen != "" {
		s := r.server.serve(family(r.listen), kind, r.listen)
		defer s.close()
		defer r.talk(t, kind, s)
		return
	}
	r.talk(t, kind, sock{})
}

func (r *reach) talk(t *testing.T, kind int, server sock) {
	f := inet4
	if r.v6 {
		f = inet6
	}
	c := r.client.socket(f, kind)
	defer c.close()
	if r.bind != "" {
		if err := c.bind(r.bind); err != nil {
			t.Fatal("client bind", err)
		}
	}
	err := c.connect(r.to)
	if err == nil && kind == udp {
		err = c.send("", "", "hello")
	}
	if err == nil && kind == udp && r.err != nil {
		_, err = c.recv()
	}
	if err != r.err {
		if r.err == nil || err == nil || (kind == tcp) {
			t.Fatalf("connect %s: %v, want %v", r.to, err, r.err)
		}
	}
	if r.err != nil {
		return
	}
	if got := ip(c.name()); got != r.local {
		t.Errorf("client is %s, want %s", got, r.local)
	}
	if got := ip(c.peer()); got != r.peer {
		t.Errorf("client's peer is %s, want %s", got, r.peer)
	}
	var sees string
	if kind == tcp {
		conn, from, err := server.accept()
		if err != nil {
			t.Fatal("accept", err)
		}
		defer conn.close()
		sees = conn.peer()
		if ip(sees) != ip(from) {
			t.Logf("accept says %s, getpeername %s", from, sees)
		}
	} else {
		got, err := server.recv()
		if err != nil {
			t.Fatal("recv", err)
		}
		_, sees, _ = strings.Cut(got, " ")
		if err := server.send(sees, "", "answer"); err != nil {
			t.Error("answer", err)
		}
		if got, err := c.recv(); err != nil || !strings.HasPrefix(got, "answer ") || ip(got[7:]) != r.peer {
			t.Errorf("answer %q %v, want from %s", got, err, r.peer)
		}
	}
	if ip(sees) != r.sees {
		t.Errorf("server sees %s, want %s", ip(sees), r.sees)
	}
}

func TestConnectRules(t *testing.T) {
	l := newLab(t)
	host := l.host()
	v4 := l.guest(0x1001, true, "198.51.100.5")
	v6 := l.guest(0x1002, true, "2001:db8::5")
	both := l.guest(0x1003, false, "198.51.100.7", "2001:db8::7")
	bare := l.guest(0x1004, true)
	const refused = unix.ECONNREFUSED
	const lo, mlo = "127.0.0.1", "::ffff:127.0.0.1"
	rows := []reach{
		{"a remote peer", host, "198.51.100.1:80", v4, false, "", "198.51.100.1:80", nil, "198.51.100.5", "198.51.100.1", "198.51.100.5"},
		{"a remote peer, mapped", host, "198.51.100.1:80", v4, true, "", "198.51.100.1:80", nil, "::ffff:198.51.100.5", "::ffff:198.51.100.1", "198.51.100.5"},
		{"another guest", both, "0.0.0.0:80", v4, false, "", "198.51.100.7:80", nil, "198.51.100.5", "198.51.100.7", "198.51.100.5"},
		{"the other way", v4, "0.0.0.0:80", host, false, "198.51.100.1:0", "198.51.100.5:80", nil, "198.51.100.1", "198.51.100.5", "198.51.100.1"},
		{"own address", v4, "0.0.0.0:80", v4, false, "", "198.51.100.5:80", nil, "198.51.100.5", "198.51.100.5", "198.51.100.5"},
		{"own loopback", v4, "127.0.0.1:80", v4, false, "", "127.0.0.1:80", nil, lo, lo, lo},
		{"own loopback from a bound socket", v4, "127.0.0.1:80", v4, false, "127.0.0.1:0", "127.0.0.1:80", nil, lo, lo, lo},
		{"own loopback from the own address", v4, "127.0.0.1:80", v4, false, "198.51.100.5:0", "127.0.0.1:80", nil, lo, lo, lo},
		{"own loopback by another name", v4, "127.0.0.1:80", v4, false, "", "127.0.1.1:80", nil, lo, lo, lo},
		{"0.0.0.0 is loopback", v4, "127.0.0.1:80", v4, false, "", "0.0.0.0:80", nil, lo, lo, lo},
		{"0.0.0.0 of a bound socket is its address", v4, "0.0.0.0:80", v4, false, "198.51.100.5:0", "0.0.0.0:80", nil, "198.51.100.5", "198.51.100.5", "198.51.100.5"},
		{"localhost of a wildcard service", v4, "0.0.0.0:80", v4, false, "", "127.0.0.1:80", nil, lo, lo, lo},
		{"localhost of a dual-stack service", v4, "[::]:80", v4, false, "", "127.0.0.1:80", nil, lo, lo, mlo},
		{"::1 of a wildcard service without IPv6", v4, "0.0.0.0:80", v4, true, "", "[::1]:80", nil, mlo, mlo, lo},
		{"mapped loopback", v4, "127.0.0.1:80", v4, true, "", "127.0.0.1:80", nil, mlo, mlo, lo},
		{"loopback without addresses", bare, "0.0.0.0:80", bare, false, "", "127.0.0.1:80", nil, lo, lo, lo},
		{"IPv6 peer", host, "[2001:db8::1]:80", v6, true, "", "[2001:db8::1]:80", nil, "2001:db8::5", "2001:db8::1", "2001:db8::5"},
		{"::1", v6, "[::1]:80", v6, true, "", "[::1]:80", nil, "::1", "::1", "::1"},
		{":: is ::1", v6, "[::1]:80", v6, true, "", "[::]:80", nil, "::1", "::1", "::1"},
		{"::1 of a wildcard service", v6, "[::]:80", v6, true, "", "[::1]:80", nil, "::1", "::1", "::1"},
		{"own IPv6 address", v6, "[::]:80", v6, true, "", "[2001:db8::5]:80", nil, "2001:db8::5", "2001:db8::5", "2001:db8::5"},

		{"nobody there", v4, "", v4, false, "", "127.0.0.1:80", refused, "", "", ""},
		{"the host's loopback", host, "127.0.0.1:80", v4, false, "", "127.0.0.1:80", refused, "", "", ""},
		{"the host's loopback, mapped", host, "127.0.0.1:80", v4, true, "", "127.0.0.1:80", refused, "", "", ""},
		{"the host's loopback by 0.0.0.0", host, "127.0.0.1:80", v4, false, "", "0.0.0.0:80", refused, "", "", ""},
		{"the host's loopback by ::", host, "[::1]:80", v6, true, "", "[::]:80", refused, "", "", ""},
		{"the host's ::1", host, "[::1]:80", v6, true, "", "[::1]:80", refused, "", "", ""},
		{"the host's ::1 without IPv6", host, "[::1]:80", v4, true, "", "[::1]:80", refused, "", "", ""},
		{"another guest's loopback", both, "127.0.0.1:80", v4, false, "", "127.16.3.1:80", refused, "", "", ""},
		{"another guest's loopback, mapped", both, "127.0.0.1:80", v4, true, "", "127.16.3.1:80", refused, "", "", ""},
		{"another guest's IPv6 loopback", both, "[::1]:80", v6, true, "", "[fd76:736c:6c6f::1003]:80", refused, "", "", ""},
		{"no IPv6", host, "[2001:db8::1]:80", v4, true, "", "[2001:db8::1]:80", unix.ENETUNREACH, "", "", ""},
		{"no IPv4", host, "198.51.100.1:80", v6, false, "", "198.51.100.1:80", unix.ENETUNREACH, "", "", ""},
		{"no IPv4, mapped", host, "198.51.100.1:80", v6, true, "", "198.51.100.1:80", unix.ENETUNREACH, "", "", ""},
		{"loopback to a peer", host, "198.51.100.1:80", v4, false, "127.0.0.1:0", "198.51.100.1:80", unix.EINVAL, "", "", ""},
		{"IPv6 loopback to a peer", host, "[2001:db8::1]:80", v6, true, "[::1]:0", "[2001:db8::1]:80", unix.EINVAL, "", "", ""},
	}
	onlyUDP := []reach{
		{"own loopback from the own address", v4, "127.0.0.1:80", v4, false, "198.51.100.5:0", "127.0.0.1:80", nil, lo, lo, "198.51.100.5"},
		{"AF_INET address on an IPv6 socket", v4, "127.0.0.1:80", v4, true, "", "v4!127.0.0.1:80", nil, mlo, mlo, lo},
	}
	for _, r := range rows {
		t.Run(r.name+"/tcp", func(t *testing.T) { r.run(t, tcp) })
		if ip(r.bind) != "198.51.100.5" || r.to != "127.0.0.1:80" {
			t.Run(r.name+"/udp", func(t *testing.T) { r.run(t, udp) })
		}
	}
	for _, r := range onlyUDP {
		t.Run(r.name+"/udp", func(t *testing.T) { r.run(t, udp) })
	}
}

// A client that is neither bound nor connected gets its answers too.
func TestUnconnectedClient(t *testing.T) {
	l := newLab(t)
	g := l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	for _, c := range []struct{ listen, to, from string }{
		{"127.0.0.1:53", "127.0.0.1:53", "127.0.0.1:53"},
		{"0.0.0.0:53", "127.0.0.1:53", "198.51.100.5:53"},
		{"0.0.0.0:53", "198.51.100.5:53", "198.51.100.5:53"},
		{"[::1]:53", "[::1]:53", "[::1]:53"},
		{"[::]:53", "[2001:db8::5]:53", "[2001:db8::5]:53"},
	} {
		server, client := g.serve(family(c.listen), udp, c.listen), g.socket(family(c.to), udp)
		if err := client.send(c.to, "", "ask"); err != nil {
			t.Fatal(c.to, err)
		}
		got, err := server.recv()
		for tries := 0; err != nil && tries < 3; tries++ { // a datagram may be lost on a loaded machine
			if err := client.send(c.to, "", "ask"); err != nil {
				t.Fatal(c.to, err)
			}
			got, err = server.recv()
		}
		if err != nil {
			t.Fatal(c.to, err)
		}
		if err := server.send(strings.Fields(got)[1], "", "answer"); err != nil {
			t.Error(c.to, err)
		}
		if got, err := client.recv(); err != nil || got != "answer "+c.from {
			t.Errorf("%s: %q %v", c.to, got, err)
		}
		server.close()
		client.close()
	}
}
