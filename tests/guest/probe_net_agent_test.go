package guest

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

const ipLocalPortRange = 51 // IP_LOCAL_PORT_RANGE of linux/in.h, since Linux 6.3

const noSocket = "EAFNOSUPPORT ESOCKTNOSUPPORT EPROTONOSUPPORT EPERM EACCES"

// netProbes go for the host's network.
var netProbes = []probe{
	{name: "raw socket", try: socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP), want: "EPERM", own: "ok", why: "packets of any source"},
	{name: "raw IPv6 socket", try: socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6), want: "EPERM", own: "ok", why: "packets of any source"},
	{name: "packet socket", try: socket(unix.AF_PACKET, unix.SOCK_RAW, 0), want: noSocket, why: "all packets of the host"},
	{name: "xdp socket", try: socket(unix.AF_XDP, unix.SOCK_RAW, 0), want: noSocket, why: "all packets of the host"},
	{name: "vsock", try: socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0), want: noSocket, why: "the hypervisor"},
	{name: "crypto socket", try: socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0), want: noSocket, why: "modules of the host, loaded at will"},
	{name: "key socket", try: socket(unix.AF_KEY, unix.SOCK_RAW, 2), want: noSocket, why: "the host's IPsec"},
	{name: "bluetooth socket", try: socket(unix.AF_BLUETOOTH, unix.SOCK_RAW, 1), want: noSocket, why: "devices of the host"},
	{name: "can socket", try: socket(unix.AF_CAN, unix.SOCK_RAW, 1), want: noSocket, why: "devices of the host"},
	{name: "tipc socket", try: socket(unix.AF_TIPC, unix.SOCK_STREAM, 0), want: noSocket, why: "rarely used code"},
	{name: "rds socket", try: socket(unix.AF_RDS, unix.SOCK_SEQPACKET, 0), want: noSocket, why: "rarely used code"},
	{name: "sctp socket", try: socket(unix.AF_INET, unix.SOCK_SEQPACKET, 132), want: noSocket, why: "it binds past what confines addresses"},
	{name: "mptcp socket", try: socket(unix.AF_INET, unix.SOCK_STREAM, 262), want: noSocket, why: "its listeners cannot be shared out"},
	{name: "dccp socket", try: socket(unix.AF_INET, unix.SOCK_DCCP, 33), want: noSocket, why: "rarely used code"},
	{name: "udplite socket", try: socket(unix.AF_INET, unix.SOCK_DGRAM, 136), want: noSocket, why: "it binds past what confines addresses"},
	{name: "audit netlink", try: socket(unix.AF_NETLINK, unix.SOCK_RAW, 9), want: noSocket, why: "the host's audit"},
	{name: "connector netlink", try: socket(unix.AF_NETLINK, unix.SOCK_DGRAM, 11), want: noSocket, why: "every process of the host as it comes and goes"},
	{name: "crypto netlink", try: socket(unix.AF_NETLINK, unix.SOCK_RAW, 21), want: noSocket, why: "modules of the host, loaded at will"},
	{name: "add an address", try: netlink(unix.NETLINK_ROUTE, unix.RTM_NEWADDR, addressMessage()), want: "EPERM", own: "ok EEXIST", why: "the host's addresses"},
	{name: "add a route", try: netlink(unix.NETLINK_ROUTE, unix.RTM_NEWROUTE, make([]byte, unix.SizeofRtMsg)), want: "EPERM", own: "EINVAL", why: "the host's routes"},
	{name: "make a device", try: netlink(unix.NETLINK_ROUTE, unix.RTM_NEWLINK, make([]byte, unix.SizeofIfInfomsg)), want: "EPERM", own: "EINVAL EOPNOTSUPP ENODEV", why: "the host's devices"},
	{name: "change the packet filter", try: netlink(unix.NETLINK_NETFILTER, 10<<8|0, make([]byte, 4)), want: "EPERM", own: "EINVAL ENOTSUP EOPNOTSUPP", why: "the host's packet filter"},
	{name: "take a device down", try: ifDown, want: "EPERM EACCES", own: "ok", why: "the host's devices"},
	{name: "mark of a socket", try: option(unix.SOL_SOCKET, unix.SO_MARK, 7), want: "EPERM", own: "ok", why: "the host's routing goes by it"},
	{name: "transparent proxy", try: option(unix.SOL_IP, unix.IP_TRANSPARENT, 1), want: "EPERM", own: "ok", why: "any address as its own"},
	{name: "priority of a socket's packets", try: option(unix.SOL_SOCKET, unix.SO_PRIORITY, 7), want: "EPERM", own: "ok", why: "by it a guest knows its own packets"},
	{name: "range of a socket's ports", try: option(unix.SOL_IP, ipLocalPortRange, 7), want: "ENOPROTOOPT", own: "ok", why: "a port of the host's wildcard, chosen"},
	{name: "forced buffers", try: option(unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<20), want: "EPERM", own: "ok", why: "memory of the host"},
	{name: "debug of a socket", try: option(unix.SOL_SOCKET, unix.SO_DEBUG, 1), want: "EACCES EPERM", own: "ok", why: "the host's log"},
	{name: "bind the host's address", try: bindHost(0), want: "EADDRNOTAVAIL EACCES EPERM", why: "addresses are the guest's own only"},
	{name: "bind the host's address before it is there", try: bindHost(unix.IP_FREEBIND), want: "EADDRNOTAVAIL EACCES EPERM", own: "ok", why: "addresses are the guest's own only"},
	{name: "abstract socket of the host", try: connectAbstract, want: "EPERM EACCES ECONNREFUSED", why: "abstract sockets belong to the network namespace"},
	{name: "datagram to an abstract socket of the host", try: sendAbstract, want: "EPERM EACCES ECONNREFUSED EPROTOTYPE", why: "abstract sockets belong to the network namespace"},
}

func socket(family, kind, proto int) func(target) error {
	return func(target) error {
		fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, proto)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

// netlink sends one message and gives what is answered.
func netlink(proto int, kind uint16, body []byte) func(target) error {
	return func(target) error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
			return err
		}
		ne := binary.NativeEndian
		msg := ne.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
		msg = ne.AppendUint16(ne.AppendUint16(msg, kind), unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
		msg = append(ne.AppendUint32(ne.AppendUint32(msg, 1), 0), body...)
		if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return err
		}
		buf := make([]byte, 4096)
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			return err
		}
		if n < unix.SizeofNlMsghdr+4 {
			return unix.EBADMSG
		}
		if e := -int32(ne.Uint32(buf[unix.SizeofNlMsghdr:])); e != 0 {
			return syscall.Errno(e)
		}
		return nil
	}
}

// addressMessage asks for 127.99.99.99/32 on lo.
func addressMessage() []byte {
	ne := binary.NativeEndian
	b := []byte{unix.AF_INET, 32, 0, 0}
	b = ne.AppendUint32(b, 1)
	b = ne.AppendUint16(ne.AppendUint16(b, 8), unix.IFA_LOCAL)
	return append(b, 127, 99, 99, 99)
}

// ifDown takes lo down and up again.
func ifDown(target) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	for _, flags := range []uint16{0, unix.IFF_UP} {
		req.SetUint16(flags)
		if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
			return err
		}
	}
	return nil
}

func option(level, name, value int) func(target) error {
	return func(target) error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.SetsockoptInt(fd, level, name, value)
	}
}

func bindHost(with int) func(target) error {
	return func(t target) error {
		addr, err := netip.ParseAddr(t.addr)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if with != 0 {
			if err := unix.SetsockoptInt(fd, unix.SOL_IP, with, 1); err != nil {
				return err
			}
		}
		return unix.Bind(fd, &unix.SockaddrInet4{Addr: addr.As4()})
	}
}

func connectAbstract(t target) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: "@" + t.abstract})
}

func sendAbstract(t target) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrUnix{Name: "@" + t.abstract + ".dgram"})
}
