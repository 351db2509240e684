//go:build linux

package spawn

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vsl/engine/internal/sys"
	"vsl/engine/kernel"
)

// guestLike is an Attr with the namespaces of a guest.
func guestLike(p *Program) *Attr {
	const ns = sys.CLONE_NEWUSER | sys.CLONE_NEWNS | sys.CLONE_NEWPID | sys.CLONE_NEWUTS | sys.CLONE_NEWIPC | sys.CLONE_NEWCGROUP
	return &Attr{Name: "test", Program: p, CloneFlags: ns, CgroupFD: -1, IDMap: &IDMap{HostID: 5001 << 16, Size: 65536}}
}

func confinement(t testing.TB) Confinement {
	t.Helper()
	filter, err := Filter(FilterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return Confinement{LandlockFD: -1, Seccomp: filter}
}

// The kernel must agree with judge: each row is made by a confined child.
func TestFilterOnKernel(t *testing.T) {
	requireRoot(t)
	tests := []struct {
		name string
		nr   uintptr
		args []uintptr
		want error
	}{
		{"getpid", unix.SYS_GETPID, nil, nil},
		{"bpf", unix.SYS_BPF, nil, sys.EPERM},
		{"clone3", unix.SYS_CLONE3, nil, sys.ENOSYS},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, []uintptr{1}, sys.ENOSYS},
		{"keyctl", unix.SYS_KEYCTL, nil, sys.ENOSYS},
		{"kexec_load", unix.SYS_KEXEC_LOAD, nil, sys.EPERM},
		{"finit_module", unix.SYS_FINIT_MODULE, nil, sys.EPERM},
		{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, nil, sys.EPERM},
		{"syslog", unix.SYS_SYSLOG, []uintptr{10}, sys.EPERM},
		{"adjtimex", unix.SYS_ADJTIMEX, nil, unix.EFAULT}, // reading is allowed
		{"unshare net", unix.SYS_UNSHARE, []uintptr{unix.CLONE_NEWNET}, sys.EPERM},
		{"unshare mnt", unix.SYS_UNSHARE, []uintptr{unix.CLONE_NEWNS}, nil},
		{"clone net", unix.SYS_CLONE, []uintptr{unix.CLONE_NEWNET | 17}, sys.EPERM},
		{"tcp", unix.SYS_SOCKET, []uintptr{unix.AF_INET, unix.SOCK_STREAM, 0}, nil},
		{"udp6", unix.SYS_SOCKET, []uintptr{unix.AF_INET6, unix.SOCK_DGRAM | unix.SOCK_CLOEXEC, 17}, nil},
		{"unix", unix.SYS_SOCKET, []uintptr{unix.AF_UNIX, unix.SOCK_SEQPACKET, 0}, nil},
		{"route", unix.SYS_SOCKET, []uintptr{unix.AF_NETLINK, unix.SOCK_RAW, 0}, nil},
		{"mptcp", unix.SYS_SOCKET, []uintptr{unix.AF_INET, unix.SOCK_STREAM, 262}, sys.EPROTONOSUPPORT},
		{"vsock", unix.SYS_SOCKET, []uintptr{unix.AF_VSOCK, unix.SOCK_STREAM, 0}, sys.EAFNOSUPPORT},
		{"alg", unix.SYS_SOCKET, []uintptr{unix.AF_ALG, unix.SOCK_SEQPACKET, 0}, sys.EAFNOSUPPORT},
		{"packet", unix.SYS_SOCKET, []uintptr{unix.AF_PACKET, unix.SOCK_RAW, 0}, sys.EAFNOSUPPORT},
		{"old packet", unix.SYS_SOCKET, []uintptr{unix.AF_INET, 10, 0}, sys.ESOCKTNOSUPPORT},
		{"raw", unix.SYS_SOCKET, []uintptr{unix.AF_INET, unix.SOCK_RAW, 1}, sys.EPERM}, // by capability
		{"tiocsti", unix.SYS_IOCTL, []uintptr{0, unix.TIOCSTI, 0}, sys.EPERM},
		{"tiocsti high", unix.SYS_IOCTL, []uintptr{0, 1<<32 | unix.TIOCSTI, 0}, sys.EPERM},
		{"personality", unix.SYS_PERSONALITY, []uintptr{0x0100000}, sys.EPERM},
		{"pidfd_getfd", unix.SYS_PIDFD_GETFD, nil, sys.EPERM},
		{"x32", 0x40000000 | unix.SYS_GETPID, nil, sys.ENOSYS},
		{"future", 1000, nil, sys.ENOSYS},
	}
	for _, tt := range tests {
		if tt.name == "x32" && runtime.GOARCH != "amd64" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			p := &Program{}
			p.Confine(confinement(t))
			p.Call(tt.name, tt.nr, tt.args...)
			proc, err := Start(guestLike(p))
			if err == nil {
				proc.Wait(t.Context())
				proc.Close()
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v; want %v", err, tt.want)
			}
		})
	}
}

func TestConfine(t *testing.T) {
	requireRoot(t)
	p := &Program{}
	p.Confine(confinement(t))
	shell(p, "grep -E '^(CapBnd|CapEff|Seccomp|NoNewPrivs):' /proc/self/status; ls /proc/self/fd | wc -l")
	out, st := run(t, guestLike(p))
	const mask = 0x1ffffffffff
	want := uint64(mask)
	for _, c := range DroppedCaps() {
		want &^= 1 << c
	}
	for _, set := range []string{"CapEff", "CapBnd"} {
		if line := fmt.Sprintf("%s:\t%016x", set, want); !strings.Contains(out, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
	if st.ShellCode() != 0 || !strings.Contains(out, "Seccomp:\t2") || !strings.Contains(out, "NoNewPrivs:\t0") || !strings.HasSuffix(out, "4") {
		t.Errorf("got %v:\n%s", st, out)
	}
}

// An abstract socket of the host must be out of reach below the ruleset.
func TestLandlockScope(t *testing.T) {
	requireRoot(t)
	ll, err := sys.LandlockAbstractScope()
	if errors.Is(err, sys.ErrNotSupported) && (os.Getenv("VSL_TEST_REQUIRE") == "" || !kernel.AtLeast(6, 12)) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer ll.Close()
	name := "\x00vsl-test-" + t.Name()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "@" + name[1:]}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 8); err != nil {
		t.Fatal(err)
	}
	addr := append([]byte{1, 0}, name...)
	for _, landlock := range []bool{false, true} {
		c := confinement(t)
		if landlock {
			c.LandlockFD = int(ll.Fd())
		}
		p := &Program{}
		p.Confine(c)
		s := p.Call("socket", unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)
		p.Add("connect", unix.SYS_CONNECT, s.Result(), Data(bytes.Clone(addr)), Int(len(addr)))
		proc, err := Start(guestLike(p))
		if err == nil {
			proc.Wait(t.Context())
			proc.Close()
		}
		if landlock != errors.Is(err, sys.EPERM) {
			t.Errorf("landlock %v: got %v", landlock, err)
		}
	}
}
