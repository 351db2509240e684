// Package netdev puts guests' addresses on the host's devices and takes them
// off again. It touches only addresses that it added itself: the kernel keeps a
// mark beside each address that says who did (IFA_PROTO, Linux 5.18), so that
// no list of ours can go stale, and after a crash the kernel still knows.
//
// It makes no devices, no routes and no network namespaces, and announces
// nothing: neighbours that still know an address elsewhere learn by asking.
package netdev

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vsl/engine/internal/sys"
)

// Protocol is the mark of vsl's addresses (`ip addr` shows it as proto 0x76).
const Protocol = 0x76

// loopback6Net holds every guest's private IPv6 loopback; the programs of
// ipbind know it too. It is a unique local prefix (RFC 4193) of vsl's own,
// the same on each host, for the addresses never leave the loopback device.
var loopback6Net = netip.MustParsePrefix("fd76:736c:6c6f::/64")

// IsLoopback6 tells whether an address may be the private loopback of a guest.
func IsLoopback6(a netip.Addr) bool { return loopback6Net.Contains(a) }

// LoopbackDevice is where the private IPv6 loopbacks are put. IPv4 needs none:
// all of 127/8 is local.
const LoopbackDevice = "lo"

// Loopback6 is the private IPv6 loopback of a guest: fd76:736c:6c6f::<xid>/128.
func Loopback6(xid int) netip.Prefix {
	a := loopback6Net.Addr().As16()
	a[14], a[15] = byte(xid>>8), byte(xid)
	return netip.PrefixFrom(netip.AddrFrom16(a), 128)
}

// Loopback4 is the private IPv4 loopback of a guest: 127.<xid hi>.<xid lo>.1.
func Loopback4(xid int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(xid >> 8), byte(xid), 1})
}

// Placement says where an address goes.
type Placement struct {
	Device  string       // empty: nowhere, every host has the address
	Prefix  netip.Prefix // as it is on the device
	Already bool         // somebody else put it there: vsl neither adds nor removes it
}

// Address is one address on a device.
type Address struct {
	Device string
	Prefix netip.Prefix
	Ours   bool // added by vsl

	tentative bool // not to be used yet
}

// Find says where a guest's address goes, without changing anything. want is
// the address with its prefix length: 32 or 128 when the user named none. dev
// is the device that the user named, or "".
//
// The rules, first match wins: loopback goes nowhere; an address that is there
// stays there; a named device; the device with the smallest subnet around it.
// Otherwise the error's hint lists the devices and asks for one.
func Find(want netip.Prefix, dev string) (Placement, error) {
	h, err := read()
	if err != nil {
		return Placement{}, sys.Op("list addresses", "", err)
	}
	return h.find(want, dev)
}

// host is what Find decides on.
type host struct {
	devices   []string
	addresses []Address
}

func (h *host) find(want netip.Prefix, dev string) (Placement, error) {
	const op = "place address"
	a := want.Addr()
	if !want.IsValid() || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
		return Placement{}, sys.Op(op, want.String(), errors.New("a guest cannot have this address"))
	}
	if a.IsLoopback() {
		return Placement{Prefix: want}, nil
	}
	if dev != "" && !slices.Contains(h.devices, dev) {
		return Placement{}, &sys.OpError{Op: op, Target: a.String(), Err: fmt.Errorf("no device %q", dev),
			Hint: "there are " + strings.Join(h.devices, ", ")}
	}
	for _, x := range h.addresses {
		if x.Prefix.Addr() != a {
			continue
		}
		if dev != "" && dev != x.Device {
			return Placement{}, sys.Op(op, a.String(), fmt.Errorf("it is on device %s, not on %s", x.Device, dev))
		}
		return Placement{Device: x.Device, Prefix: x.Prefix, Already: !x.Ours}, nil
	}
	if dev != "" {
		return Placement{Device: dev, Prefix: want}, nil
	}
	if x, ok := h.subnet(a); ok {
		return Placement{Device: x.Device, Prefix: want}, nil
	}
	return Placement{}, &sys.OpError{Op: op, Target: a.String(), Err: errors.New("it is in no device's subnet"),
		Hint: `name its device with dev = "..."; ` + h.subnets()}
}

// subnet finds the smallest subnet around an address that the host has by
// itself: not on the loopback device, and not through another guest's address.
func (h *host) subnet(a netip.Addr) (best Address, ok bool) {
	for _, x := range h.addresses {
		if x.Ours || x.Device == LoopbackDevice || x.Prefix.IsSingleIP() || !x.Prefix.Contains(a) {
			continue
		}
		if !ok || x.Prefix.Bits() > best.Prefix.Bits() {
			best, ok = x, true
		}
	}
	return best, ok
}

// subnets lists the devices for an error message: "eth0 has 198.51.100.1/24".
func (h *host) subnets() string {
	var list []string
	for _, d := range h.devices {
		if d == LoopbackDevice {
			continue
		}
		var has []string
		for _, x := range h.addresses {
			if x.Device == d && !x.Ours && !x.Prefix.Addr().IsLinkLocalUnicast() {
				has = append(has, x.Prefix.String())
			}
		}
		if len(has) == 0 {
			has = []string{"no address"}
		}
		list = append(list, d+" has "+strings.Join(has, " and "))
	}
	if len(list) == 0 {
		return "this host has only its loopback device"
	}
	return strings.Join(list, ", ")
}

// Add puts an address on a device, marked as vsl's. An address that is there
// already is left as it is. IPv6 addresses get no duplicate address detection, and
// when Add returns they can be bound to; they count as deprecated, so that the host itself does not choose
// them as a source (RFC 6724); guests bind to them by name.
func Add(dev string, p netip.Prefix) error {
	err := change(newAddr, dev, p)
	if errors.Is(err, sys.EEXIST) {
		return nil
	}
	if err == nil && p.Addr().Is6() {
		err = settled(p.Addr())
	}
	return sys.Op("add address", p.String()+" to "+dev, err)
}

// settled waits until an IPv6 address can be used: the kernel finishes adding it
// in the background, in some milliseconds. On a device that is down it does not,
// and that is no error.
func settled(a netip.Addr) error {
	for range settleTries {
		h, err := read()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(h.addresses, func(x Address) bool { return x.Prefix.Addr() == a })
		if i < 0 || !h.addresses[i].tentative {
			return nil
		}
		time.Sleep(settlePause)
	}
	return nil
}

const (
	settleTries = 200
	settlePause = time.Millisecond
)

// Remove takes an address off a device if vsl put it there. An address or a
// device that is gone is no error.
func Remove(dev string, p netip.Prefix) error {
	const op = "remove address"
	h, err := read()
	if err != nil {
		return sys.Op(op, p.String(), err)
	}
	for _, x := range h.addresses {
		if x.Ours && x.Device == dev && x.Prefix.Addr() == p.Addr() {
			if err := change(delAddr, dev, x.Prefix); err != nil && !gone(err) {
				return sys.Op(op, p.String()+" from "+dev, err)
			}
		}
	}
	return nil
}

// List gives the addresses that vsl put on devices: what gc compares with the
// guests that run.
func List() ([]Address, error) {
	h, err := read()
	if err != nil {
		return nil, sys.Op("list addresses", "", err)
	}
	return slices.DeleteFunc(h.addresses, func(x Address) bool { return !x.Ours }), nil
}

// Host gives the addresses that are on devices and that vsl did not put there.
func Host() ([]Address, error) {
	h, err := read()
	if err != nil {
		return nil, sys.Op("list addresses", "", err)
	}
	return slices.DeleteFunc(h.addresses, func(x Address) bool { return x.Ours }), nil
}
