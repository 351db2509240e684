package engine

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"vsl/engine/ipbind"
	"vsl/engine/netdev"
	"vsl/engine/store"
)

// mode is what a Net means: its Mode, or the default for its addresses.
func (n Net) mode() string {
	if n.Mode != "" {
		return n.Mode
	}
	if len(n.Addrs) > 0 {
		return "bind"
	}
	return "none"
}

// prefix parses an address; without a length it stands for itself alone.
func (a Address) prefix() (netip.Prefix, error) {
	if strings.Contains(a.IP, "/") {
		return netip.ParsePrefix(a.IP)
	}
	addr, err := netip.ParseAddr(a.IP)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

// ips gives a guest's addresses without their lengths.
func ips(n Net) []string {
	out := []string{}
	for _, a := range n.Addrs {
		ip, _, _ := strings.Cut(a.IP, "/")
		out = append(out, ip)
	}
	return out
}

// isPrivateLoopback tells whether some xid's loopback is a.
func isPrivateLoopback(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	b := a.As4()
	xid := int(b[1])<<8 | int(b[2])
	return b[0] == 127 && b[3] == 1 && xid >= store.MinXID && xid <= store.MaxXID
}

// unfit says why an address cannot be a guest's, whatever the host is: "" where it
// can be.
func unfit(p netip.Prefix) (msg, hint string) {
	const other = "choose one that is not a guest's loopback, such as 127.77.0.10"
	a := p.Addr()
	switch {
	case isPrivateLoopback(a):
		return "may be the private loopback of a guest", "choose one whose last number is not 1, such as 127.77.0.10"
	case netdev.IsLoopback6(a):
		return "may be the private loopback of a guest", "fd76:736c:6c6f::/64 is vsl's own"
	case ipbind.Usable(a):
	case a.Is4() && a.IsLoopback():
		return "is a loopback that each guest has for itself", "leave ip out where that is enough, or " + other
	default:
		return "cannot be a guest's address", ""
	}
	if own := p.Masked(); a.Is4() && p.Bits() < 31 && (a == own.Addr() || a == lastOf(own)) {
		return "is the first or last address of its subnet, which stands for all of it", "choose one between them"
	}
	return "", ""
}

// lastOf is the highest address of an IPv4 subnet: where it broadcasts.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	host := ^uint32(0) >> p.Bits()
	n := binary.BigEndian.Uint32(b[:]) | host
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

// netFixed tells whether the context's network is settled already; on a running
// guest it cannot change.
func (g *guest) netFixed(n Net) (bool, error) {
	if g.run.Net != nil && equalJSON(*g.run.Net, n) {
		return true, nil
	}
	if g.running() {
		return false, &OpError{Op: "bind_ip of guest", Target: g.spec.Name, Err: ErrRunning, Hint: "vsl restart applies it"}
	}
	return false, nil
}

func (g *guest) ownNet(n Net) error {
	if fixed, err := g.netFixed(n); fixed || err != nil {
		return err
	}
	g.run.Net, g.run.OwnNet = &n, true // written down when it boots
	return nil
}

// confine attaches the programs that keep the context to its addresses. They
// live and die with the cgroup.
func (g *guest) confine(n Net) error {
	if fixed, err := g.netFixed(n); fixed || err != nil {
		return err
	}
	cfg := ipbind.Config{XID: g.rec.XID, Loopback: netdev.Loopback4(g.rec.XID), Bounds: g.rec.Spec.Limits.bounds()}
	for _, a := range n.Addrs {
		p, err := a.prefix()
		if err != nil {
			return err
		}
		if p.Addr().Is4() {
			cfg.IP4 = append(cfg.IP4, p.Addr())
		} else {
			cfg.IP6 = append(cfg.IP6, p.Addr())
		}
	}
	if len(cfg.IP6) > 0 {
		lo6 := netdev.Loopback6(g.rec.XID)
		if err := g.addAddress(netdev.LoopbackDevice, lo6); err != nil {
			return err
		}
		cfg.Loopback6 = lo6.Addr()
	}
	grp, err := g.group()
	if err != nil {
		return err
	}
	dir, err := grp.FD()
	if err != nil {
		return err
	}
	defer dir.Close()
	cfg.CgroupFD = int(dir.Fd())
	// Not after asking ipbind.Supported, which has the kernel verify all programs
	// only to see whether it does: 20 ms for each guest.
	if err := ipbind.Attach(cfg); err != nil {
		return &OpError{Op: "confine addresses of guest", Target: g.spec.Name, Err: err, Hint: "net = \"none\" needs no confinement"}
	}
	g.run.Net, g.run.OwnNet = &n, false // written down when it boots
	return nil
}

// placeAddress puts an address on a device unless one has it already.
func (g *guest) placeAddress(a Address) error {
	p, err := a.prefix()
	if err != nil {
		return &SpecError{Pos: g.keyPos("ip"), Guest: g.spec.Name, Msg: err.Error()}
	}
	place, err := netdev.Find(p, a.Dev)
	if err != nil {
		return err
	}
	if place.Already || place.Device == "" {
		return nil
	}
	return g.addAddress(place.Device, place.Prefix)
}

func (g *guest) addAddress(dev string, p netip.Prefix) error {
	a := ownedAddr{Dev: dev, Prefix: p.String()}
	if slices.Contains(g.run.Addrs, a) {
		return nil
	}
	if g.e.elsewhere(g.spec.Name) { // what is there may be that of the root that this one is a copy of
		there, err := netdev.List()
		if err != nil {
			return err
		}
		if slices.ContainsFunc(there, func(x netdev.Address) bool { return x.Device == dev && x.Prefix.Addr() == p.Addr() }) {
			return nil
		}
	}
	if err := g.undoable(undo{Op: undoAddress, Dev: a.Dev, Prefix: a.Prefix}); err != nil {
		return err
	}
	g.run.Addrs = append(g.run.Addrs, a)
	if err := g.e.writeRun(g.spec.Name, g.run); err != nil {
		return err
	}
	return netdev.Add(dev, p)
}

func removeAddr(dev, prefix string) error {
	p, err := netip.ParsePrefix(prefix)
	if err != nil {
		return err
	}
	return netdev.Remove(dev, p)
}

// keyPos is where a key of the declaration stands, or the declaration itself.
func (g *guest) keyPos(key string) Pos {
	if p, ok := g.spec.KeyPos[key]; ok {
		return p
	}
	return g.spec.Pos
}
