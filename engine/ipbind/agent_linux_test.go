//go:build linux

package ipbind

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vsl/tests/fixture"
)

// An agent is this test binary, started again inside a context (or on the test
// host), that makes the system calls it is told to make, one at a time.

type request struct {
	Op   string
	FD   int
	Args []int  // numbers of the call: family, type, protocol; level, option, value
	Addr string // "198.51.100.1:80", "[::1]:80"; "@name" is an abstract AF_UNIX address
	Src  string // IP_PKTINFO's source
	Data []byte
}

type reply struct {
	Errno int
	N     int
	Text  string
}

// passFD is a UNIX socket to the test, by which an agent hands over descriptors.
const passFD = 3

const agentEnv = "VSL_IPBIND_AGENT"

// agentMain serves requests on stdin until it is closed.
func agentMain() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var q request
		if in.Decode(&q) != nil {
			os.Exit(0)
		}
		n, text, err := q.do()
		r := reply{N: n, Text: text}
		if err != nil {
			var e unix.Errno
			if !errors.As(err, &e) {
				fmt.Fprintln(os.Stderr, q, err)
				os.Exit(1)
			}
			r.Errno = int(e)
		}
		out.Encode(r)
	}
}

func (q *request) do() (n int, text string, err error) {
	switch q.Op {
	case "socket":
		return q.socket()
	case "close":
		return 0, "", unix.Close(q.FD)
	case "bind":
		return 0, "", unix.Bind(q.FD, sockaddr(q.FD, q.Addr))
	case "connect":
		return 0, "", unix.Connect(q.FD, sockaddr(q.FD, q.Addr))
	case "disconnect":
		b := [16]byte{}
		_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(q.FD), bytesPtr(b[:]), 16)
		return 0, "", errnoOrNil(e)
	case "listen":
		return 0, "", unix.Listen(q.FD, q.Args[0])
	case "accept":
		fd, sa, err := unix.Accept(q.FD)
		return fd, address(sa), err
	case "getsockname":
		sa, err := unix.Getsockname(q.FD)
		return 0, address(sa), err
	case "getpeername":
		sa, err := unix.Getpeername(q.FD)
		return 0, address(sa), err
	case "kind":
		n, err := unix.GetsockoptInt(q.FD, unix.SOL_SOCKET, unix.SO_TYPE)
		return n, "", err
	case "rounds":
		return q.rounds()
	case "connections":
		return q.connections()
	case "stream":
		return q.stream()
	case "hold":
		return q.hold()
	case "out":
		return 0, "", q.out()
	case "drop":
		return 0, "", drop()
	case "pass":
		return 0, "", unix.Sendmsg(passFD, []byte("x"), unix.UnixRights(q.FD), nil, 0)
	case "churn":
		return 0, "", q.churn()
	case "socketpair":
		fds, err := unix.Socketpair(unix.AF_UNIX, q.Args[0], 0)
		if err == nil {
			_, err = unix.Write(fds[0], []byte("x"))
		}
		return 0, "", err
	case "send":
		return 0, "", q.send()
	case "recv":
		b := make([]byte, 2048)
		n, sa, err := unix.Recvfrom(q.FD, b, 0)
		if err != nil {
			return 0, "", err
		}
		return 0, string(b[:n]) + " " + address(sa), nil
	case "setsockopt":
		return 0, "", unix.SetsockoptInt(q.FD, q.Args[0], q.Args[1], q.Args[2])
	case "detach":
		f, err := os.Open(q.Addr)
		if err != nil {
			return 0, "", err
		}
		defer f.Close()
		attr := [16]byte{}
		binary.NativeEndian.PutUint32(attr[:], uint32(f.Fd()))
		binary.NativeEndian.PutUint32(attr[8:], uint32(q.Args[0]))
		_, _, e := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_DETACH, bytesPtr(attr[:]), 16)
		return 0, "", errnoOrNil(e)
	case "setbytes":
		return 0, "", unix.SetsockoptString(q.FD, q.Args[0], q.Args[1], string(q.Data))
	case "device":
		return 0, "", unix.BindToDevice(q.FD, string(q.Data))
	}
	return 0, "", fmt.Errorf("no operation %q", q.Op)
}

func (q *request) socket() (int, string, error) {
	fd, err := unix.Socket(q.Args[0], q.Args[1], q.Args[2])
	if err != nil {
		return 0, "", err
	}
	// Most of what waits here waits in vain, so that a slow machine is not given as
	// much more as it is slower.
	tv := unix.NsecToTimeval(min(fixture.Scaled(400*time.Millisecond), 2*time.Second).Nanoseconds())
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv)
	return fd, "", nil
}

func (q *request) send() error {
	var to unix.Sockaddr
	if q.Addr != "" {
		to = sockaddr(q.FD, q.Addr)
	}
	var oob []byte
	if q.Src != "" {
		src := netip.MustParseAddr(q.Src)
		if src.Is4() {
			oob = unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: src.As4()})
		} else {
			oob = unix.PktInfo6(&unix.Inet6Pktinfo{Addr: src.As16()})
		}
	}
	flags := 0
	if len(q.Args) > 0 {
		flags = q.Args[0]
	}
	return unix.Sendmsg(q.FD, q.Data, oob, to, flags)
}

// sockaddr makes an address of the family that the text has; "v4!" in front
// makes AF_INET even for an IPv6 socket, else that gets a mapped address.
func sockaddr(fd int, s string) unix.Sockaddr {
	if strings.HasPrefix(s, "@") || strings.HasPrefix(s, "/") {
		return &unix.SockaddrUnix{Name: s}
	}
	s, plain := strings.CutPrefix(s, "v4!")
	ap := netip.MustParseAddrPort(s)
	family, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if ap.Addr().Is4() && (plain || family == unix.AF_INET) {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
}

// address shows mapped addresses as such.
func address(sa unix.Sockaddr) string {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrUnix:
		return a.Name
	}
	return ""
}
