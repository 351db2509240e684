// Package ipbind confines a context to its IP addresses: BPF programs on the
// context's cgroup decide what each of its sockets binds to, connects to and
// shows, on the host's own network stack.
//
// The rules, as the guest sees them (Linux-VServer's, made anew):
//
//   - bind: the wildcard is the guest's first address of that family, 127/8 and
//     ::1 are its private loopback, its own addresses are themselves, all else
//     is EADDRNOTAVAIL. Ports below 1024 need no capability.
//   - connect, sendto: an unbound socket gets the guest's first address as its
//     source, or the private loopback when that is where it goes. 127/8, ::1,
//     0.0.0.0 and :: are the private loopback, or the guest's address where its
//     own service on the wildcard serves that port. Another guest's loopback is
//     ECONNREFUSED. The host's and other guests' public addresses are remote
//     peers like any other; a family without an address is ENETUNREACH.
//   - 127.16.0.0 to 127.127.255.255 without those that end in .1 are addresses
//     that a guest can have without a change to any device. Only guests that
//     have one reach others', and only where a socket is bound to the very
//     address. The host reaches them by TCP from anywhere, by UDP from a client
//     that is bound to such an address itself. From such an address a guest
//     reaches no service of the host (EINVAL): it would look like a local peer.
//   - the private loopback looks like 127.0.0.1 (::ffff:127.0.0.1 on an IPv6
//     socket) or ::1. A listener on the wildcard shows the guest's address.
//   - TCP, UDP and ping sockets exist; everything else in AF_INET and AF_INET6
//     is refused. Other families have no hook: the child's seccomp filter must
//     allow only AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK.
//
// A host service that listens on the wildcard answers on every address of 127/8, and
// any user of the host can bind a guest's addresses. So that neither takes the other
// for a local peer, whatever has a private loopback at either end must begin and end
// at a socket of the guest. What the guest has at its public address any user of the
// host can reach from that very address, as on any machine with local users.
//
// # How
//
// The programs are the same for all guests, loaded once and shared; a guest's
// addresses are in the storage of its cgroup (attach.go). Both die with the last
// cgroup that has them: nothing is pinned and no process stays. Only the guard
// of abstract sockets by BPF, on kernels before 6.12, is pinned (lsm.go).
//
// # What is done per packet
//
// Two small filters, egress and ingress. They are needed, because listen(2) and
// sendto(2) on an unbound socket bind it to the wildcard without any hook, and
// ping sockets have no hook for bind and sendto; connect, bind and sendmsg
// programs alone would leave these open. Each is some comparisons without a
// branch (BenchmarkRoundTrip measures them). They see a packet after the host has
// translated its source (masquerading, DNAT of published ports), and then judge the
// socket: bpf/packet.h.
//
// # Limits
//
//   - With several addresses of a family a wildcard socket has the first one.
//   - A dual-stack wildcard (::) in a guest with both families has the IPv6
//     address only; in a guest with IPv4 only it has the IPv4 address.
//   - A port that a host service has on the wildcard is taken for every guest
//     (EADDRINUSE), and a guest's port is taken for the host's wildcard: host
//     services must listen on the host's own address.
//   - sendto on an unconnected IPv6 socket cannot reach ::1 in a guest without
//     an IPv6 address (connect can). An IPv6-only socket there cannot either.
//   - A datagram to 127.0.0.1 that a service on the wildcard answers comes back
//     from the guest's address, unless the socket is connected.
//   - A TCP service that listens without bind is not reached by localhost.
//   - A UDP socket that sent before it connects keeps no source of the guest's,
//     and its datagrams are dropped with EPERM. Bind it, or connect first.
//   - A user of the host can take a port of a guest's addresses before the guest
//     does. It gets nothing of what the guest sends to its localhost.
//   - Wildcard sockets get no broadcast or multicast; sending both works.
//   - A ping socket that is not bound sends echo requests from the address that
//     the host's routes or its IP_PKTINFO choose. All else from it is dropped.
//   - Datagrams to the private loopback: the check who receives is made just
//     before delivery, not with it, so a guest can race a datagram to a host
//     service on the wildcard that shares its port (SO_REUSEADDR). TCP has no
//     such race.
//   - Ports: the ephemeral range is the host's, and all share it; Bounds says how
//     much of it one context can take. listen and sendto on an unbound socket take a
//     port of the host's wildcard, of the kernel's choice (the seccomp filter refuses
//     IP_LOCAL_PORT_RANGE): as many as Bounds.Sockets. A socket of accept(2) is not
//     counted; disconnected, it can be bound (then it counts) or listen (then not).
//   - /proc/net and netlink show the host's sockets, addresses and routes, with
//     the true addresses; IP_PKTINFO and IP_RECVERR show the private loopback.
package ipbind

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"vsl/engine/internal/sys"
)

// MaxAddrs is how many addresses of each family a context can have.
const MaxAddrs = 16

// Config is what a context is confined to.
type Config struct {
	CgroupFD  int          // the context's directory in the v2 hierarchy
	XID       int          // the context's number
	IP4       []netip.Addr // the first is the source of connections and the wildcard
	IP6       []netip.Addr
	Loopback  netip.Addr // 127.hi.lo.1 of the xid
	Loopback6 netip.Addr // netdev.Loopback6 of the xid when IP6 is not empty; zero for none
	Bounds    Bounds     // what it may have of the host's ports
}

func (c *Config) check() error {
	if !c.Loopback.Is4() || !c.Loopback.IsLoopback() {
		return fmt.Errorf("private loopback %v is not in 127.0.0.0/8", c.Loopback)
	}
	if c.Loopback6.IsValid() && (!c.Loopback6.Is6() || c.Loopback6.Is4In6()) {
		return fmt.Errorf("private loopback %v is not an IPv6 address", c.Loopback6)
	}
	if len(c.IP4) > MaxAddrs || len(c.IP6) > MaxAddrs {
		return fmt.Errorf("a guest can have at most %d addresses of each family", MaxAddrs)
	}
	for _, a := range c.IP4 {
		if !a.Is4() || !Usable(a) {
			return fmt.Errorf("%v is no IPv4 address that a guest can have", a)
		}
	}
	for _, a := range c.IP6 {
		if !a.Is6() || !Usable(a) {
			return fmt.Errorf("%v is no IPv6 address that a guest can have", a)
		}
	}
	return nil
}

// LocalPriority is the priority of packets (SO_PRIORITY) that a guest takes for its
// own on its private loopback. The host's root, whom the kernel lets set it, reaches
// the guest there with it, by a socket that is bound to that loopback.
func LocalPriority(loopback netip.Addr) int {
	a := loopback.As4()
	return int(binary.NativeEndian.Uint32(a[:]))
}

// public127 tells whether a is one of 127.16.0.0 to 127.127.255.255 that is no
// guest's private loopback: the BPF programs treat it as any address.
func public127(a netip.Addr) bool {
	if !a.Is4() || !a.IsLoopback() {
		return false
	}
	b := a.As4()
	return b[1] >= 16 && b[1] <= 127 && b[3] != 1
}

// Usable tells whether a guest can have an address.
func Usable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && (!a.IsLoopback() || public127(a)) && !a.IsMulticast() && !a.Is4In6() &&
		!(a.Is6() && a.IsLinkLocalUnicast()) && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// Attach confines the context whose cgroup c names: every process in it or in a
// group below it, from its next system call on; sockets it made before it was
// in the group are not concerned. The programs live as long as the cgroup and
// need nobody to hold them. Attaching again changes the addresses while the
// guest runs; sockets keep what they are bound to, and stop working when the
// address is the guest's no more.
//
// The error is a *sys.OpError. When it is not nil, a group that had no programs
// has none.
func Attach(c Config) error {
	if err := c.check(); err != nil {
		return sys.Op("bind addresses", "", err)
	}
	if s := borrow(c.CgroupFD); s != nil {
		defer s.close()
		return sys.Op("change bound addresses", "", s.configure(c.CgroupFD, c.addresses()))
	}
	kind, err := AbstractGuard()
	if err != nil {
		return sys.Op("bind addresses", "", err)
	}
	if kind == GuardLSM {
		if err := guard(c.CgroupFD); err != nil {
			return sys.Op("guard abstract sockets", "", err)
		}
	}
	s, err := obtain(c.CgroupFD)
	if err != nil {
		return sys.Op("load bpf programs", "", err)
	}
	// What is there is of another version of vsl, or of half an attempt.
	old, err := all(c.CgroupFD)
	if err != nil {
		return sys.Op("query bpf programs", "", err)
	}
	defer closeAll(old)
	fresh := without(s.programs, old)
	if err := attach(c.CgroupFD, fresh); err != nil {
		return sys.Op("attach bpf programs", "", err)
	}
	if err := s.configure(c.CgroupFD, c.addresses()); err != nil {
		return sys.Op("bind addresses", "", errors.Join(err, detach(c.CgroupFD, fresh)))
	}
	return sys.Op("detach old bpf programs", "", detach(c.CgroupFD, without(old, s.programs)))
}

// Detach removes what Attach attached. It is for a cgroup that stays; removing
// the cgroup removes the programs too.
func Detach(cgroupFD int) error {
	list, err := all(cgroupFD)
	if err != nil {
		return sys.Op("query bpf programs", "", err)
	}
	defer closeAll(list)
	return sys.Op("detach bpf programs", "", detach(cgroupFD, list))
}
