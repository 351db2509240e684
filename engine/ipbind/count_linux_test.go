//go:build linux

package ipbind

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// has tells what a guest of the lab has.
func (l *lab) has(xid int) Held {
	l.t.Helper()
	f, err := os.Open(fmt.Sprintf("%s/%d", l.base, xid))
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	u, err := Usage(int(f.Fd()))
	if err != nil {
		l.t.Fatal(err)
	}
	return u.Held
}

// hasSoon waits until a guest has that: the kernel closes a socket a moment later than
// its last descriptor, when another process is still looking at it.
func (l *lab) hasSoon(xid int, want Held) {
	l.t.Helper()
	var got Held
	for range 200 {
		if got = l.has(xid); got == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.t.Fatalf("the guest has %+v, want %+v", got, want)
}

// The host and a neighbour connect out and resolve names whatever one guest does with
// the bounds that guests have if nobody gives others.
func TestPortsAreLeft(t *testing.T) {
	l := newLab(t)
	// So that an attacker that is not bounded gets them all with the descriptors that
	// one process may have.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("32768 48767"), 0); err != nil {
		t.Fatal(err)
	}
	host := l.host()
	neighbour := l.guest(0x1002, true, "198.51.100.6")
	server := host.serve(inet4, tcp, "198.51.100.1:53")
	host.serve(inet4, udp, "198.51.100.1:53")
	if err := server.backlog(4096); err != nil {
		t.Fatal(err)
	}
	xid := 0x1010
	for _, ways := range [][]string{{"bind"}, {"bind any"}, {"udp"}, {"udp connect"}, {"sendto"}, {"sendto, refused"}, {"listen"},
		{"linger", "udp", "listen"}} {
		// Not in subtests: their threads are in another network namespace.
		xid++
		a := l.guest(xid, true, "198.51.100.5")
		for i, way := range ways {
			n, why, err := a.do(request{Op: "hold", Data: []byte(way), Addr: "198.51.100.5", Args: []int{16000}})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %d, then %s; %+v", way, n, why, l.has(xid))
			if n == 0 && i == 0 || n == 16000 {
				t.Errorf("%s: it got %d", way, n)
			}
		}
		for name, from := range map[string]*agent{"the host": host, "a neighbour": neighbour} {
			if _, _, err := from.do(request{Op: "out", Addr: "198.51.100.1:53"}); err != nil {
				t.Errorf("%v: %s cannot connect: %v", ways, name, err)
			}
		}
		a.do(request{Op: "drop"})
		h := l.has(xid)
		l.hasSoon(xid, Held{Lingering: h.Lingering})
	}
}

// What is counted is uncounted once, whatever becomes of the socket.
func TestCountsDoNotDrift(t *testing.T) {
	l := newLab(t)
	l.bounds = Bounds{Sockets: 12, Ports: 6}
	const xid = 0x1001
	g := l.guest(xid, true, "198.51.100.5", "2001:db8::5")
	for _, c := range []struct {
		name string
		do   func()
		want Held // before all is closed
	}{
		{"nothing", func() {}, Held{}},
		{"bind", func() { g.do(request{Op: "hold", Data: []byte("bind any"), Addr: "198.51.100.5", Args: []int{3}}) }, Held{3, 3, 0}},
		{"too many ports", func() { g.do(request{Op: "hold", Data: []byte("bind any"), Addr: "198.51.100.5", Args: []int{9}}) }, Held{6, 6, 0}},
		{"too many sockets", func() { g.do(request{Op: "hold", Data: []byte("socket"), Args: []int{40}}) }, Held{12, 0, 0}},
		{"autobind", func() { g.do(request{Op: "hold", Data: []byte("sendto"), Addr: "198.51.100.5", Args: []int{4}}) }, Held{4, 4, 0}},
	} {
		c.do()
		if got := l.has(xid); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		g.do(request{Op: "drop"})
		l.hasSoon(xid, Held{})
	}

	// A listener with what it accepted, and with what nobody did.
	s := g.serve(inet4, tcp, "198.51.100.5:80")
	var clients []sock
	for range 4 {
		c := g.socket(inet4, tcp)
		if err := c.connect("198.51.100.5:80"); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	a, _, err := s.accept()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := l.has(xid), (Held{5, 5, 0}); got != want {
		t.Errorf("with connections: %+v, want %+v", got, want)
	}
	a.close()
	s.close()
	for _, c := range clients {
		c.close()
	}
	l.hasSoon(xid, Held{})

	// Refused, failed and repeated.
	x := g.socket(inet4, udp)
	x.connect("127.0.0.1:0")
	x.bind("198.51.100.1:80")
	for range 3 {
		x.connect("198.51.100.1:9")
		x.op("disconnect", "")
	}
	y := g.socket(inet6, tcp)
	y.connect("[::1]:7")
	y.connect("[2001:db8::1]:7")
	if got := l.has(xid); got.Sockets != 2 || got.Ports > 2 {
		t.Errorf("after failures: %+v", got)
	}
	x.close()
	y.close()
	l.hasSoon(xid, Held{})

	// Handed to a process in no context, which closes it last.
	p := g.serve(inet4, tcp, "198.51.100.5:81")
	if _, _, err := p.do(request{Op: "pass", FD: p.fd}); err != nil {
		t.Fatal(err)
	}
	oob, data := make([]byte, unix.CmsgSpace(4)), make([]byte, 1)
	_, n, _, _, err := unix.Recvmsg(int(g.got.Fd()), data, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) != 1 {
		t.Fatal(msgs, err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil {
		t.Fatal(err)
	}
	p.close()
	l.hasSoon(xid, Held{1, 1, 0})
	unix.Close(fds[0])
	l.hasSoon(xid, Held{})

	// Bounds change while it runs, and other addresses leave what is counted.
	keep := g.serve(inet4, tcp, "198.51.100.5:82")
	f, err := os.Open(fmt.Sprintf("%s/%d", l.base, xid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Bound(int(f.Fd()), Bounds{Sockets: 1, Ports: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.trySocket(inet4, tcp, 0); err != unix.ENOBUFS {
		t.Error("a socket too many:", err)
	}
	if err := Bound(int(f.Fd()), Bounds{Sockets: Unbounded, Ports: 1}); err != nil {
		t.Fatal(err)
	}
	z := g.socket(inet4, tcp)
	if err := z.bind("198.51.100.5:83"); err != unix.EADDRINUSE {
		t.Error("a port too many:", err)
	}
	if err := z.connect("198.51.100.5:82"); err != unix.EADDRNOTAVAIL {
		t.Error("a connection too many:", err)
	}
	if err := g.socket(inet4, udp).send("198.51.100.5:9", "", "x"); err != unix.EAGAIN {
		t.Error("a datagram too many:", err)
	}
	keep.close()
	if err := z.connect("198.51.100.5:82"); err != unix.ECONNREFUSED {
		t.Error("after all was closed:", err)
	}
	g.close()
	l.hasSoon(xid, Held{})
}
