package guest

import (
	"golang.org/x/sys/unix"
)

// deviceProbes go for the host by its devices, and by terminals.
var deviceProbes = []probe{
	{name: "mknod disk", try: node(unix.S_IFBLK, 8, 0), want: "EPERM", why: "no guest makes device nodes"},
	{name: "mknod virtio disk", try: node(unix.S_IFBLK, 254, 0), want: "EPERM", why: "no guest makes device nodes"},
	{name: "mknod loop", try: node(unix.S_IFBLK, 7, 0), want: "EPERM", why: "no guest makes device nodes"},
	{name: "mknod mem", try: node(unix.S_IFCHR, 1, 1), want: "EPERM", why: "no guest makes device nodes"},
	{name: "mknod kmem", try: node(unix.S_IFCHR, 1, 2), want: "EPERM", why: "no guest makes device nodes"},
	{name: "mknod port", try: node(unix.S_IFCHR, 1, 4), want: "EPERM", why: "no guest makes device nodes"},
	{name: "mknod kmsg", try: node(unix.S_IFCHR, 1, 11), want: "EPERM", why: "no guest makes device nodes"},
	{name: "mknod fuse", try: node(unix.S_IFCHR, 10, 229), want: "EPERM", why: "no guest makes device nodes"},
	{name: "mknod kvm", try: node(unix.S_IFCHR, 10, 232), want: "EPERM", why: "no guest makes device nodes"},
	{name: "mknod tun", try: node(unix.S_IFCHR, 10, 200), want: "EPERM", why: "no guest makes device nodes"},
	{name: "mknod null", try: node(unix.S_IFCHR, 1, 3), want: "EPERM", why: "not even a harmless one"},
	{name: "open mem", try: reads("/dev/mem"), want: "ENOENT EPERM EACCES", why: "the host's memory"},
	{name: "open kmsg", try: reads("/dev/kmsg"), want: "ENOENT EPERM EACCES", why: "the host's log"},
	{name: "open port", try: reads("/dev/port"), want: "ENOENT EPERM EACCES", why: "the host's hardware"},
	{name: "open loop-control", try: writes("/dev/loop-control"), want: "ENOENT EPERM EACCES", why: "it makes devices"},
	{name: "open tun", try: writes("/dev/net/tun"), want: "ENOENT EPERM EACCES", why: "it makes network devices"},
	{name: "open userfaultfd", try: writes("/dev/userfaultfd"), want: "ENOENT EPERM EACCES", why: "it stops the kernel where it likes"},
	{name: "open vhost", try: writes("/dev/vhost-net"), want: "ENOENT EPERM EACCES", why: "the host's kernel works for it"},
	{name: "open snapshot", try: writes("/dev/snapshot"), want: "ENOENT EPERM EACCES", why: "all of the host's memory"},
	{name: "open console", try: writes("/dev/tty0"), want: "ENOENT EPERM EACCES", why: "the host's screen"},
	{name: "TIOCSTI", try: onTerminal(unix.TIOCSTI, 'x'), want: "EPERM EIO", why: "it types into who shares the terminal"},
	{name: "TIOCLINUX", try: onTerminal(unix.TIOCLINUX, 2), want: "EPERM EINVAL", why: "it pastes into the host's console"},
	{name: "TIOCSETD", try: onTerminal(unix.TIOCSETD, 0), want: "EPERM", why: "line disciplines are drivers"},
	{name: "TIOCCONS", try: onTerminal(unix.TIOCCONS, 0), want: "EPERM", why: "it takes what the host's console prints"},
	{name: "vhangup", try: call(unix.SYS_VHANGUP), want: "EPERM ENOSYS", why: "no guest needs it, and with a terminal of somebody else's it hangs that up"},
}

// node makes a device node and removes it.
func node(kind uint32, major, minor uint32) func(target) error {
	return func(target) error {
		const path = "/probe-node"
		err := unix.Mknod(path, kind|0o600, int(unix.Mkdev(major, minor)))
		if err == nil {
			_ = unix.Unlink(path)
		}
		return err
	}
}

// onTerminal tries an ioctl on a terminal that the guest made: its program's end.
func onTerminal(request uintptr, value byte) func(target) error {
	return func(target) error {
		fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
		if err != nil {
			return err
		}
		tty, err := unix.Open("/dev/pts/"+itoa(n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(tty)
		v := int32(value)
		return sysno(unix.SYS_IOCTL, uintptr(tty), request, ptr(&v))
	}
}
