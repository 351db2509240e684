//go:build linux

package ipbind

import (
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// Any user of the host can bind an address of the machine, a guest's private
// loopback and address included. By none of them is one to pass for the guest.
func TestLoopbackFromHost(t *testing.T) {
	l := newLab(t)
	host := l.host()
	g := l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	const lo6 = "fd76:736c:6c6f::1001"
	for _, c := range []struct{ listen, to, bind string }{
		{"127.0.0.1:80", "127.16.1.1:80", ""},
		{"127.0.0.1:80", "127.16.1.1:80", "127.16.1.1:0"},
		{"127.0.0.1:80", "127.16.1.1:80", "127.16.1.7:0"},
		{"127.0.0.1:80", "127.16.1.1:80", "127.0.0.1:0"},
		{"127.0.0.1:80", "127.16.1.1:80", "198.51.100.5:0"},
		{"127.0.0.1:80", "127.16.1.1:80", "198.51.100.1:0"},
		{"0.0.0.0:80", "198.51.100.5:80", "127.16.1.1:0"},
		{"[::1]:80", "[" + lo6 + "]:80", ""},
		{"[::1]:80", "[" + lo6 + "]:80", "[" + lo6 + "]:0"},
		{"[::1]:80", "[" + lo6 + "]:80", "[::1]:0"},
		{"[::1]:80", "[" + lo6 + "]:80", "[2001:db8::5]:0"},
		{"[::]:80", "[2001:db8::5]:80", "[" + lo6 + "]:0"},
	} {
		for _, kind := range []int{tcp, udp} {
			t.Run(fmt.Sprintf("%s from %s/%d", c.to, c.bind, kind), func(t *testing.T) {
				s := g.serve(family(c.listen), kind, c.listen)
				defer s.close()
				for _, priority := range []int{0, 6} {
					x := host.socket(family(c.to), kind)
					defer x.close()
					x.set(unix.SOL_SOCKET, unix.SO_PRIORITY, priority)
					if c.bind != "" {
						if err := x.bind(c.bind); err != nil {
							t.Fatal(err)
						}
					}
					if err := x.connect(c.to); err == nil {
						x.send("", "", "hello")
					}
					if kind == udp {
						if got, err := s.recv(); err == nil {
							t.Error("a datagram arrived:", got)
						}
					} else if _, from, err := s.accept(); err == nil {
						t.Error("accepted from", from)
					}
				}
			})
		}
	}
	// A source chosen for one datagram.
	for to, src := range map[string]string{"127.16.1.1:81": "127.16.1.1", "[" + lo6 + "]:81": lo6} {
		s := g.serve(family(to), udp, map[int]string{inet4: "127.0.0.1:81", inet6: "[::1]:81"}[family(to)])
		x := host.socket(family(to), udp)
		if err := x.send(to, src, "hello"); err != nil {
			t.Fatal(err)
		}
		if got, err := s.recv(); err == nil {
			t.Errorf("a datagram from %s arrived: %s", src, got)
		}
		// It shares the port with a socket of the guest's that allows it.
		y, own := host.socket(family(to), udp), g.serve(family(to), udp, map[int]string{inet4: "127.0.0.1:82", inet6: "[::1]:82"}[family(to)])
		y.set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if err := y.bind(map[int]string{inet4: "127.16.1.1:82", inet6: "[" + lo6 + "]:82"}[family(to)]); err != nil {
			t.Fatal(err)
		}
		if err := y.send(to, "", "hello"); err != nil {
			t.Fatal(err)
		}
		if got, err := s.recv(); err == nil {
			t.Errorf("a datagram from a shared port arrived: %s", got)
		}
		own.close()
		y.close()
		s.close()
	}
}

// The host's root can, and vsl's probes do.
func TestLoopbackFromRoot(t *testing.T) {
	l := newLab(t)
	host := l.host()
	g := l.guest(0x1001, true)
	s := g.serve(inet4, tcp, "127.0.0.1:80")
	for loopback, reached := range map[string]bool{"127.16.1.1": true, "127.16.2.1": false} {
		x := host.socket(inet4, tcp)
		if err := x.set(unix.SOL_SOCKET, unix.SO_PRIORITY, LocalPriority(netip.MustParseAddr(loopback))); err != nil {
			t.Fatal(err)
		}
		if err := x.bind("127.16.1.1:0"); err != nil {
			t.Fatal(err)
		}
		if reached {
			answered(t, x, s, "127.16.1.1:80", "")
		} else if x.connect("127.16.1.1:80") == nil {
			t.Error("reached with another guest's priority")
		}
	}
	// No guest can, whatever the root of it may do in its user namespace.
	if err := g.socket(inet4, tcp).set(unix.SOL_SOCKET, unix.SO_PRIORITY, 7); err != unix.EPERM {
		t.Error("a guest set a priority:", err)
	}
}

// The other way: what a user of the host puts at the guest's addresses is not what
// the guest finds at its localhost.
func TestLoopbackSquatted(t *testing.T) {
	l := newLab(t)
	host := l.host()
	g := l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	const lo6 = "[fd76:736c:6c6f::1001]"
	for at, to := range map[string]string{
		"127.16.1.1:70": "127.0.0.1:70", "198.51.100.5:71": "127.0.0.1:71",
		lo6 + ":72": "[::1]:72", "[2001:db8::5]:73": "[::1]:73",
	} {
		for _, kind := range []int{tcp, udp} {
			s := host.serve(family(at), kind, at)
			c := g.socket(family(to), kind)
			err := c.connect(to)
			if err == nil {
				err = c.send("", "", "hello")
			}
			if kind == udp {
				if got, err := s.recv(); err == nil {
					t.Errorf("the host got %s at %s", got, at)
				}
			} else if err == nil {
				t.Errorf("connected to %s at %s", to, at)
			}
			c.close()
			s.close()
		}
	}
}

// Through localhost go packets of any size the kernel makes.
func TestLoopbackStream(t *testing.T) {
	l := newLab(t)
	host, g := l.host(), l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	for _, addr := range []string{"127.0.0.1:98", "[::1]:98"} {
		// A tenth of what the host has for itself: it is one machine and one moment.
		for try := 1; ; try++ {
			want, _, err := host.do(request{Op: "stream", Args: []int{256}, Addr: addr})
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := g.do(request{Op: "stream", Args: []int{256}, Addr: addr})
			if err != nil {
				t.Fatal(err)
			}
			if got > want/10 {
				break
			}
			if try == 3 {
				t.Errorf("%s: %d Mbit/s, the host has %d", addr, got, want)
				break
			}
		}
	}
}
