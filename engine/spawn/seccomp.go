package spawn

import (
	"encoding/binary"
	"fmt"
	"runtime"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"

	"vsl/engine/internal/sys"
)

// FilterOptions change the filter for guests that need something else than
// most. The zero value is right for a guest on the host's network.
type FilterOptions struct {
	// PrivateNet: the guest has a network namespace of its own, so that it may
	// see all sockets of it (NETLINK_SOCK_DIAG).
	PrivateNet bool
	// NetNS lets the guest make network namespaces. Whoever has one has
	// CAP_NET_ADMIN over it, through a user namespace if need be, and with it
	// netfilter and the drivers of virtual devices: much of the kernel's code
	// that no guest needs. Services with PrivateNetwork= go on without.
	//
	// User namespaces stay allowed: Debian's redis and others stop without
	// PrivateUsers=, and what they open is what guest root has already.
	NetNS bool
}

// Values that conditions look at. Arguments of type int or unsigned int are
// compared by their lower half only: the kernel ignores the upper one, and so
// must the filter, or any rubbish there would pass it.
const (
	afUNIX, afINET, afINET6, afNETLINK = 1, 2, 10, 16

	protoICMP, protoTCP, protoUDP, protoICMPV6 = 1, 6, 17, 58

	netlinkSockDiag = 4

	ipLocalPortRange = 51 // of level IPPROTO_IP, since Linux 6.3

	tiocsti, tioclinux, tiocsetd = 0x5412, 0x541c, 0x5423

	setLease, setDeleg = 1024, 1040 // F_SETLEASE, and F_SETDELEG of Linux 6.19

	fadvDontneed, madvPageout = 4, 21 // POSIX_FADV_DONTNEED, MADV_PAGEOUT

	// PER_LINUX and PER_LINUX32 with what personality(2) lets a process change of
	// itself: UNAME26, ADDR_NO_RANDOMIZE (debuggers), ADDR_COMPAT_LAYOUT,
	// READ_IMPLIES_EXEC, ADDR_LIMIT_32BIT, SHORT_INODE, WHOLE_SECONDS,
	// STICKY_TIMEOUTS, ADDR_LIMIT_3GB. Not the domains of other systems, and not
	// MMAP_PAGE_ZERO, which serves attacks on the kernel
	personalities = 0x0008 | 0x0020000 | 0x0040000 | 0x0200000 | 0x0400000 | 0x0800000 | 0x1000000 | 0x2000000 | 0x4000000 | 0x8000000
)

// netlinkAllowed are the netlink protocols of a guest: ROUTE, SELINUX,
// NETFILTER, KOBJECT_UEVENT, GENERIC. AUDIT is not among them; libaudit takes
// its absence for a kernel without auditing.
var netlinkAllowed = []uint32{0, 7, 12, 15, 16}

// evictions are the calls that advise the kernel to drop pages from its cache,
// and where they say so. A guest reads files that its neighbours and the host
// use as well, and could make them read those from the disk again and again: so
// the advice is taken and not followed, as the kernel is free to do with it.
var evictions = []struct {
	call   string
	arg    uint32
	arg32  uint32 // for 32-bit programs: offsets take two arguments there
	advice uint32
}{
	{"fadvise64", 3, 4, fadvDontneed}, {"fadvise64_64", 0, 5, fadvDontneed}, {"arm_fadvise64_64", 0, 1, fadvDontneed},
	{"madvise", 2, 2, madvPageout},
}

// Filter gives the seccomp filter of a guest as an array of struct
// sock_filter. On x86-64 it covers 32-bit programs too, except that they get no
// sockets by socketcall(2); x32 and other foreign calls do not exist.
func Filter(o FilterOptions) ([]byte, error) { return filterFor(runtime.GOARCH, o) }

func filterFor(goarch string, o FilterOptions) ([]byte, error) {
	var arches []*arch.Info
	switch goarch {
	case "amd64":
		arches = []*arch.Info{arch.X86_64, arch.I386}
	case "arm64":
		arches = []*arch.Info{arch.AARCH64, arch.ARM}
	default:
		return nil, &sys.NotSupported{Feature: "a seccomp filter for " + goarch}
	}
	const offNr, offArch = 0, 4 // in struct seccomp_data
	prog := []bpf.Instruction{bpf.LoadAbsolute{Off: offArch, Size: 4}}
	for _, a := range arches {
		block, err := archBlock(a, o)
		if err != nil {
			return nil, err
		}
		prog = append(prog,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(a.ID), SkipTrue: 1},
			bpf.Jump{Skip: uint32(len(block)) + 1},
			bpf.LoadAbsolute{Off: offNr, Size: 4})
		prog = append(prog, block...)
	}
	prog = append(prog, bpf.RetConstant{Val: uint32(fail(sys.ENOSYS))})
	quiet(prog)
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return nil, fmt.Errorf("assemble the seccomp filter: %w", err)
	}
	var out []byte
	for _, r := range raw {
		out = appendInsn(out, r)
	}
	return out, nil
}

// unheard is the error of a call that is to succeed and do nothing. The
// assembler makes EPERM of a zero, so its place is held until it is done.
const unheard sys.Errno = 0xffff

// fail is the action that makes a call fail.
func fail(e sys.Errno) seccomp.Action { return seccomp.ActionErrno | seccomp.Action(e) }

func quiet(prog []bpf.Instruction) {
	for i, insn := range prog {
		if insn == (bpf.RetConstant{Val: uint32(fail(unheard))}) {
			prog[i] = bpf.RetConstant{Val: uint32(seccomp.ActionErrno)}
		}
	}
}

// rules assembles the rules of one architecture. Only forward jumps exist, so
// the common ends (allow, each errno) are laid down last.
type rules struct {
	seccomp.Program
	arch  *arch.Info
	allow seccomp.Label
	errs  map[sys.Errno]seccomp.Label
	order []sys.Errno
}

func (r *rules) fail(e sys.Errno) seccomp.Label {
	l, ok := r.errs[e]
	if !ok {
		l = r.NewLabel()
		r.errs[e] = l
		r.order = append(r.order, e)
	}
	return l
}

// on calls f to lay down what happens at the call of that name, if the
// architecture has it, and jumps there from the current place.
func (r *rules) on(name string, f func()) (later func()) {
	nr, ok := r.arch.SyscallNames[name]
	if !ok {
		return func() {}
	}
	l := r.NewLabel()
	r.JmpIfTrue(bpf.JumpEqual, uint32(nr), l)
	return func() {
		r.SetLabel(l)
		f()
	}
}

// archBlock assembles the rules of one architecture; the accumulator holds the
// number of the call when it begins.
func archBlock(a *arch.Info, o FilterOptions) ([]bpf.Instruction, error) {
	r := &rules{Program: seccomp.NewProgram(), arch: a, errs: map[sys.Errno]seccomp.Label{}}
	r.allow = r.NewLabel()
	last := 0
	for nr := range a.SyscallNumbers {
		if nr < 0x10000 { // arm has private calls far above
			last = max(last, nr)
		}
	}
	for _, group := range Refused {
		for _, name := range group.Names {
			if nr, ok := a.SyscallNames[name]; ok {
				r.JmpIfTrue(bpf.JumpEqual, uint32(nr), r.fail(group.Errno))
			}
		}
	}
	later := []func(){
		r.on("socket", func() { r.socket(o) }),
		r.on("socketpair", func() { r.only(0, sys.EAFNOSUPPORT, afUNIX) }),
		r.on("socketcall", func() { r.never(0, sys.ENOSYS, 1, 8, 14) }), // SYS_SOCKET, SYS_SOCKETPAIR, SYS_SETSOCKOPT
		r.on("ioctl", func() { r.never(1, sys.EPERM, tiocsti, tioclinux, tiocsetd) }),
		r.on("personality", r.personality),
		r.on("fcntl", r.fcntl), r.on("fcntl64", r.fcntl),
	}
	for _, e := range evictions {
		arg := e.arg
		if a.ID == arch.I386.ID || a.ID == arch.ARM.ID {
			arg = e.arg32
		}
		later = append(later, r.on(e.call, func() { r.never(arg, unheard, e.advice) }))
	}
	if !o.PrivateNet {
		later = append(later, r.on("setsockopt", r.setsockopt))
	}
	if !o.NetNS {
		noNetNS := func() {
			r.LdLo(0)
			r.JmpIf(bpf.JumpBitsSet, sys.CLONE_NEWNET, r.fail(sys.EPERM), r.allow)
		}
		later = append(later, r.on("clone", noNetNS), r.on("unshare", noNetNS))
	}
	beyond := r.NewLabel()
	r.JmpIf(bpf.JumpGreaterThan, uint32(last), beyond, r.allow)
	r.SetLabel(beyond)
	if a.ID == arch.ARM.ID { // private calls of arm: cacheflush, set_tls
		r.JmpIfTrue(bpf.JumpGreaterOrEqual, 0xf0000, r.allow)
	}
	r.Ret(fail(sys.ENOSYS)) // x32 calls are here too: they have bit 30 set
	for _, f := range later {
		f()
	}
	for _, e := range r.order {
		r.SetLabel(r.errs[e])
		r.Ret(fail(e))
	}
	r.SetLabel(r.allow)
	r.Ret(seccomp.ActionAllow)
	return r.Assemble()
}

// only lets the call pass if its argument is one of the values.
func (r *rules) only(arg uint32, e sys.Errno, values ...uint32) {
	r.LdLo(arg)
	for _, v := range values[1:] {
		r.JmpIfTrue(bpf.JumpEqual, v, r.allow)
	}
	r.JmpIf(bpf.JumpEqual, values[0], r.allow, r.fail(e))
}

// never lets the call pass unless its argument is one of the values.
func (r *rules) never(arg uint32, e sys.Errno, values ...uint32) {
	r.LdLo(arg)
	for _, v := range values[1:] {
		r.JmpIfTrue(bpf.JumpEqual, v, r.fail(e))
	}
	r.JmpIf(bpf.JumpEqual, values[0], r.fail(e), r.allow)
}

// fcntl gives no leases: who holds one on a file keeps whoever opens or executes
// it waiting for as long as fs.lease-break-time, and that is vsl or the host
// where the file is one that they share. The error is fcntl(2)'s for a file of
// somebody else.
func (r *rules) fcntl() { r.never(1, sys.EACCES, setLease, setDeleg) }

func (r *rules) personality() {
	r.LdLo(0)
	r.JmpIfTrue(bpf.JumpEqual, 0xffffffff, r.allow) // asks only
	r.JmpIf(bpf.JumpBitsSet, ^uint32(personalities), r.fail(sys.EPERM), r.allow)
}

// setsockopt takes IP_LOCAL_PORT_RANGE away, as a kernel without it does. listen and
// sendto bind a socket that has no port to the host's wildcard, of which no program
// is asked; with the range a guest chose which port, and so which service of the host
// cannot begin.
func (r *rules) setsockopt() {
	ip := r.NewLabel()
	r.LdLo(1)
	r.JmpIf(bpf.JumpEqual, 0, ip, r.allow)
	r.SetLabel(ip)
	r.never(2, sys.ENOPROTOOPT, ipLocalPortRange)
}

// socket leaves UNIX, INET, INET6 and NETLINK; vsock would reach the
// hypervisor, the others are rarely used and often broken code. Of INET it
// leaves TCP, UDP and ICMP: SCTP and its kin bind addresses past the programs
// that confine a guest to its own, and MPTCP listeners cannot be shared out.
// Raw sockets are the business of CAP_NET_RAW.
func (r *rules) socket(o FilterOptions) {
	inet, netlink, other := r.NewLabel(), r.NewLabel(), r.NewLabel()
	r.LdLo(0)
	r.JmpIfTrue(bpf.JumpEqual, afUNIX, r.allow)
	r.JmpIfTrue(bpf.JumpEqual, afINET, inet)
	r.JmpIfTrue(bpf.JumpEqual, afINET6, inet)
	r.JmpIf(bpf.JumpEqual, afNETLINK, netlink, r.fail(sys.EAFNOSUPPORT))

	r.SetLabel(netlink)
	allowed := netlinkAllowed
	if o.PrivateNet {
		allowed = append([]uint32{netlinkSockDiag}, allowed...)
	}
	r.only(2, sys.EPROTONOSUPPORT, allowed...)

	r.SetLabel(inet)
	r.LdLo(1)
	// 4 and above: RDM, SEQPACKET, DCCP and the obsolete SOCK_PACKET
	r.JmpIfTrue(bpf.JumpBitsSet, 0xc, r.fail(sys.ESOCKTNOSUPPORT))
	r.JmpIfTrue(bpf.JumpBitsNotSet, 2, other)
	r.JmpIfTrue(bpf.JumpBitsSet, 1, r.allow) // 3 is SOCK_RAW
	r.SetLabel(other)
	r.only(2, sys.EPROTONOSUPPORT, 0, protoTCP, protoUDP, protoICMP, protoICMPV6)
}

// appendInsn appends a struct sock_filter.
func appendInsn(b []byte, r bpf.RawInstruction) []byte {
	b = binary.NativeEndian.AppendUint16(b, r.Op)
	b = append(b, r.Jt, r.Jf)
	return binary.NativeEndian.AppendUint32(b, r.K)
}
