package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"

	"vsl/engine/internal/sys"
)

// The library knows no IFA_PROTO, so addresses are written and read as
// rtnetlink(7) messages (linux/if_addr.h).
const (
	newAddr = 20 // RTM_NEWADDR
	delAddr = 21
	getAddr = 22

	ifaAddress   = 1
	ifaLocal     = 2
	ifaBroadcast = 4
	ifaCacheinfo = 6
	ifaProto     = 11

	flagNoDAD     = 0x02
	flagTentative = 0x40

	nlmAck    = 0x4
	nlmCreate = 0x400
	nlmExcl   = 0x200
	nlmDump   = 0x300

	netlinkRoute = 0
	familyAny    = 0
	forever      = ^uint32(0)
)

// gone says that an address or its device is not there any more.
func gone(err error) bool {
	return errors.Is(err, sys.EADDRNOTAVAIL) || errors.Is(err, sys.ENODEV) || errors.As(err, new(netlink.LinkNotFoundError))
}

// change adds an address to a device or deletes it.
func change(kind int, dev string, p netip.Prefix) error {
	link, err := netlink.LinkByName(dev)
	if err != nil {
		return err
	}
	flags := nlmAck
	if kind == newAddr {
		flags |= nlmCreate | nlmExcl
	}
	raw := p.Addr().AsSlice()
	family := netlink.FAMILY_V4
	if p.Addr().Is6() {
		family = netlink.FAMILY_V6
	}
	msg := nl.NewIfAddrmsg(family)
	msg.Index = uint32(link.Attrs().Index)
	msg.Prefixlen = uint8(p.Bits())
	if p.Addr().Is6() {
		msg.IfAddrmsg.Flags = flagNoDAD
	}
	req := nl.NewNetlinkRequest(kind, flags)
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(ifaLocal, raw))
	req.AddData(nl.NewRtAttr(ifaAddress, raw))
	if kind == newAddr {
		req.AddData(nl.NewRtAttr(ifaProto, []byte{Protocol}))
		if p.Addr().Is6() {
			req.AddData(nl.NewRtAttr(ifaCacheinfo, deprecated()))
		} else if p.Bits() < 31 {
			req.AddData(nl.NewRtAttr(ifaBroadcast, broadcast(p)))
		}
	}
	_, err = req.Execute(netlinkRoute, 0)
	return err
}

// deprecated is a struct ifa_cacheinfo: preferred for no time, valid forever.
func deprecated() []byte {
	b := binary.NativeEndian.AppendUint32(nil, 0)
	b = binary.NativeEndian.AppendUint32(b, forever)
	return append(b, make([]byte, 8)...)
}

// broadcast is the last address of an IPv4 subnet.
func broadcast(p netip.Prefix) []byte {
	a := p.Addr().As4()
	v := binary.BigEndian.Uint32(a[:]) | ^uint32(0)>>p.Bits()
	return binary.BigEndian.AppendUint32(nil, v)
}

// dumpTries bounds how often a list is asked for while it keeps changing.
const dumpTries = 100

// read lists the devices and their addresses. While others change them the
// kernel may say that its answer mixes two states; then it is asked again.
func read() (h *host, err error) {
	for range dumpTries {
		if h, err = readOnce(); !errors.Is(err, nl.ErrDumpInterrupted) {
			break
		}
	}
	return h, err
}

func readOnce() (*host, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	h := &host{}
	names := map[uint32]string{}
	for _, l := range links {
		h.devices = append(h.devices, l.Attrs().Name)
		names[uint32(l.Attrs().Index)] = l.Attrs().Name
	}
	req := nl.NewNetlinkRequest(getAddr, nlmDump)
	req.AddData(nl.NewIfInfomsg(familyAny))
	msgs, err := req.Execute(netlinkRoute, newAddr)
	if err != nil {
		return nil, err
	}
	for _, m := range msgs {
		index, a, err := parse(m)
		if err != nil {
			return nil, err
		}
		name, ok := names[index]
		if !ok || !a.Prefix.IsValid() {
			continue // a device that came or went meanwhile
		}
		a.Device = name
		h.addresses = append(h.addresses, a)
	}
	return h, nil
}

const (
	ifAddrmsgLen = 8 // struct ifaddrmsg
	attrLen      = 4 // struct rtattr, whose length counts itself
)

// parse reads the body of one RTM_NEWADDR message.
func parse(m []byte) (index uint32, a Address, err error) {
	if len(m) < ifAddrmsgLen {
		return 0, a, fmt.Errorf("address message of %d bytes", len(m))
	}
	bits := int(m[1])
	a.tentative = m[2]&flagTentative != 0
	index = binary.NativeEndian.Uint32(m[4:])
	// IFA_LOCAL is the device's own address where the two differ (a peer).
	var addr, local netip.Addr
	for rest := m[ifAddrmsgLen:]; len(rest) >= attrLen; {
		n := int(binary.NativeEndian.Uint16(rest))
		if n < attrLen || n > len(rest) {
			return 0, a, fmt.Errorf("address attribute of %d bytes", n)
		}
		value := rest[attrLen:n]
		switch binary.NativeEndian.Uint16(rest[2:]) {
		case ifaAddress:
			addr, _ = netip.AddrFromSlice(value)
		case ifaLocal:
			local, _ = netip.AddrFromSlice(value)
		case ifaProto:
			a.Ours = len(value) == 1 && value[0] == Protocol
		}
		rest = rest[min((n+3)&^3, len(rest)):]
	}
	if local.IsValid() {
		if local != addr {
			bits = local.BitLen()
		}
		addr = local
	}
	if addr.IsValid() {
		a.Prefix = netip.PrefixFrom(addr, bits)
	}
	return index, a, nil
}
