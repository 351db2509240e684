package guest

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// hostProgram is a program of the host's that a guest of host() sees.
const hostProgram = "/usr/bin/true"

const fsImmutable = 0x10 // FS_IMMUTABLE_FL of linux/fs.h

// fileProbes go for the host by files: its inodes, its ids, its settings.
var fileProbes = []probe{
	{name: "lease on a program", try: leaseOn(hostProgram), want: "EPERM EACCES ENOSYS EINVAL EAGAIN", why: "the host's exec of it would wait for lease-break-time"},
	{name: "write to a program", try: writes(hostProgram), want: "EROFS EACCES EPERM", tree: "ok", why: "the host runs it"},
	{name: "fanotify_init", try: call(unix.SYS_FANOTIFY_INIT, 0, 0), want: "EPERM ENOSYS", why: "it would tell, and could stop, what the host opens"},
	{name: "fanotify_init, unprivileged kind", try: call(unix.SYS_FANOTIFY_INIT, unix.FAN_REPORT_FID, 0), want: "EPERM ENOSYS", why: "it would tell what the host opens"},
	{name: "quotactl", try: call(unix.SYS_QUOTACTL, 0, 0, 0, 0), want: "EPERM ENOSYS", why: "quotas are the host's"},
	{name: "quotactl_fd", try: call(unix.SYS_QUOTACTL_FD, 0, 0, 0, 0), want: "EPERM ENOSYS", why: "quotas are the host's"},
	{name: "swapon", try: call(unix.SYS_SWAPON, 0, 0), want: "EPERM", why: "swap is the host's"},
	{name: "swapoff", try: call(unix.SYS_SWAPOFF, 0), want: "EPERM", why: "swap is the host's"},
	{name: "acct", try: call(unix.SYS_ACCT, 0), want: "EPERM ENOSYS", why: "accounting is the host's"},
	{name: "chown beyond the id map", try: onFile(func(p string) error { return unix.Lchown(p, 70000, 0) }), want: "EINVAL", why: "that id is somebody else's on the host"},
	{name: "setuid beyond the id map", try: call(unix.SYS_SETUID, 70000), want: "EINVAL", why: "that id is somebody else's on the host"},
	{name: "setgroups beyond the id map", try: func(target) error { return setgroups(70000) }, want: "EINVAL", below: "EPERM", why: "that id is somebody else's on the host"},
	{name: "file capability for a foreign root", try: onFile(func(p string) error { return setFileCap(p, 70000) }), want: "EINVAL EPERM", why: "it would hold in another user namespace"},
	{name: "trusted attribute", try: onFile(func(p string) error { return unix.Setxattr(p, "trusted.probe", []byte("x"), 0) }), want: "EPERM ENOTSUP", why: "they are read as the host's word, by overlay for one"},
	{name: "immutable flag", try: onFile(setImmutable), want: "EPERM ENOTTY ENOTSUP EOPNOTSUPP", why: "vsl rm could not remove it"},
	{name: "setuid program makes more than guest root", try: setuidProgram, want: "INSIDE", below: "EINVAL EPERM", why: "root of a setuid file is the guest's"},
	{name: "write modprobe", try: writes("/proc/sys/kernel/modprobe"), want: "EACCES EPERM EROFS ENOENT", why: "it starts a program on the host"},
	{name: "write core_pattern", try: writes("/proc/sys/kernel/core_pattern"), want: "EACCES EPERM EROFS", why: "it starts a program on the host"},
	{name: "write overcommit_memory", try: writes("/proc/sys/vm/overcommit_memory"), want: "EACCES EPERM EROFS", why: "the host's memory"},
	{name: "write drop_caches", try: writes("/proc/sys/vm/drop_caches"), want: "EACCES EPERM EROFS", why: "the host's caches"},
	{name: "write sysrq", try: writes("/proc/sys/kernel/sysrq"), want: "EACCES EPERM EROFS ENOENT", why: "what the host's keyboard may do"},
	{name: "write randomize_va_space", try: writes("/proc/sys/kernel/randomize_va_space"), want: "EACCES EPERM EROFS", why: "a defence of the host's"},
	{name: "write panic", try: writes("/proc/sys/kernel/panic"), want: "EACCES EPERM EROFS", why: "the host's end"},
	{name: "write pid_max", try: lowerPidMax, want: "EACCES EPERM EROFS INSIDE", why: "the host's processes; since 6.14 a pid namespace has its own"},
	{name: "write file-max", try: writes("/proc/sys/fs/file-max"), want: "EACCES EPERM EROFS", why: "the host's descriptors"},
	{name: "write binfmt_misc", try: writes("/proc/sys/fs/binfmt_misc/register"), want: "EACCES EPERM EROFS ENOENT", why: "the host would run its interpreter"},
	{name: "write ip_forward", try: writes("/proc/sys/net/ipv4/ip_forward"), want: "EACCES EPERM EROFS ENOENT", own: "ok", why: "the host's network, unless it has its own"},
	{name: "write rmem_max", try: writes("/proc/sys/net/core/rmem_max"), want: "EACCES EPERM EROFS ENOENT", own: "ok", why: "the host's network, unless it has its own"},
	{name: "write sysrq-trigger", try: uncovers("/proc/sysrq-trigger", writes("/proc/sysrq-trigger")), want: "EACCES EPERM EROFS ENOENT", why: "it ends the host"},
	{name: "write oom_score_adj below its own", try: func(target) error { return os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0) }, want: "EACCES EPERM", why: "the host's out of memory killer would spare it"},
	{name: "write irq affinity", try: uncovers("/proc/irq", writes("/proc/irq/default_smp_affinity")), want: "EACCES EPERM EROFS ENOENT", why: "the host's interrupts"},
	{name: "write uevent_helper", try: writes("/sys/kernel/uevent_helper"), want: "EACCES EPERM EROFS ENOENT", why: "it starts a program on the host"},
	{name: "write power state", try: writes("/sys/power/state"), want: "EACCES EPERM EROFS ENOENT", why: "it suspends the host"},
	{name: "write lo mtu", try: writes("/sys/class/net/lo/mtu"), want: "EACCES EPERM EROFS ENOENT", why: "devices of the host"},
	{name: "write huge pages", try: writes("/sys/kernel/mm/transparent_hugepage/enabled"), want: "EACCES EPERM EROFS ENOENT", why: "memory of the host"},
	{name: "write pci rescan", try: writes("/sys/bus/pci/rescan"), want: "EACCES EPERM EROFS ENOENT", why: "devices of the host"},
	{name: "read kcore", try: uncovers("/proc/kcore", reads("/proc/kcore")), want: "EACCES EPERM ENOENT EMPTY", why: "the host's memory"},
	{name: "read proc kmsg", try: uncovers("/proc/kmsg", reads("/proc/kmsg")), want: "EACCES EPERM ENOENT", why: "the host's log; empty for ever makes programs spin"},
	{name: "read slabinfo", try: uncovers("/proc/slabinfo", reads("/proc/slabinfo")), want: "EACCES EPERM ENOENT EMPTY", why: "what the host does"},
	{name: "read vmallocinfo", try: uncovers("/proc/vmallocinfo", reads("/proc/vmallocinfo")), want: "EACCES EPERM ENOENT EMPTY", why: "addresses of the kernel"},
	{name: "read pagetypeinfo", try: uncovers("/proc/pagetypeinfo", reads("/proc/pagetypeinfo")), want: "EACCES EPERM ENOENT EMPTY", why: "memory of the host"},
	{name: "read host's root by a process", try: func(t target) error { return tryRead("/proc/" + itoa(t.pid) + "/root/etc/shadow") }, want: "ENOENT", why: "the host's processes are not in its proc"},
	{name: "read kernel addresses", try: kallsyms, want: "EACCES EPERM ENOENT EMPTY", why: "they help against the kernel"},
	{name: "read dmi", try: reads("/sys/firmware/dmi/tables/DMI"), want: "EACCES EPERM ENOENT EMPTY", why: "serial numbers of the host"},
	{name: "read memmap", try: reads("/proc/1/pagemap"), want: "ok EPERM EACCES", why: "page numbers in it read as zero without capability on the host"},
}

// onFile makes a file of the guest's own for f.
func onFile(f func(path string) error) func(target) error {
	return func(target) error {
		tmp, err := os.CreateTemp("/root", "probe")
		if err != nil {
			return err
		}
		defer os.Remove(tmp.Name())
		tmp.Close()
		return f(tmp.Name())
	}
}

// leaseOn holds a file of the host's for as long as the answer takes.
func leaseOn(path string) func(target) error {
	return func(target) error {
		fd, err := unix.Open(path, unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
			return err
		}
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK)
		return err
	}
}

func setgroups(gid uint32) error {
	list := []uint32{gid}
	return sysno(unix.SYS_SETGROUPS, 1, ptr(&list[0]))
}

// setFileCap writes a struct vfs_ns_cap_data of revision 3 with all that there is.
func setFileCap(path string, root uint32) error {
	var b []byte
	for _, v := range []uint32{0x03000001, ^uint32(0), 0, ^uint32(0), 0, root} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return unix.Setxattr(path, "security.capability", b, 0)
}

func setImmutable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, fsImmutable)
}

// setuidProgram runs a setuid copy of this program as an ordinary user: whom it
// makes is root of the guest, which is nobody on the host.
func setuidProgram(target) error {
	path := "/usr/local/probe-setuid"
	if err := copyFile(agentName, path); err != nil {
		path = "/var/tmp/probe-setuid"
		if err := copyFile(agentName, path); err != nil {
			return err
		}
	}
	defer os.Remove(path)
	if err := os.Chmod(path, 0o4755); err != nil {
		return err
	}
	c := exec.Command(path, "maps")
	c.Args[0] = agentName
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000, NoSetGroups: true}}
	out, err := c.CombinedOutput()
	if err != nil {
		return err
	}
	f := strings.Fields(string(out)) // effective uid, and the map's first line
	if len(f) < 3 {
		return errors.New(string(out))
	}
	outer, err := strconv.Atoi(f[2])
	if err == nil && outer == 0 {
		return nil
	}
	return errInside
}

// agentMaps prints the effective uid and what its user namespace makes of ids.
func agentMaps([]string) error {
	data, err := os.ReadFile("/proc/self/uid_map")
	_, _ = os.Stdout.WriteString(strconv.Itoa(os.Geteuid()) + " " + string(data))
	return err
}

// lowerPidMax takes one off for a moment. That the host keeps what it had is for the
// test to see.
func lowerPidMax(target) error {
	const path = "/proc/sys/kernel/pid_max"
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(n-1)), 0); err != nil {
		return err
	}
	return errInside
}

func kallsyms(target) error {
	data, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		if strings.Trim(strings.Fields(line)[0], "0") != "" {
			return nil
		}
	}
	return errMasked
}

// tryRead tells apart what may not be opened, what is there and holds nothing, and
// what can be read.
func tryRead(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := f.Read(make([]byte, 16))
	if n == 0 && (err == nil || err.Error() == "EOF") {
		return errMasked
	}
	return err
}

// tryWrite opens for writing and writes nothing.
func tryWrite(path string) error {
	f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
