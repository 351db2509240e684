//go:build linux

package ipbind

import (
	"net/netip"
	"os"
	"testing"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// group opens the cgroup of the lab's newest guest.
func (l *lab) group() int {
	f, err := os.Open(l.groups[len(l.groups)-1])
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { f.Close() })
	return int(f.Fd())
}

func count(t *testing.T, cgroup int) int {
	list, err := all(cgroup)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(list)
	return len(list)
}

func TestChangeAddresses(t *testing.T) {
	l := newLab(t)
	g := l.guest(0x1001, true, "198.51.100.5")
	fd := l.group()
	c := Config{CgroupFD: fd, XID: 0x1001, Loopback: netip.MustParseAddr("127.16.1.1"),
		IP4: []netip.Addr{netip.MustParseAddr("198.51.100.6")}, Bounds: l.bounds}
	if err := Attach(c); err != nil {
		t.Fatal(err)
	}
	if n := count(t, fd); n != len(hooks()) {
		t.Errorf("%d programs for %d hooks", n, len(hooks()))
	}
	if err := g.socket(inet4, tcp).bind("198.51.100.5:80"); err != unix.EADDRNOTAVAIL {
		t.Error("old address:", err)
	}
	if err := g.socket(inet4, tcp).bind("198.51.100.6:80"); err != nil {
		t.Error("new address:", err)
	}
}

// An attempt that ended in the middle is finished by the next one, by the same
// process and by another, which has the programs of a context beside.
func TestAttachAgain(t *testing.T) {
	l := newLab(t)
	l.guest(0x1001, true, "198.51.100.5")
	for _, again := range []func(){func() {}, func() { common.set = nil }} {
		g := l.guest(0x1002, true, "198.51.100.6")
		fd := l.group()
		list, err := all(fd)
		if err != nil {
			t.Fatal(err)
		}
		if err := detach(fd, list[4:]); err != nil {
			t.Fatal(err)
		}
		closeAll(list)
		again()
		c := Config{CgroupFD: fd, Loopback: netip.MustParseAddr("127.16.2.1"), IP4: []netip.Addr{netip.MustParseAddr("198.51.100.6")}, Bounds: l.bounds}
		if err := Attach(c); err != nil {
			t.Fatal(err)
		}
		if n := count(t, fd); n != len(hooks()) {
			t.Errorf("%d programs for %d hooks", n, len(hooks()))
		}
		if err := g.socket(inet4, tcp).bind("198.51.100.1:80"); err != unix.EADDRNOTAVAIL {
			t.Error(err)
		}
		if err := Detach(fd); err != nil || count(t, fd) != 0 {
			t.Error("detach", err)
		}
		g.close()
		l.agents = l.agents[:len(l.agents)-1]
		for _, d := range []string{l.groups[0], l.groups[3]} {
			if err := unix.Rmdir(d); err != nil {
				t.Fatal(d, err)
			}
		}
		l.groups = []string{l.groups[1], l.groups[2]}
	}
}

// A context that has its programs but no addresses yet has nothing.
func TestNoAddressesYet(t *testing.T) {
	l := newLab(t)
	g := l.guest(0x1001, true, "198.51.100.5")
	s := borrow(l.group())
	if s == nil {
		t.Fatal("programs not found")
	}
	defer s.close()
	if err := s.configure(l.group(), &addresses{}); err != nil {
		t.Fatal(err)
	}
	for _, family := range []int{inet4, inet6} {
		for _, kind := range []int{tcp, udp} {
			if _, err := g.trySocket(family, kind, 0); err != unix.EPERM {
				t.Error(family, kind, err)
			}
		}
	}
}

// bpf/vsl.h reads IPV6_V6ONLY from a fixed place in struct sock_common.
func TestV6OnlyBit(t *testing.T) {
	requireRoot(t)
	spec, err := btf.LoadKernelSpec()
	need(t, err)
	var common *btf.Struct
	if err := spec.TypeByName("sock_common", &common); err != nil {
		t.Fatal(err)
	}
	for _, m := range common.Members {
		if m.Name == "skc_ipv6only" {
			if m.Offset != 19*8+5 || m.BitfieldSize != 1 {
				t.Errorf("bit %d, size %d", m.Offset, m.BitfieldSize)
			}
			return
		}
	}
	t.Error("no such member")
}
