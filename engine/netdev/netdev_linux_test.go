//go:build linux

package netdev

import (
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ownNet moves the test to a network namespace of its own, on a thread that is
// thrown away with it.
func ownNet(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("VSL_TEST_REQUIRE") == "1" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "vsl0"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "vsl1"}); err != nil {
		t.Fatal(err)
	}
	link, err := netlink.LinkByName("vsl0")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"198.51.100.1/24", "2001:db8::1/64"} {
		a, err := netlink.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.AddrAdd(link, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
}

func TestAddresses(t *testing.T) {
	ownNet(t)
	for _, s := range []string{"198.51.100.5/32", "198.51.100.6/24", "2001:db8::5/128", "2001:db8::6/64"} {
		p := netip.MustParsePrefix(s)
		place, err := Find(p, "")
		if err != nil || place != (Placement{Device: "vsl0", Prefix: p}) {
			t.Fatalf("%+v %v", place, err)
		}
		for range 2 { // adding twice is adding once
			if err := Add(place.Device, place.Prefix); err != nil {
				t.Fatal(err)
			}
		}
		if place, err = Find(p, ""); err != nil || place.Already {
			t.Fatalf("ours must not count as the host's: %+v %v", place, err)
		}
	}
	if err := Add(LoopbackDevice, Loopback6(0x1234)); err != nil {
		t.Fatal(err)
	}
	list, err := List()
	if err != nil || len(list) != 5 {
		t.Fatal(list, err)
	}
	for _, x := range list {
		for range 2 {
			if err := Remove(x.Device, x.Prefix); err != nil {
				t.Fatal(err)
			}
		}
	}
	if list, err = List(); err != nil || len(list) != 0 {
		t.Fatal(list, err)
	}
}

func TestHostAddressesStay(t *testing.T) {
	ownNet(t)
	p := netip.MustParsePrefix("198.51.100.1/32")
	place, err := Find(p, "")
	if err != nil || !place.Already {
		t.Fatalf("%+v %v", place, err)
	}
	if err := Add("vsl0", place.Prefix); err != nil {
		t.Fatal(err)
	}
	if err := Remove("vsl0", place.Prefix); err != nil {
		t.Fatal(err)
	}
	if place, err = Find(p, ""); err != nil || !place.Already {
		t.Fatalf("the host's address went: %+v %v", place, err)
	}
}

func TestDeviceGone(t *testing.T) {
	ownNet(t)
	if err := Remove("nothere0", netip.MustParsePrefix("198.51.100.5/32")); err != nil {
		t.Fatal(err)
	}
	if err := Add("nothere0", netip.MustParsePrefix("198.51.100.5/32")); err == nil {
		t.Fatal("added to a device that is not there")
	}
}

// The host must not choose a guest's IPv6 address as its own source.
func TestDeprecated(t *testing.T) {
	ownNet(t)
	if err := Add("vsl0", netip.MustParsePrefix("2001:db8::ffff:5/128")); err != nil {
		t.Fatal(err)
	}
	link, _ := netlink.LinkByName("vsl0")
	all, err := netlink.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.IP.String() == "2001:db8::ffff:5" {
			if a.PreferedLft != 0 || uint32(a.ValidLft) != forever || a.Flags&unix.IFA_F_TENTATIVE != 0 {
				t.Errorf("%+v", a)
			}
			return
		}
	}
	t.Error("not there")
}
