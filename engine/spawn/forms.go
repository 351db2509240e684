package spawn

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"vsl/engine/internal/sys"
)

// forms has every system call that a Program can have added by its methods, as
// strace(1) writes it.
var forms = map[uintptr]form{
	sys.NrMount:         {"mount", each(text, text, text, flags(sys.MountFlags), text)},
	sys.NrUmount:        {"umount2", each(text, flags(sys.UmountFlags))},
	sys.NrMkdirat:       {"mkdirat", each(dir, text, octal)},
	sys.NrSymlinkat:     {"symlinkat", each(text, dir, text)},
	sys.NrUnlinkat:      {"unlinkat", each(dir, text, flags(sys.AtFlags))},
	sys.NrOpenat:        {"openat", openat},
	sys.NrClose:         {"close", each(plain)},
	sys.NrWrite:         {"write", write},
	sys.NrFchown:        {"fchown", each(plain, plain, plain)},
	sys.NrChdir:         {"chdir", each(text)},
	sys.NrFchdir:        {"fchdir", each(plain)},
	sys.NrChroot:        {"chroot", each(text)},
	sys.NrPivotRoot:     {"pivot_root", each(text, text)},
	sys.NrUnshare:       {"unshare", each(flags(sys.CloneFlags))},
	sys.NrSetns:         {"setns", each(plain, flags(sys.CloneFlags))},
	sys.NrSethostname:   {"sethostname", each(plain, plain)},
	sys.NrSetsid:        {"setsid", each()},
	sys.NrSetgroups:     {"setgroups", each(plain, ids)},
	sys.NrSetresgid:     {"setresgid", each(plain, plain, plain)},
	sys.NrSetresuid:     {"setresuid", each(plain, plain, plain)},
	sys.NrPrlimit64:     {"prlimit64", each(plain, func(a Arg) string { return sys.RlimitName(uint64(a.n)) }, rlimit, rlimit)},
	sys.NrSetpriority:   {"setpriority", each(fixed("PRIO_PROCESS"), plain, plain)},
	sys.NrSetscheduler:  {"sched_setscheduler", each(plain, scheduler, priority)},
	sys.NrPrctl:         {"prctl", prctl},
	sys.NrSeccomp:       {"seccomp", each(fixed("SECCOMP_SET_MODE_FILTER"), plain, filter)},
	sys.NrLandlock:      {"landlock_restrict_self", each(plain, plain)},
	sys.NrDup3:          {"dup3", each(plain, plain, plain)},
	sys.NrCloseRange:    {"close_range", each(plain, plain, flags(sys.CloseRangeFlags))},
	sys.NrSocket:        {"socket", each(family, func(a Arg) string { return sys.SocketTypeName(uint64(a.n)) }, fixed("IPPROTO_IP"))},
	sys.NrIoctl:         {"ioctl", ioctl},
	sys.NrUmask:         {"umask", each(octal)},
	sys.NrKeyctl:        {"keyctl", each(fixed("KEYCTL_JOIN_SESSION_KEYRING"), text)},
	sys.NrExecve:        {"execve", each(text, vector, environment)},
	sys.NrExecveat:      {"execveat", each(plain, text, vector, environment, flags(sys.AtFlags))},
	sys.NrRtSigaction:   {"rt_sigaction", each(plain, fixed("{sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}"), pointer, plain)},
	sys.NrRtSigprocmask: {"rt_sigprocmask", each(fixed("SIG_SETMASK"), fixed("[]"), pointer, plain)},
}

// openat has a mode only where it makes something.
func openat(args []Arg) []string {
	out := each(dir, text, func(a Arg) string { return sys.OpenFlagNames(uint64(a.n)) }, octal)(args)
	if len(args) > 2 && args[2].n&sys.O_CREAT == 0 {
		out = out[:3]
	}
	return out
}

// write writes the bytes that are written: the text's zero byte is not.
func write(args []Arg) []string {
	out := each(plain, plain, plain)(args)
	if len(args) == 3 && args[1].kind == argData && args[2].n <= uintptr(len(args[1].data)) {
		out[1] = quoted(args[1].data[:args[2].n])
	}
	return out
}

// prctl has as many arguments as its first one wants.
func prctl(args []Arg) []string {
	switch args[0].n {
	case sys.PR_SET_DUMPABLE:
		return []string{"PR_SET_DUMPABLE", []string{"SUID_DUMP_DISABLE", "SUID_DUMP_USER"}[args[1].n&1]}
	case sys.PR_CAPBSET_DROP:
		return []string{"PR_CAPBSET_DROP", strings.ToUpper(CapName(int(args[1].n)))}
	case sys.PR_SET_NO_NEW_PRIVS:
		return append([]string{"PR_SET_NO_NEW_PRIVS"}, each(plain, plain, plain, plain)(args[1:])...)
	}
	return each(plain, hex, hex, hex, hex)(args)
}

// ioctl has the argument that its request wants.
func ioctl(args []Arg) []string {
	fd := argForm(plain).of(args[0])
	switch args[1].n {
	case sys.SIOCSIFFLAGS:
		name, _, _ := bytes.Cut(args[2].data[:16], []byte{0})
		up := "0"
		if binary.NativeEndian.Uint16(args[2].data[16:]) == 1 {
			up = "IFF_UP"
		}
		return []string{fd, "SIOCSIFFLAGS", fmt.Sprintf("{ifr_name=%q, ifr_flags=%s}", name, up)}
	case sys.TIOCSPTLCK:
		return []string{fd, "TIOCSPTLCK", fmt.Sprintf("[%d]", binary.NativeEndian.Uint32(args[2].data))}
	case sys.TIOCGPTPEER:
		return []string{fd, "TIOCGPTPEER", sys.OpenFlagNames(uint64(args[2].n))}
	case sys.TIOCSCTTY:
		return []string{fd, "TIOCSCTTY", plain(args[2])}
	}
	return append([]string{fd, hex(args[1])}, each(hex)(args[2:])...)
}

func family(a Arg) string {
	if a.n == 2 {
		return "AF_INET"
	}
	return plain(a)
}

func scheduler(a Arg) string {
	names := []string{"SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "", "SCHED_IDLE"}
	if a.n < uintptr(len(names)) && names[a.n] != "" {
		return names[a.n]
	}
	return plain(a)
}

func priority(a Arg) string { return fmt.Sprintf("[%d]", binary.NativeEndian.Uint32(a.data)) }
