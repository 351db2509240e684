//go:build linux

package ipbind

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// What a hostile guest tries in order to look like a local peer to the host.

// A host service on the wildcard answers on all of 127/8 too.
func TestHostWildcard(t *testing.T) {
	l := newLab(t)
	host := l.host()
	g := l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	for _, c := range []struct {
		family   int
		any      string
		bind, to string
	}{
		{inet4, "0.0.0.0:25", "", "127.0.0.1:25"},
		{inet4, "0.0.0.0:25", "", "127.16.1.1:25"},
		{inet4, "0.0.0.0:25", "", "0.0.0.0:25"},
		{inet4, "0.0.0.0:25", "127.0.0.1:0", "198.51.100.5:25"},
		{inet4, "0.0.0.0:25", "127.0.0.1:0", "198.51.100.1:25"},
		{inet4, "[::]:25", "", "127.0.0.1:25"},
		{inet6, "[::]:25", "", "[::1]:25"},
		{inet6, "[::]:25", "", "[::ffff:127.0.0.1]:25"},
		{inet6, "[::]:25", "[::1]:0", "[2001:db8::5]:25"},
		{inet6, "[::]:25", "[::1]:0", "[2001:db8::1]:25"},
	} {
		for _, kind := range []int{tcp, udp} {
			s := host.serve(family(c.any), kind, c.any)
			x := g.socket(c.family, kind)
			if c.bind != "" {
				if err := x.bind(c.bind); err != nil {
					t.Fatal(err)
				}
			}
			if kind == tcp {
				if err := x.connect(c.to); err == nil || err == unix.EINPROGRESS {
					t.Errorf("connect %s: %v", c.to, err)
				}
				if err := x.send(c.to, "", "hello", unix.MSG_FASTOPEN); err == nil {
					t.Errorf("fast open %s succeeded", c.to)
				}
			} else {
				if err := x.send(c.to, "", "hello"); err == nil {
					t.Errorf("sendto %s succeeded", c.to)
				}
				if x.connect(c.to) == nil && x.send("", "", "hello") == nil {
					t.Errorf("send %s succeeded", c.to)
				}
				if got, err := s.recv(); err == nil {
					t.Errorf("%s reached the host: %s", c.to, got)
				}
			}
			x.close()
			s.close()
		}
	}
	// By the guest's public address it is a peer like any other.
	s := host.serve(inet4, tcp, "0.0.0.0:25")
	reached := false
	for tries := 0; !reached && tries < 4; tries++ { // a loaded machine may lose a packet
		reached = reaches(t, g, tcp, s, "198.51.100.1:25")
	}
	if !reached {
		t.Error("the host's public service is not reached")
	}
}

// A listener that is there when connect looks may be gone when the packet comes:
// with its queue full, the packet is sent again a second later.
func TestStaleListener(t *testing.T) {
	l := newLab(t)
	host := l.host()
	g := l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	for any, lo := range map[string]string{"0.0.0.0:25": "127.0.0.1:25", "[::]:26": "[::1]:26"} {
		f := family(lo)
		own, first, c := g.socket(f, tcp), g.socket(f, tcp), g.socket(f, tcp)
		if err := own.bind(lo); err != nil {
			t.Fatal(err)
		}
		if err := own.backlog(0); err != nil {
			t.Fatal(err)
		}
		patience := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, 5), 0) // a timeval
		if _, _, err := first.do(request{Op: "setbytes", FD: first.fd, Data: patience,
			Args: []int{unix.SOL_SOCKET, unix.SO_SNDTIMEO}}); err != nil {
			t.Fatal(err)
		}
		if err := first.connect(lo); err != nil {
			t.Fatal(err)
		}
		if err := c.connect(lo); err != unix.EINPROGRESS {
			t.Fatal("connect with a full queue:", err)
		}
		first.close()
		own.close()
		s := host.serve(f, tcp, any)
		for range 5 {
			if _, from, err := s.accept(); err == nil {
				t.Error("the host accepted", from)
			}
		}
		s.close()
		c.close()
	}
}

// A datagram's receiver may go away after connect.
func TestStaleReceiver(t *testing.T) {
	l := newLab(t)
	host := l.host()
	g := l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	for any, lo := range map[string]string{"0.0.0.0:25": "127.0.0.1:25", "[::]:25": "[::1]:25"} {
		h := host.socket(family(any), udp)
		h.set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		own, c := g.serve(family(lo), udp, lo), g.socket(family(lo), udp)
		if err := h.bind(any); err != nil {
			t.Fatal(err)
		}
		if err := c.connect(lo); err != nil {
			t.Fatal(err)
		}
		if err := c.send("", "", "hello"); err != nil {
			t.Fatal(err)
		}
		own.close()
		if err := c.send("", "", "hello"); err != unix.EPERM {
			t.Error("send to a host service:", err)
		}
		if got, err := h.recv(); err == nil {
			t.Error("the host got", got)
		}
		h.close()
	}
}

func TestReconnect(t *testing.T) {
	l := newLab(t)
	host := l.host()
	g := l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	own := g.serve(inet4, udp, "127.0.0.1:53")
	peer := host.serve(inet4, udp, "198.51.100.1:53")
	host.serve(inet4, udp, "127.0.0.1:54")
	c := g.socket(inet4, udp)
	for range 3 {
		for to, s := range map[string]sock{"127.0.0.1:53": own, "198.51.100.1:53": peer} {
			if err := c.connect(to); err != nil {
				t.Fatal(to, err)
			}
			if err := c.send("", "", "hello"); err != nil {
				t.Fatal(to, err)
			}
			if _, err := s.recv(); err != nil {
				t.Error(to, err)
			}
			if _, err := c.op("disconnect", ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.connect("127.0.0.1:54"); err == nil {
		if err := c.send("", "", "hello"); err == nil {
			c.send("", "", "hello")
		}
	}
	x := g.socket(inet4, tcp)
	for range 2 { // a refused connection leaves the socket usable
		if err := x.connect("127.0.0.1:7"); err != unix.ECONNREFUSED {
			t.Error(err)
		}
		if err := x.connect("198.51.100.1:7"); err != unix.ECONNREFUSED {
			t.Error(err)
		}
	}
}

// Who has an address in 127/8 is no local peer of the host's services either,
// by whichever of the host's addresses it comes.
func TestTrialAddress(t *testing.T) {
	l := newLab(t)
	host := l.host()
	g := l.guest(0x1001, true, "127.16.1.5")
	both := l.guest(0x1002, true, "198.51.100.6", "127.16.2.6")
	for _, kind := range []int{tcp, udp} {
		s := host.serve(inet4, kind, "0.0.0.0:25")
		for _, c := range []struct {
			guest    *agent
			bind, to string
		}{
			{g, "", "198.51.100.1:25"},
			{g, "127.16.1.5:0", "198.51.100.1:25"},
			{g, "", "127.16.1.5:25"},
			{g, "", "127.16.9.9:25"},
			{g, "", "127.0.0.1:25"},
			{both, "127.16.2.6:0", "198.51.100.1:25"},
			{both, "127.16.2.6:0", "198.51.100.6:25"},
			{both, "127.16.2.6:0", "127.16.2.6:25"},
		} {
			x := c.guest.socket(inet4, kind)
			if c.bind != "" {
				if err := x.bind(c.bind); err != nil {
					t.Fatal(err)
				}
			}
			if kind == udp {
				x.send(c.to, "", "hello")
			}
			if x.connect(c.to) == nil {
				x.send("", "", "hello")
				if kind == tcp {
					t.Errorf("connected from %q to %s", c.bind, c.to)
				}
			}
			if kind == udp {
				if got, err := s.recv(); err == nil {
					t.Errorf("from %q to %s: %s", c.bind, c.to, got)
				}
			}
			x.close()
		}
		s.close()
	}
	// What such addresses are for works all the same.
	for _, kind := range []int{tcp, udp} {
		s := g.serve(inet4, kind, "0.0.0.0:80")
		if !reaches(t, g, kind, s, "127.16.1.5:80") || !reaches(t, g, kind, s, "127.0.0.1:80") {
			t.Error("not reached by itself")
		}
		if kind == tcp && !reaches(t, host, kind, s, "127.16.1.5:80") {
			t.Error("not reached by the host")
		}
		s.close()
	}
}
