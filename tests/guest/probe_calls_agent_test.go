package guest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func ptr[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

const nsGetParent, nsGetUserNS = 0xb702, 0xb701 // ioctl_ns(2)

// callProbes go for the host by what the kernel offers to root.
var callProbes = []probe{
	{name: "init_module", try: call(unix.SYS_INIT_MODULE, 0, 0, 0), want: "EPERM", why: "code in the kernel"},
	{name: "finit_module", try: call(unix.SYS_FINIT_MODULE, ^uintptr(0), 0, 0), want: "EPERM", why: "code in the kernel"},
	{name: "delete_module", try: call(unix.SYS_DELETE_MODULE, 0, 0), want: "EPERM", why: "code of the kernel"},
	{name: "kexec_load", try: call(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0), want: "EPERM ENOSYS", why: "another kernel"},
	{name: "kexec_file_load", try: call(unix.SYS_KEXEC_FILE_LOAD, ^uintptr(0), 0, 0, 0, 0), want: "EPERM ENOSYS", why: "another kernel"},
	{name: "bpf", try: call(unix.SYS_BPF, 0, 0, 0), want: "EPERM", why: "programs in the kernel"},
	{name: "perf_event_open", try: call(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0, 0), want: "EPERM", why: "it measures others"},
	{name: "userfaultfd", try: call(unix.SYS_USERFAULTFD, 0), want: "EPERM", why: "it stops the kernel where it likes"},
	{name: "io_uring_setup", try: call(unix.SYS_IO_URING_SETUP, 1, 0), want: "ENOSYS EPERM", why: "calls that no filter sees"},
	{name: "io_uring_enter", try: call(unix.SYS_IO_URING_ENTER, ^uintptr(0), 0, 0, 0, 0, 0), want: "ENOSYS EPERM", why: "calls that no filter sees"},
	{name: "io_uring_register", try: call(unix.SYS_IO_URING_REGISTER, ^uintptr(0), 0, 0, 0), want: "ENOSYS EPERM", why: "calls that no filter sees"},
	{name: "keyctl", try: call(unix.SYS_KEYCTL, 0, ^uintptr(2), 0), want: "ENOSYS EPERM", why: "keyrings are counted for the host"},
	{name: "add_key", try: call(unix.SYS_ADD_KEY, 0, 0, 0, 0, 0), want: "ENOSYS EPERM", why: "keyrings are counted for the host"},
	{name: "request_key", try: call(unix.SYS_REQUEST_KEY, 0, 0, 0, 0), want: "ENOSYS EPERM", why: "it starts a program on the host"},
	{name: "settimeofday", try: func(target) error { return tryTime() }, want: "EPERM", why: "the host's clock"},
	{name: "clock_settime", try: setClock, want: "EPERM", why: "the host's clock"},
	{name: "adjtimex sets", try: setTick, want: "EPERM", why: "the host's clock"},
	{name: "clock_adjtime sets", try: setAdjtime, want: "EPERM", why: "the host's clock"},
	{name: "reboot: what only the first pid namespace takes", try: call(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2, unix.LINUX_REBOOT_CMD_CAD_ON, 0), want: "EINVAL EPERM", why: "what ctrl-alt-del does on the host; restart and halt end the guest only, see TestDebian"},
	{name: "syslog reads", try: func(target) error { _, err := unix.Klogctl(3, make([]byte, 10)); return err }, want: "EPERM", why: "the host's log"},
	{name: "syslog quietens", try: call(unix.SYS_SYSLOG, 6, 0, 0), want: "EPERM", why: "the host's console"},
	{name: "iopl", try: func(target) error { return tryIopl() }, want: "EPERM ENOSYS", why: "the host's hardware"},
	{name: "ioperm", try: func(target) error { return tryIoperm() }, want: "EPERM ENOSYS", why: "the host's hardware"},
	{name: "nice below its limit", try: func(target) error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -20) }, want: "EPERM EACCES", why: "before the host's own work"},
	{name: "real-time scheduling", try: setScheduler(1), want: "EPERM", why: "before the host's own work"},
	{name: "deadline scheduling", try: setDeadline, want: "EPERM", why: "before the host's own work"},
	{name: "real-time io", try: call(unix.SYS_IOPRIO_SET, 1, 0, 1<<13), want: "EPERM", why: "before the host's own io"},
	{name: "raise a hard limit", try: raiseLimit, want: "EPERM ok", why: "over its own processes guest root may where CAP_SYS_RESOURCE counts, which is the first user namespace only"},
	{name: "capset what was dropped", try: takeCap(unix.CAP_SYS_MODULE), want: "EPERM", below: "ok", why: "what is not in the bounding set does not come back; over a namespace below it means nothing"},
	{name: "capset SYS_TIME", try: takeCap(unix.CAP_SYS_TIME), want: "EPERM", below: "ok", why: "as SYS_MODULE"},
	{name: "unshare net", try: func(target) error { return unix.Unshare(unix.CLONE_NEWNET) }, want: "EPERM", why: "netfilter and drivers"},
	{name: "clone net", try: cloneNet, want: "EPERM", why: "netfilter and drivers"},
	{name: "clone3", try: call(unix.SYS_CLONE3, 0, 0), want: "ENOSYS", why: "its flags are where no filter looks"},
	{name: "setns to the network it is in", try: joinNS("/proc/self/ns/net", unix.CLONE_NEWNET), want: "EPERM", own: "ok", why: "a network that belongs to the host's user namespace"},
	{name: "setns to the user namespace it is in", try: joinNS("/proc/self/ns/user", unix.CLONE_NEWUSER), want: "EINVAL EPERM", why: "it would give all capabilities back"},
	{name: "parent of the user namespace", try: nsIoctl("/proc/self/ns/user", nsGetParent), want: "EPERM", why: "the host's"},
	{name: "parent of the pid namespace", try: nsIoctl("/proc/self/ns/pid", nsGetParent), want: "EPERM", why: "the host's"},
	{name: "owner of the network", try: nsIoctl("/proc/self/ns/net", nsGetUserNS), want: "EPERM", own: "ok", why: "the host's user namespace"},
	{name: "x32 spelling of init_module", try: x32(unix.SYS_INIT_MODULE), want: "ENOSYS EPERM", why: "a filter must not look at one number only"},
	{name: "x32 spelling of bpf", try: x32(unix.SYS_BPF), want: "ENOSYS EPERM", why: "a filter must not look at one number only"},
	{name: "x32 spelling of getpid", try: x32(unix.SYS_GETPID), want: "ENOSYS EPERM", why: "foreign calls do not exist"},
	{name: "int 0x80: init_module", try: int80(128), want: "EPERM ENOSYS ENOEXEC", why: "32-bit calls have another table"},
	{name: "int 0x80: bpf", try: int80(357), want: "EPERM ENOSYS ENOEXEC", why: "32-bit calls have another table"},
	{name: "int 0x80: keyctl", try: int80(288), want: "EPERM ENOSYS ENOEXEC", why: "32-bit calls have another table"},
	{name: "int 0x80: io_uring_setup", try: int80(425), want: "EPERM ENOSYS ENOEXEC", why: "32-bit calls have another table"},
	{name: "int 0x80: settimeofday", try: int80(79), want: "EPERM ENOSYS ENOEXEC", why: "32-bit calls have another table"},
	{name: "int 0x80: fcntl lease", try: int80(55, 0, unix.F_SETLEASE, unix.F_WRLCK), want: "EPERM EACCES ENOSYS EINVAL EAGAIN ENOEXEC", why: "the host's exec of it would wait for lease-break-time"},
	{name: "int 0x80: fcntl64 lease", try: int80(221, 0, unix.F_SETLEASE, unix.F_WRLCK), want: "EPERM EACCES ENOSYS EINVAL EAGAIN ENOEXEC", why: "as fcntl"},
	{name: "int 0x80: socketcall", try: int80(102, 1, 0, 0), want: "ENOSYS EPERM ENOEXEC", why: "its arguments are where no filter looks"},
	{name: "personality of old unixes", try: call(unix.SYS_PERSONALITY, 0x0100000|0x0010), want: "EPERM", why: "MMAP_PAGE_ZERO and its kin help against the kernel"},
	{name: "seccomp listener", try: listener, want: "ok EPERM EBUSY", why: "it hears of processes below itself only"},
	{name: "uselib", try: call(unix.SYS_USELIB, 0), want: "ENOSYS EPERM", why: "old code"},
	{name: "lookup_dcookie", try: call(unix.SYS_LOOKUP_DCOOKIE, 0, 0, 0), want: "ENOSYS EPERM", why: "paths of the host"},
	{name: "set the host's name", try: setName, want: "INSIDE", below: "EPERM", why: "a name of its own; that the host keeps its, the test looks"},
}

func tryTime() error {
	var tv unix.Timeval
	if err := unix.Gettimeofday(&tv); err != nil {
		return err
	}
	return unix.Settimeofday(&tv)
}

// The clock is set to what it shows.
func setClock(target) error {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &ts); err != nil {
		return err
	}
	return sysno(unix.SYS_CLOCK_SETTIME, unix.CLOCK_REALTIME, ptr(&ts))
}

func setTick(target) error {
	tx := unix.Timex{Modes: unix.ADJ_TICK, Tick: 10000} // what every clock begins with
	return sysno(unix.SYS_ADJTIMEX, ptr(&tx))
}

func setAdjtime(target) error {
	tx := unix.Timex{Modes: unix.ADJ_TICK, Tick: 10000}
	return sysno(unix.SYS_CLOCK_ADJTIME, unix.CLOCK_REALTIME, ptr(&tx))
}

func setScheduler(policy uintptr) func(target) error {
	return func(target) error {
		prio := int32(1)
		return sysno(unix.SYS_SCHED_SETSCHEDULER, 0, policy, ptr(&prio))
	}
}

func setDeadline(target) error {
	return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: 6, Runtime: 1e6, Deadline: 1e9, Period: 1e9}, 0)
}

func raiseLimit(target) error {
	var old unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_CORE, &unix.Rlimit{Cur: 0, Max: 0}, &old); err != nil {
		return err
	}
	return unix.Prlimit(0, unix.RLIMIT_CORE, &old, nil)
}

func takeCap(n int) func(target) error {
	return func(target) error {
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&head, &data[0]); err != nil {
			return err
		}
		data[n/32].Permitted |= 1 << (n % 32)
		data[n/32].Effective |= 1 << (n % 32)
		return unix.Capset(&head, &data[0])
	}
}

func cloneNet(target) error {
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_NEWNET|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 {
		return e
	}
	if pid == 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	_, err := unix.Wait4(int(pid), nil, 0, nil)
	return err
}

func joinNS(path string, kind int) func(target) error {
	return func(target) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return unix.Setns(int(f.Fd()), kind)
	}
}

func nsIoctl(path string, request uintptr) func(target) error {
	return func(target) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		fd, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, 0)
		if e != 0 {
			return e
		}
		return unix.Close(int(fd))
	}
}

func x32(nr uintptr) func(target) error {
	return func(target) error {
		if runtime.GOARCH != "amd64" {
			return unix.ENOSYS
		}
		return sysno(nr|0x40000000, 0, 0, 0)
	}
}

// int80 makes a system call of 32-bit programs with up to three arguments, in a
// program of its own that exits with the errno. Its descriptor 0 is a program of the
// host's, open for reading.
func int80(nr uint32, args ...uint32) func(target) error {
	return func(target) error {
		if runtime.GOARCH != "amd64" {
			return unix.ENOSYS
		}
		var code []byte
		for i, v := range append([]uint32{nr}, append(args, 0, 0, 0)[:3]...) { // mov eax, ebx, ecx, edx
			code = binary.LittleEndian.AppendUint32(append(code, []byte{0xb8, 0xbb, 0xb9, 0xba}[i]), v)
		}
		code = append(code,
			0x31, 0xf6, 0x31, 0xff, // xor esi, edi
			0xcd, 0x80, // int 0x80
			0xf7, 0xd8, // neg eax
			0x89, 0xc7, // mov edi, eax
			0xb8, 60, 0, 0, 0, 0x0f, 0x05) // exit(edi), of 64 bits
		path := filepath.Join("/root", fmt.Sprintf("probe-int80-%d", nr))
		if err := os.WriteFile(path, tinyELF(code), 0o755); err != nil {
			return err
		}
		defer os.Remove(path)
		in, err := os.Open(hostProgram)
		if err != nil {
			return err
		}
		defer in.Close()
		c := exec.Command(path)
		c.Stdin = in
		err = c.Run()
		if err == nil {
			return nil
		}
		var ee *exec.ExitError
		switch {
		case !errors.As(err, &ee):
			return err
		case ee.ExitCode() >= 0:
			return syscall.Errno(ee.ExitCode())
		default:
			return errors.New(ee.Error()) // SIGSEGV where the kernel has no 32-bit calls
		}
	}
}

// tinyELF is a static program of one segment.
func tinyELF(code []byte) []byte {
	const base, head = 0x400000, 64 + 56
	le := binary.LittleEndian
	b := append([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, make([]byte, 9)...)
	b = le.AppendUint32(le.AppendUint16(le.AppendUint16(b, 2), 62), 1)         // EXEC, x86-64
	b = le.AppendUint64(le.AppendUint64(le.AppendUint64(b, base+head), 64), 0) // entry, program headers, sections
	b = le.AppendUint32(b, 0)                                                  // flags
	for _, v := range []uint16{64, 56, 1, 0, 0, 0} {                           // sizes and counts
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(le.AppendUint32(b, 1), 5) // LOAD, read and execute
	size := uint64(head + len(code))
	for _, v := range []uint64{0, base, base, size, size, 0x1000} {
		b = le.AppendUint64(b, v)
	}
	return append(b, code...)
}

// listener installs a filter that allows everything and is asked for a listener.
func listener(target) error {
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	prog := unix.SockFprog{Len: 1, Filter: &allow}
	fd, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, ptr(&prog))
	runtime.KeepAlive(&allow)
	if e != 0 {
		return e
	}
	return unix.Close(int(fd))
}

func setName(target) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte("probe")); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(unix.ByteSliceToString(u.Nodename[:]))); err != nil {
		return err
	}
	return errInside
}
