package spawn

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"

	"vsl/engine/internal/sys"
)

const retAllow, retErrno = 0x7fff0000, 0x00050000

// ignored is judge's word for a call that succeeds and does nothing.
const ignored = sys.Errno(1 << 16)

// judge runs a filter as the kernel would (Documentation/networking/filter.rst)
// and gives the errno of the call, 0 where it is allowed.
func judge(t *testing.T, filter []byte, audit, nr uint32, args ...uint64) sys.Errno {
	t.Helper()
	data := make([]byte, 64)
	binary.NativeEndian.PutUint32(data, nr)
	binary.NativeEndian.PutUint32(data[4:], audit)
	for i, a := range args {
		binary.NativeEndian.PutUint64(data[16+8*i:], a)
	}
	var acc uint32
	for pc := 0; ; pc++ {
		insn := filter[8*pc:]
		op, k := binary.NativeEndian.Uint16(insn), binary.NativeEndian.Uint32(insn[4:])
		hit := false
		switch op {
		case 0x20: // ld [k]
			acc = binary.NativeEndian.Uint32(data[k:])
			continue
		case 0x05: // ja
			pc += int(k)
			continue
		case 0x06: // ret
			if k == retAllow {
				return 0
			}
			if k&0xffff0000 != retErrno {
				t.Fatalf("strange action %#x", k)
			}
			if k&0xffff == 0 {
				return ignored
			}
			return sys.Errno(k & 0xffff)
		case 0x15:
			hit = acc == k
		case 0x25:
			hit = acc > k
		case 0x35:
			hit = acc >= k
		case 0x45:
			hit = acc&k != 0
		default:
			t.Fatalf("instruction %d: unknown operation %#x", pc, op)
		}
		if hit {
			pc += int(insn[2])
		} else {
			pc += int(insn[3])
		}
	}
}

func TestFilterRules(t *testing.T) {
	amd, i386, arm := uint32(arch.X86_64.ID), uint32(arch.I386.ID), uint32(arch.AARCH64.ID)
	nr := func(a *arch.Info, name string) uint32 {
		n, ok := a.SyscallNames[name]
		if !ok {
			t.Fatalf("no %s on %s", name, a.Name)
		}
		return uint32(n)
	}
	const high = 1 << 32 // rubbish above an int
	tests := []struct {
		goarch string
		audit  uint32
		nr     uint32
		args   []uint64
		opts   FilterOptions
		want   sys.Errno
	}{
		{"amd64", amd, nr(arch.X86_64, "read"), nil, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "clone"), []uint64{17}, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "clone"), []uint64{17 | sys.CLONE_NEWNET}, FilterOptions{}, sys.EPERM},
		{"amd64", amd, nr(arch.X86_64, "clone"), []uint64{17 | sys.CLONE_NEWNS}, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "clone"), []uint64{17 | sys.CLONE_NEWNET}, FilterOptions{NetNS: true}, 0},
		{"amd64", amd, nr(arch.X86_64, "unshare"), []uint64{high | sys.CLONE_NEWNET}, FilterOptions{}, sys.EPERM},
		{"amd64", amd, nr(arch.X86_64, "clone3"), nil, FilterOptions{}, sys.ENOSYS},
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{afUNIX, 5, 0}, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{high | 40, 1, 0}, FilterOptions{}, sys.EAFNOSUPPORT}, // vsock
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{high | afINET, 1, 262}, FilterOptions{}, sys.EPROTONOSUPPORT},
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{afINET6, 1 | 0x80800, high | 262}, FilterOptions{}, sys.EPROTONOSUPPORT},
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{afINET6, 1 | 0x80800, 0}, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{afINET, 2, 17}, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{afINET, 5, 0}, FilterOptions{}, sys.ESOCKTNOSUPPORT}, // sctp by default
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{afINET, 10, 3}, FilterOptions{}, sys.ESOCKTNOSUPPORT},
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{afINET, 1, 132}, FilterOptions{}, sys.EPROTONOSUPPORT},
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{afINET, 3, 89}, FilterOptions{}, 0}, // the capability decides
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{17, 3, 0}, FilterOptions{}, sys.EAFNOSUPPORT},
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{afNETLINK, 3, 0}, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{afNETLINK, 3, 9}, FilterOptions{}, sys.EPROTONOSUPPORT},
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{afNETLINK, 3, 4}, FilterOptions{}, sys.EPROTONOSUPPORT},
		{"amd64", amd, nr(arch.X86_64, "socket"), []uint64{afNETLINK, 3, 4}, FilterOptions{PrivateNet: true}, 0},
		{"amd64", amd, nr(arch.X86_64, "socketpair"), []uint64{afUNIX}, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "socketpair"), []uint64{30}, FilterOptions{}, sys.EAFNOSUPPORT}, // tipc
		{"amd64", amd, nr(arch.X86_64, "setsockopt"), []uint64{3, 0, 51}, FilterOptions{}, sys.ENOPROTOOPT},
		{"amd64", amd, nr(arch.X86_64, "setsockopt"), []uint64{3, high, high | 51}, FilterOptions{}, sys.ENOPROTOOPT},
		{"amd64", amd, nr(arch.X86_64, "setsockopt"), []uint64{3, 0, 51}, FilterOptions{PrivateNet: true}, 0},
		{"amd64", amd, nr(arch.X86_64, "setsockopt"), []uint64{3, 1, 51}, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "setsockopt"), []uint64{3, 0, 15}, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "ioctl"), []uint64{0, 0x5401}, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "ioctl"), []uint64{0, tiocsti}, FilterOptions{}, sys.EPERM},
		{"amd64", amd, nr(arch.X86_64, "ioctl"), []uint64{0, high | tiocsti}, FilterOptions{}, sys.EPERM},
		{"amd64", amd, nr(arch.X86_64, "fcntl"), []uint64{3, 1}, FilterOptions{}, 0},                          // F_GETFD
		{"amd64", amd, nr(arch.X86_64, "fcntl"), []uint64{3, high | 1024}, FilterOptions{}, sys.EACCES},       // F_SETLEASE
		{"amd64", amd, nr(arch.X86_64, "fcntl"), []uint64{3, 1025}, FilterOptions{}, 0},                       // F_GETLEASE
		{"amd64", amd, nr(arch.X86_64, "fcntl"), []uint64{3, 1040}, FilterOptions{}, sys.EACCES},              // F_SETDELEG
		{"amd64", amd, 0x40000000 + nr(arch.X86_64, "fcntl"), []uint64{3, 1024}, FilterOptions{}, sys.ENOSYS}, // x32
		{"amd64", i386, nr(arch.I386, "fcntl"), []uint64{3, 1024}, FilterOptions{}, sys.EACCES},
		{"amd64", i386, nr(arch.I386, "fcntl64"), []uint64{3, 1024}, FilterOptions{}, sys.EACCES},
		{"arm64", arm, nr(arch.AARCH64, "fcntl"), []uint64{3, 1024}, FilterOptions{}, sys.EACCES},
		{"arm64", uint32(arch.ARM.ID), nr(arch.ARM, "fcntl64"), []uint64{3, 1024}, FilterOptions{}, sys.EACCES},
		{"amd64", amd, nr(arch.X86_64, "fadvise64"), []uint64{3, 0, 0, 4}, FilterOptions{}, ignored},
		{"amd64", amd, nr(arch.X86_64, "fadvise64"), []uint64{3, 0, 4, 3}, FilterOptions{}, 0},
		{"amd64", i386, nr(arch.I386, "fadvise64"), []uint64{3, 0, 0, 0, 4}, FilterOptions{}, ignored},
		{"amd64", i386, nr(arch.I386, "fadvise64_64"), []uint64{3, 0, 0, 0, 0, 4}, FilterOptions{}, ignored},
		{"arm64", arm, nr(arch.AARCH64, "fadvise64"), []uint64{3, 0, 0, 4}, FilterOptions{}, ignored},
		{"arm64", uint32(arch.ARM.ID), nr(arch.ARM, "arm_fadvise64_64"), []uint64{3, 4}, FilterOptions{}, ignored},
		{"amd64", amd, nr(arch.X86_64, "madvise"), []uint64{0, 0, 21}, FilterOptions{}, ignored},
		{"amd64", amd, nr(arch.X86_64, "madvise"), []uint64{0, 0, 4}, FilterOptions{}, 0}, // MADV_DONTNEED
		{"amd64", amd, nr(arch.X86_64, "fanotify_init"), nil, FilterOptions{}, sys.EPERM},
		{"amd64", amd, nr(arch.X86_64, "personality"), []uint64{0xffffffff}, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "personality"), []uint64{0x0040000}, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "personality"), []uint64{0x8000008}, FilterOptions{}, 0}, // 32 bit, 3 GB
		{"amd64", amd, nr(arch.X86_64, "personality"), []uint64{0x0400000}, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "personality"), []uint64{0x0100000}, FilterOptions{}, sys.EPERM},
		{"amd64", amd, nr(arch.X86_64, "personality"), []uint64{6}, FilterOptions{}, sys.EPERM}, // SunOS
		{"amd64", amd, nr(arch.X86_64, "adjtimex"), nil, FilterOptions{}, 0},
		{"amd64", i386, nr(arch.I386, "modify_ldt"), nil, FilterOptions{}, 0},
		{"amd64", i386, nr(arch.I386, "clock_adjtime64"), nil, FilterOptions{}, 0},
		{"amd64", amd, nr(arch.X86_64, "pidfd_getfd"), nil, FilterOptions{}, sys.EPERM},
		{"arm64", arm, nr(arch.AARCH64, "kcmp"), nil, FilterOptions{}, sys.EPERM},
		{"amd64", i386, nr(arch.I386, "set_mempolicy"), nil, FilterOptions{}, sys.EPERM},
		{"amd64", amd, 0x40000000, nil, FilterOptions{}, sys.ENOSYS}, // x32
		{"amd64", amd, 0x40000000 + 520, nil, FilterOptions{}, sys.ENOSYS},
		{"amd64", amd, 5000, nil, FilterOptions{}, sys.ENOSYS},
		{"amd64", i386, nr(arch.I386, "read"), nil, FilterOptions{}, 0},
		{"amd64", i386, nr(arch.I386, "socketcall"), []uint64{1}, FilterOptions{}, sys.ENOSYS},
		{"amd64", i386, nr(arch.I386, "socketcall"), []uint64{3}, FilterOptions{}, 0},
		{"amd64", i386, nr(arch.I386, "socketcall"), []uint64{14}, FilterOptions{}, sys.ENOSYS},
		{"amd64", i386, nr(arch.I386, "setsockopt"), []uint64{3, 0, 51}, FilterOptions{}, sys.ENOPROTOOPT},
		{"amd64", i386, nr(arch.I386, "clock_settime64"), nil, FilterOptions{}, sys.EPERM},
		{"amd64", i386, nr(arch.I386, "unshare"), []uint64{sys.CLONE_NEWNET}, FilterOptions{}, sys.EPERM},
		{"amd64", i386, nr(arch.I386, "socket"), []uint64{38, 5, 0}, FilterOptions{}, sys.EAFNOSUPPORT}, // alg
		{"amd64", arm, nr(arch.AARCH64, "read"), nil, FilterOptions{}, sys.ENOSYS},
		{"arm64", arm, nr(arch.AARCH64, "read"), nil, FilterOptions{}, 0},
		{"arm64", arm, nr(arch.AARCH64, "bpf"), nil, FilterOptions{}, sys.EPERM},
		{"arm64", arm, nr(arch.AARCH64, "clone"), []uint64{17 | sys.CLONE_NEWNET}, FilterOptions{}, sys.EPERM},
		{"arm64", uint32(arch.ARM.ID), 0xf0005, nil, FilterOptions{}, 0},
		{"arm64", amd, 0, nil, FilterOptions{}, sys.ENOSYS},
	}
	for i, tt := range tests {
		filter, err := filterFor(tt.goarch, tt.opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := judge(t, filter, tt.audit, tt.nr, tt.args...); got != tt.want {
			t.Errorf("%d: %s %#x: call %d%v is %d; want %d", i, tt.goarch, tt.audit, tt.nr, tt.args, got, tt.want)
		}
	}
}

// Each refused name must be known, or it would be refused nowhere; and each
// call that is neither refused nor conditional must pass.
func TestFilterNames(t *testing.T) {
	arches := []*arch.Info{arch.X86_64, arch.I386, arch.AARCH64, arch.ARM}
	want := map[string]sys.Errno{}
	for _, g := range Refused {
		for _, name := range g.Names {
			known := slices.ContainsFunc(arches, func(a *arch.Info) bool { _, ok := a.SyscallNames[name]; return ok })
			if !known && name != "pciconfig_iobase" && name != "stime" {
				t.Errorf("no architecture has %s", name)
			}
			want[name] = g.Errno
		}
	}
	want["socket"], want["socketpair"] = sys.EAFNOSUPPORT, sys.EAFNOSUPPORT
	for _, a := range arches {
		goarch := "amd64"
		if a == arch.AARCH64 || a == arch.ARM {
			goarch = "arm64"
		}
		filter, err := filterFor(goarch, FilterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for nr, name := range a.SyscallNumbers {
			if got := judge(t, filter, uint32(a.ID), uint32(nr)); got != want[name] {
				t.Errorf("%s on %s is %d; want %d", name, a.Name, got, want[name])
			}
		}
	}
}
