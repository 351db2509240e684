package guest

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func addrOf(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

func errname(err error) string {
	if err == nil {
		return "ok"
	}
	var e syscall.Errno
	if errors.As(err, &e) {
		return unix.ErrnoName(e)
	}
	return err.Error()
}

func sysno(nr uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	_, _, e := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if e != 0 {
		return e
	}
	return nil
}

// tries are what no root of a guest may do. Each is harmless should it work.
var tries = map[string]func() error{
	"mount ext4":        func() error { return unix.Mount("none", "/mnt", "ext4", unix.MS_RDONLY, "") },
	"mknod block":       func() error { return unix.Mknod("/blk", unix.S_IFBLK|0o600, 0xfe00) },
	"mknod kmem":        func() error { return unix.Mknod("/dev/kmem", unix.S_IFCHR|0o600, 0x0102) },
	"init_module":       func() error { return sysno(unix.SYS_INIT_MODULE, 0, 0, 0) },
	"finit_module":      func() error { return sysno(unix.SYS_FINIT_MODULE, ^uintptr(0), 0, 0) },
	"delete_module":     func() error { return sysno(unix.SYS_DELETE_MODULE, 0, 0) },
	"settimeofday":      func() error { return tryTime() },
	"clock_settime":     func() error { return sysno(unix.SYS_CLOCK_SETTIME, 0, 0) },
	"adjtimex":          func() error { var t unix.Timex; _, err := unix.Adjtimex(&t); return err },
	"kexec_load":        func() error { return sysno(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0) },
	"bpf":               func() error { return sysno(unix.SYS_BPF, 0, 0, 0) },
	"perf_event_open":   func() error { return sysno(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0, 0) },
	"userfaultfd":       func() error { return sysno(unix.SYS_USERFAULTFD, 0) },
	"io_uring_setup":    func() error { return sysno(unix.SYS_IO_URING_SETUP, 1, 0) },
	"keyctl":            func() error { return sysno(unix.SYS_KEYCTL, 0, ^uintptr(2), 0) },
	"add_key":           func() error { return sysno(unix.SYS_ADD_KEY, 0, 0, 0, 0, 0) },
	"unshare net":       func() error { return unix.Unshare(unix.CLONE_NEWNET) },
	"open_by_handle_at": func() error { return sysno(unix.SYS_OPEN_BY_HANDLE_AT, 0, 0, 0) },
	"swapon":            func() error { return sysno(unix.SYS_SWAPON, 0, 0) },
	"syslog":            func() error { _, err := unix.Klogctl(3, make([]byte, 10)); return err },
	"TIOCSTI": func() error {
		b := byte('x')
		return sysno(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&b)))
	},
	"raw socket":         func() error { return trySocket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) },
	"packet socket":      func() error { return trySocket(unix.AF_PACKET, unix.SOCK_RAW, 0) },
	"vsock":              func() error { return trySocket(unix.AF_VSOCK, unix.SOCK_STREAM, 0) },
	"sctp":               func() error { return trySocket(unix.AF_INET, unix.SOCK_SEQPACKET, 132) },
	"read kcore":         func() error { return tryRead("/proc/kcore") },
	"read kmsg":          func() error { return tryRead("/dev/kmsg") },
	"read proc kmsg":     func() error { return tryRead("/proc/kmsg") },
	"read /dev/mem":      func() error { return tryRead("/dev/mem") },
	"read slabinfo":      func() error { return tryRead("/proc/slabinfo") },
	"write core_pattern": func() error { return tryWrite("/proc/sys/kernel/core_pattern") },
	"write modprobe":     func() error { return tryWrite("/proc/sys/kernel/modprobe") },
	"write overcommit":   func() error { return tryWrite("/proc/sys/vm/overcommit_memory") },
	"write ip_forward":   func() error { return tryWrite("/proc/sys/net/ipv4/ip_forward") },
	"write sysrq": func() error {
		_ = unix.Unmount("/proc/sysrq-trigger", unix.MNT_DETACH) // the mask takes what is written
		return tryWrite("/proc/sysrq-trigger")
	},
	"write uevent_helper":  func() error { return tryWrite("/sys/kernel/uevent_helper") },
	"write power state":    func() error { return tryWrite("/sys/power/state") },
	"write lo mtu":         func() error { return tryWrite("/sys/class/net/lo/mtu") },
	"remount /proc/sys rw": func() error { return unix.Mount("", "/proc/sys", "", unix.MS_REMOUNT|unix.MS_BIND, "") },
	"remount /usr rw":      func() error { return unix.Mount("", "/usr", "", unix.MS_REMOUNT|unix.MS_BIND, "") },
	"umount /usr":          func() error { return unix.Unmount("/usr", unix.MNT_DETACH) },
	"nice below limit":     func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -20) },
	"iopl":                 func() error { return tryIopl() },
}

func tryTime() error {
	var tv unix.Timeval
	if err := unix.Gettimeofday(&tv); err != nil {
		return err
	}
	return unix.Settimeofday(&tv)
}

func trySocket(family, kind, proto int) error {
	fd, err := unix.Socket(family, kind, proto)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func tryRead(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Read(make([]byte, 16))
	return err
}

// tryWrite opens for writing and writes nothing.
func tryWrite(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// agentTry prints what each attempt gave, a line each. Whatever might break
// the agent itself comes in a process of its own.
func agentTry(args []string) error {
	if len(args) == 1 {
		f, ok := tries[args[0]]
		if !ok {
			return fmt.Errorf("no try %q", args[0])
		}
		fmt.Println(errname(f()))
		return nil
	}
	names := make([]string, 0, len(tries))
	for n := range tries {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		fmt.Printf("%s: %s\n", n, errname(tries[n]()))
	}
	return nil
}
