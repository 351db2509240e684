package ipbind

import (
	"net/netip"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	lo := netip.MustParseAddr("127.16.1.1")
	many := make([]netip.Addr, MaxAddrs+1)
	for i := range many {
		many[i] = netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)})
	}
	list := func(s ...string) (l []netip.Addr) {
		for _, x := range s {
			l = append(l, netip.MustParseAddr(x))
		}
		return l
	}
	for _, c := range []struct {
		name string
		c    Config
		err  string
	}{
		{"nothing but loopback", Config{Loopback: lo}, ""},
		{"all", Config{Loopback: lo, IP4: many[1:], IP6: list("2001:db8::5"), Loopback6: netip.MustParseAddr("fd76:736c:6c6f::1001")}, ""},
		{"no loopback", Config{}, "not in 127.0.0.0/8"},
		{"loopback elsewhere", Config{Loopback: many[0]}, "not in 127.0.0.0/8"},
		{"mapped loopback6", Config{Loopback: lo, Loopback6: netip.MustParseAddr("::ffff:127.0.0.1")}, "not an IPv6 address"},
		{"too many", Config{Loopback: lo, IP4: many}, "at most 16"},
		{"127/8", Config{Loopback: lo, IP4: list("127.0.0.1")}, "no IPv4 address that a guest can have"},
		{"wildcard", Config{Loopback: lo, IP4: list("0.0.0.0")}, "no IPv4 address that a guest can have"},
		{"multicast", Config{Loopback: lo, IP4: list("224.0.0.1")}, "no IPv4 address that a guest can have"},
		{"broadcast", Config{Loopback: lo, IP4: list("255.255.255.255")}, "no IPv4 address that a guest can have"},
		{"IPv6 among IPv4", Config{Loopback: lo, IP4: list("2001:db8::5")}, "no IPv4 address that a guest can have"},
		{"link-local", Config{Loopback: lo, IP6: list("fe80::5")}, "no IPv6 address that a guest can have"},
		{"mapped", Config{Loopback: lo, IP6: list("::ffff:198.51.100.5")}, "no IPv6 address that a guest can have"},
		{"::1", Config{Loopback: lo, IP6: list("::1")}, "no IPv6 address that a guest can have"},
	} {
		err := c.c.check()
		if (c.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
	}
}

// The objects are part of the binary: that they can be read needs no kernel.
func TestObjects(t *testing.T) {
	if n := len(hooks()); n != 18 {
		t.Errorf("%d hooks", n)
	}
	spec, err := lsmSpec()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range lsmPrograms {
		if spec.Programs[name] == nil || spec.Maps[contextsMap] == nil {
			t.Error(name, contextsMap)
		}
	}
}
