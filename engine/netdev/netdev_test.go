package netdev

import (
	"net/netip"
	"strings"
	"testing"
)

func address(dev, p string, ours bool) Address {
	return Address{Device: dev, Prefix: netip.MustParsePrefix(p), Ours: ours}
}

func TestFind(t *testing.T) {
	h := &host{
		devices: []string{"lo", "eth0", "eth1", "idle0"},
		addresses: []Address{
			address("lo", "127.0.0.1/8", false),
			address("lo", "::1/128", false),
			address("lo", "203.0.113.1/24", false),
			address("eth0", "198.51.100.1/24", false),
			address("eth0", "198.51.100.9/32", true),
			address("eth0", "2001:db8::1/64", false),
			address("eth0", "fe80::1/64", false),
			address("eth1", "198.51.100.129/25", false),
			address("eth1", "192.0.2.4/24", true),
		},
	}
	for _, c := range []struct {
		name, want, dev string
		device, prefix  string
		already         bool
		err             string
	}{
		{"loopback goes nowhere", "127.0.0.5/32", "", "", "127.0.0.5/32", false, ""},
		{"IPv6 loopback too", "::1/128", "", "", "::1/128", false, ""},
		{"the host's own", "198.51.100.1/32", "", "eth0", "198.51.100.1/24", true, ""},
		{"left over from vsl", "198.51.100.9/32", "", "eth0", "198.51.100.9/32", false, ""},
		{"in a subnet", "198.51.100.5/32", "", "eth0", "198.51.100.5/32", false, ""},
		{"prefix stays as given", "198.51.100.5/24", "", "eth0", "198.51.100.5/24", false, ""},
		{"the smaller subnet", "198.51.100.200/32", "", "eth1", "198.51.100.200/32", false, ""},
		{"IPv6", "2001:db8::5/128", "", "eth0", "2001:db8::5/128", false, ""},
		{"a named device", "203.0.113.7/32", "idle0", "idle0", "203.0.113.7/32", false, ""},
		{"a named device against the subnet", "198.51.100.5/32", "eth1", "eth1", "198.51.100.5/32", false, ""},
		{"no subnet of a guest's address", "192.0.2.5/32", "", "", "", false, "eth0 has 198.51.100.1/24 and 2001:db8::1/64, eth1 has 198.51.100.129/25, idle0 has no address"},
		{"no subnet of lo", "203.0.113.7/32", "", "", "", false, `dev = "..."`},
		{"no such device", "198.51.100.5/32", "eth9", "", "", false, `no device "eth9"`},
		{"on another device", "198.51.100.1/32", "eth1", "", "", false, "on device eth0, not on eth1"},
		{"link-local", "fe80::5/64", "", "", "", false, "cannot have"},
		{"multicast", "224.0.0.5/32", "", "", "", false, "cannot have"},
		{"mapped", "::ffff:198.51.100.5/128", "", "", "", false, "cannot have"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := h.find(netip.MustParsePrefix(c.want), c.dev)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			want := Placement{Device: c.device, Prefix: netip.MustParsePrefix(c.prefix), Already: c.already}
			if err != nil || got != want {
				t.Fatalf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestLoopbacks(t *testing.T) {
	if got := Loopback6(0x1234).String(); got != "fd76:736c:6c6f::1234/128" {
		t.Error(got)
	}
	if got := Loopback4(0x1234).String(); got != "127.18.52.1" {
		t.Error(got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{2, 24, 0, 0, 1, 0, 0, 0, 8, 0, 2, 0, 198, 51, 100, 5, 5, 0, 11, 0, 0x76, 0, 0, 0})
	f.Add([]byte{10, 128, 0, 0, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, m []byte) { parse(m) })
}
