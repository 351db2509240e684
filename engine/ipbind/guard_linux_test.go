//go:build linux

package ipbind

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Where Landlock guards abstract sockets, package spawn has the tests.
func TestAbstractSockets(t *testing.T) {
	l := newLab(t)
	kind, err := AbstractGuard()
	need(t, err)
	if kind == GuardLandlock {
		if err := lsmLoads(); err != nil {
			t.Log("BPF security programs are not needed here, and would not load:", err)
		}
		if _, err := os.Stat(pinDir); err == nil {
			t.Error("pinned something without need")
		}
		return
	}
	host := l.host()
	a, b := l.guest(0x1001, true, "198.51.100.5"), l.guest(0x1002, false, "198.51.100.6")
	for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
		for _, c := range []struct {
			name         string
			server, from *agent
			addr         string
			err          error
		}{
			{"inside a", a, a, "@vsl-test", nil},
			{"inside b", b, b, "@vsl-test", nil},
			{"a to the host", host, a, "@vsl-test", unix.EPERM},
			{"b to the host", host, b, "@vsl-test", unix.EPERM},
			{"a to b", b, a, "@vsl-test", unix.EPERM},
			{"b to a", a, b, "@vsl-test", unix.EPERM},
			{"the host to itself", host, host, "@vsl-test", nil},
			{"the host to a", a, host, "@vsl-test", nil},
			{"a path", host, b, t.TempDir() + fmt.Sprint("/", kind), nil},
		} {
			s := c.server.socket(unix.AF_UNIX, kind)
			if err := s.bind(c.addr); err != nil {
				t.Fatal(c.name, err)
			}
			if kind != unix.SOCK_DGRAM {
				if err := s.listen(); err != nil {
					t.Fatal(c.name, err)
				}
			}
			x := c.from.socket(unix.AF_UNIX, kind)
			if err := x.connect(c.addr); err != c.err {
				t.Errorf("%s: connect %v, want %v", c.name, err, c.err)
			}
			if kind == unix.SOCK_DGRAM {
				y := c.from.socket(unix.AF_UNIX, kind)
				if err := y.send(c.addr, "", "hello"); err != c.err {
					t.Errorf("%s: send %v, want %v", c.name, err, c.err)
				}
				y.close()
			}
			x.close()
			s.close()
		}
		if _, _, err := a.do(request{Op: "socketpair", Args: []int{kind}}); err != nil {
			t.Error("socketpair", err)
		}
	}
}

// Contexts that are gone leave the map; the guard itself is one for all.
func TestGuardForgets(t *testing.T) {
	requireRoot(t)
	ownRun(t)
	kind, err := AbstractGuard()
	need(t, err)
	if kind == GuardLandlock {
		return
	}
	base := fmt.Sprintf("%s/vsl-test-%d", unified(t), os.Getpid())
	var last *os.File
	for range 5 {
		if err := os.Mkdir(base, 0o755); err != nil {
			t.Fatal(err)
		}
		if last, err = os.Open(base); err != nil {
			t.Fatal(err)
		}
		if err := guard(int(last.Fd())); err != nil {
			t.Fatal(err)
		}
		os.Remove(base)
	}
	m, err := startGuard()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	top, err := os.Open(unified(t))
	if err != nil {
		t.Fatal(err)
	}
	defer top.Close()
	last.Close()
	forget(m, int(top.Fd()))
	var id, one uint64
	n := 0
	for it := m.Iterate(); it.Next(&id, &one); {
		n++
	}
	if n != 0 {
		t.Errorf("%d contexts are left", n)
	}
}
