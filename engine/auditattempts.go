package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"vsl/engine/internal/sys"
	"vsl/engine/netdev"
	"vsl/engine/rootfs"
	"vsl/engine/spawn"
)

// attempt is something that no guest may manage. Its program is run by a child
// in the guest, with the powers of guest root; when every call of it succeeds,
// the wall is open.
type attempt struct {
	area, what, by string
	program        func(*spawn.Program)
	proves         []sys.Errno // the errors that show the wall
}

// denied are how the kernel and the seccomp filter say no; unreachable is how a
// network does whose other end is not there for the guest.
var (
	denied      = []sys.Errno{sys.EPERM, sys.EACCES, sys.ENOSYS, sys.EROFS}
	unreachable = []sys.Errno{sys.ECONNREFUSED, sys.EADDRNOTAVAIL, sys.ENETUNREACH, sys.EPERM, sys.EACCES}
)

// verdict is what an error says of the wall. That there is no such file to try it on,
// or nothing left to try it with, says nothing; any other error than those that show
// the wall means that the attempt went past it and failed for another reason.
func (t attempt) verdict(err sys.Errno) string {
	switch {
	case slices.Contains(t.proves, err):
		return AuditIsolated
	case err == sys.ENOENT || err == sys.ENOBUFS || sys.Scarce(err):
		return AuditUnknown
	}
	return AuditOpen
}

// one makes a program of a single call. Arguments are chosen so that a kernel
// that allows the call finds nothing to do: a null pointer, a descriptor that
// is not open.
func one(nr uintptr, args ...spawn.Arg) func(*spawn.Program) {
	return func(p *spawn.Program) { p.Add("try", nr, args...) }
}

func open(path string, flags uintptr) func(*spawn.Program) {
	return func(p *spawn.Program) { p.Open(path, flags, 0) }
}

func socket(family, kind, proto int) func(*spawn.Program) {
	return one(sys.NrSocket, spawn.Int(family), spawn.Int(kind), spawn.Int(proto))
}

const noFD = -1

// attemptsAnywhere are the same for every guest.
var attemptsAnywhere = []attempt{
	{"kernel", "loading modules", "user namespace, seccomp", one(sys.NrFinitModule, spawn.Int(noFD), spawn.Str(""), spawn.Int(0)), denied},
	{"kernel", "loading BPF programs", "user namespace, seccomp", one(sys.NrBPF, spawn.Int(0), spawn.Word(0), spawn.Word(0)), denied},
	{"kernel", "tracing (perf_event_open)", "seccomp", one(sys.NrPerfEventOpen, spawn.Word(0), spawn.Int(0), spawn.Int(noFD), spawn.Int(noFD), spawn.Word(0)), denied},
	{"kernel", "io_uring", "seccomp", one(sys.NrIOURingSetup, spawn.Int(1), spawn.Word(0)), denied},
	{"kernel", "kernel's log", "seccomp", one(sys.NrSyslog, spawn.Int(10), spawn.Word(0), spawn.Word(0)), denied},
	{"kernel", "kernel's keys", "seccomp", one(sys.NrAddKey, spawn.Word(0), spawn.Word(0), spawn.Word(0), spawn.Word(0), spawn.Word(0)), denied},
	{"kernel", "setting the clock", "user namespace", one(sys.NrClockSettime, spawn.Int(0), spawn.Word(0)), denied},
	{"kernel", "swap", "user namespace, seccomp", one(sys.NrSwapon, spawn.Word(0), spawn.Word(0)), denied},
	{"kernel", "kernel settings (/proc/sys)", "read-only mount, user namespace", open("/proc/sys/kernel/core_pattern", sys.O_WRONLY), denied},
	{"kernel", "memory of the machine (/proc/kcore)", "user namespace", open("/proc/kcore", sys.O_RDONLY),
		append(slices.Clone(denied), sys.ENOENT)}, // of a kernel that has none
	{"files", "mounting a disk", "user namespace", func(p *spawn.Program) {
		p.Mount("none", "/", "ext4", sys.MsRdonly, "")
	}, denied},
	{"files", "making device nodes", "user namespace", func(p *spawn.Program) {
		const path = "/run/.vsl-audit"
		p.Add("mknod", sys.NrMknodat, spawn.Int(sys.AT_FDCWD), spawn.Str(path), spawn.Int(sys.SIfblk|0o600), spawn.Int(7<<8))
		p.Unlink(path)
	}, denied},
	{"files", "files by handle", "user namespace, seccomp", one(sys.NrOpenByHandle, spawn.Int(noFD), spawn.Word(0), spawn.Int(0)), denied},
	{"files", "leases, which hold up others' opens", "seccomp, inodes of its own", func(p *spawn.Program) {
		fd := p.Open("/bin/sh", sys.O_RDONLY, 0)
		p.Add("lease", sys.NrFcntl, fd.Result(), spawn.Int(sys.FSetlease), spawn.Int(sys.FReadLock))
	}, denied},
	{"network", "packets as they are (AF_PACKET)", "user namespace, seccomp", socket(sys.AFPacket, sys.SockRaw, 0),
		append(slices.Clone(denied), sys.EAFNOSUPPORT)},
}

// attempts tries every wall.
func (a *audit) attempts(ctx context.Context, j *spawn.Join) error {
	list := slices.Clone(attemptsAnywhere)
	if t := a.g.rec.Spec.Template; t != nil && t.From.Kind == "host" {
		list = append(list, attempt{"files", "writing to the host's /usr", "read-only mount", open("/usr/bin/env", sys.O_WRONLY), denied})
	}
	if !a.g.run.OwnNet {
		list = append(list, attempt{"network", "raw sockets", "user namespace", socket(sys.AFInet, sys.SockRaw, sys.ProtoICMP), denied})
	}
	more, done, err := a.meetings()
	if err != nil {
		return err
	}
	defer done()
	for _, t := range append(list, more...) {
		state, seen, err := a.try(ctx, j, t)
		if err != nil {
			return err
		}
		a.add(t.area, t.what, state, t.by, seen)
	}
	return nil
}

// meetings listens where a guest could meet the host, and gives the attempts to
// reach that.
func (a *audit) meetings() (list []attempt, done func(), err error) {
	var open []net.Listener
	done = func() {
		for _, l := range open {
			l.Close()
		}
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, done, sys.Op("listen on", "127.0.0.1", err)
	}
	open = append(open, tcp)
	port := uint16(tcp.Addr().(*net.TCPAddr).Port)
	name := fmt.Sprintf("vsl-audit-%d", os.Getpid())
	unix, err := net.ListenUnix("unix", &net.UnixAddr{Name: "@" + name, Net: "unix"})
	if err != nil {
		done()
		return nil, func() {}, sys.Op("listen on", "@"+name, err)
	}
	open = append(open, unix)
	by, guard := "cgroup BPF", "Landlock or BPF LSM"
	if a.g.run.OwnNet {
		by, guard = "net namespace", "net namespace"
	}
	list = []attempt{
		{"network", "host's 127.0.0.1", by, connects(sys.AFInet, inet4(netip.MustParseAddr("127.0.0.1"), port)), unreachable},
		{"network", "host's abstract UNIX sockets", guard, connects(sys.AFUnix, abstract(name)), unreachable},
	}
	if addr, ok := a.foreign(); ok {
		list = append(list, attempt{"network", "binding the host's " + addr.String(), by, func(p *spawn.Program) {
			fd := p.Add("socket", sys.NrSocket, spawn.Int(sys.AFInet), spawn.Int(sys.SockStream), spawn.Int(0))
			sa := inet4(addr, 0)
			p.Add("bind", sys.NrBind, fd.Result(), spawn.Data(sa), spawn.Int(len(sa)))
		}, unreachable})
	}
	return list, done, nil
}

// foreign is an IPv4 address of the host that is not this guest's.
func (a *audit) foreign() (netip.Addr, bool) {
	all, err := netdev.Host()
	if err != nil {
		return netip.Addr{}, false
	}
	var own []string
	if a.g.run.Net != nil {
		own = ips(*a.g.run.Net)
	}
	for _, x := range all {
		if at := x.Prefix.Addr(); at.Is4() && !at.IsLoopback() && !slices.Contains(own, at.String()) {
			return at, true
		}
	}
	return netip.Addr{}, false
}

func connects(family int, sa []byte) func(*spawn.Program) {
	return func(p *spawn.Program) {
		fd := p.Add("socket", sys.NrSocket, spawn.Int(family), spawn.Int(sys.SockStream), spawn.Int(0))
		p.Add("connect", sys.NrConnect, fd.Result(), spawn.Data(sa), spawn.Int(len(sa)))
	}
}

// inet4 is a struct sockaddr_in (ip(7)).
func inet4(a netip.Addr, port uint16) []byte {
	sa := binary.NativeEndian.AppendUint16(nil, uint16(sys.AFInet))
	sa = binary.BigEndian.AppendUint16(sa, port)
	ip := a.As4()
	return append(append(sa, ip[:]...), make([]byte, 8)...)
}

// abstract is a struct sockaddr_un of an abstract name (unix(7)).
func abstract(name string) []byte {
	sa := binary.NativeEndian.AppendUint16(nil, uint16(sys.AFUnix))
	return append(append(sa, 0), name...)
}

// try makes one attempt in the guest. The error is not the attempt's: that it
// could not be made at all.
func (a *audit) try(ctx context.Context, j *spawn.Join, t attempt) (state, seen string, err error) {
	x := &execution{g: a.g, join: j}
	defer x.close()
	if err := x.openContext(); err != nil {
		return "", "", err
	}
	p := &spawn.Program{}
	if err := x.enter(p, func() { p.SetSid() }); err != nil {
		return "", "", err
	}
	prelude := p.Len()
	t.program(p)
	proc, err := spawn.Start(&spawn.Attr{Name: "an attempt in guest " + a.g.Name(), Program: p, Join: j,
		CgroupFD: int(x.command.FD.Fd()), Context: ctx})
	if err == nil {
		_, err = proc.Wait(ctx)
		proc.Close()
		return AuditOpen, "it worked", err
	}
	var child *spawn.ChildError
	var errno sys.Errno
	if !errors.As(err, &child) || child.Index <= prelude || !errors.As(child.Err, &errno) {
		return "", "", err
	}
	return t.verdict(errno), strings.TrimPrefix(child.Name+" ", "try ") + "gives " + sys.ErrnoName(errno), nil
}

// inside looks at the guest's own /dev and /proc.
func (a *audit) inside(ctx context.Context, _ *spawn.Join) error {
	return a.g.inside(ctx, func(in *spawn.Inside) error {
		var nodes, others []string
		known := rootfs.Devices(a.g.rec.Spec.Nesting)
		entries, err := in.ReadDir("/dev")
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Type&fs.ModeDevice == 0 {
				continue
			}
			if e.Type&fs.ModeCharDevice == 0 || !slices.Contains(known, e.Name) {
				others = append(others, e.Name)
			}
			nodes = append(nodes, e.Name)
		}
		state, seen := AuditIsolated, strings.Join(nodes, " ")
		if len(others) > 0 {
			state, seen = AuditOpen, "has "+strings.Join(others, " ")
		}
		a.add("files", "devices", state, "a /dev of its own, nodev elsewhere", seen)
		own, err := in.ReadDir("/proc")
		if err != nil {
			return err
		}
		host, err := os.ReadDir("/proc")
		if err != nil {
			return err
		}
		procs := numbered(own, func(e spawn.DirEntry) string { return e.Name })
		total := numbered(host, os.DirEntry.Name)
		state = AuditIsolated
		if procs >= total {
			state = AuditOpen
		}
		a.add("processes", "those it sees", state, "pid namespace", fmt.Sprintf("%d, of %d on the host", procs, total))
		return nil
	})
}

// numbered counts the entries of a /proc whose names are numbers.
func numbered[E any](entries []E, name func(E) string) (n int) {
	for _, e := range entries {
		if first := name(e)[0]; first >= '1' && first <= '9' {
			n++
		}
	}
	return n
}
