package spawn

import "vsl/engine/internal/sys"

// Refusal is a group of system calls that a guest never needs.
type Refusal struct {
	Errno sys.Errno
	Names []string
	Why   string
	Peers string // which of the peers refuse them to a guest of theirs that has no special powers
}

// Refused are the system calls that fail in a guest whatever their arguments, with
// an error that programs take as "not permitted here" or as "old kernel" and go
// on. Everything else that was known when the tables were made is allowed; later
// calls do not exist for a guest until somebody has judged them.
var Refused = []Refusal{
	{sys.EPERM, []string{"init_module", "finit_module", "delete_module"}, "the host's kernel is not the guest's", "moby, nspawn, LXC"},
	{sys.EPERM, []string{"kexec_load", "kexec_file_load"}, "another kernel for the host", "moby, nspawn, LXC"},
	{sys.EPERM, []string{"open_by_handle_at"}, "opens files past all folders", "moby, nspawn, LXC"},
	{sys.EPERM, []string{"bpf", "perf_event_open", "userfaultfd"}, "much code of the kernel, often broken", "moby; nspawn but userfaultfd"},
	{sys.EPERM, []string{"fanotify_init"}, "its marks reach whole mounts and file systems", "moby, nspawn"},
	{sys.EPERM, []string{"swapon", "swapoff"}, "the host's memory", "moby, nspawn"},
	{sys.EPERM, []string{"acct", "quotactl", "quotactl_fd"}, "accounts of the whole host", "moby, nspawn"},
	{sys.EPERM, []string{"syslog"}, "the host's log", "moby, nspawn"},
	{sys.EPERM, []string{"settimeofday", "stime", "clock_settime", "clock_settime64"}, "the host's clock", "moby, nspawn"},
	{sys.EPERM, []string{"iopl", "ioperm", "pciconfig_read", "pciconfig_write", "pciconfig_iobase"}, "the host's devices", "moby, nspawn"},
	{sys.EPERM, []string{"pidfd_getfd", "process_madvise", "kcmp"}, "reach into other processes; what needs them is checkpointing", "moby; nspawn but kcmp"},
	{sys.EPERM, []string{"set_mempolicy", "set_mempolicy_home_node", "mbind", "migrate_pages", "move_pages"},
		"whose memory lies where is the host's to say; asking is allowed", "moby"},
	{sys.EPERM, []string{"vhangup"}, "a terminal is never the guest's alone; login goes on without", "moby"},
	{sys.ENOSYS, []string{"cachestat"}, "tells which of the host's shared files are in use", ""},
	{sys.ENOSYS, []string{"clone3"}, "its flags are in memory, where a filter cannot look; libc falls back to clone", "moby"},
	{sys.ENOSYS, []string{"io_uring_setup", "io_uring_enter", "io_uring_register"}, "much code of the kernel, often broken; goes past this filter", "nspawn"},
	{sys.ENOSYS, []string{"keyctl", "add_key", "request_key"}, "keyrings are the host's, counted per user", "moby, nspawn"},
	{sys.ENOSYS, []string{"create_module", "query_module", "get_kernel_syms", "lookup_dcookie", "nfsservctl", "uselib", "ustat", "sysfs", "_sysctl", "vserver"},
		"obsolete", "moby, nspawn"},
	{sys.ENOSYS, []string{"vm86", "vm86old"}, "16-bit code, on 32-bit kernels only", "moby, nspawn"},
}

// Permitted are system calls, and uses of some, that peers refuse and a guest has.
var Permitted = []struct{ Names, Why, Peers string }{
	{"mount umount2 fsopen fsmount fsconfig fspick move_mount open_tree mount_setattr pivot_root chroot", "systemd mounts; the user namespace decides what", "moby"},
	{"unshare setns clone", "services have namespaces of their own; all but network namespaces", "moby"},
	{"sethostname setdomainname", "its own UTS namespace", "moby"},
	{"reboot", "how a guest says that it halts", "moby"},
	{"ptrace process_vm_readv process_vm_writev", "debuggers; processes of its own pid namespace", "nspawn without CAP_SYS_PTRACE"},
	{"adjtimex clock_adjtime", "reading says whether the clock is right; changing takes CAP_SYS_TIME on the host", "nspawn"},
	{"modify_ldt", "wine, and old 32-bit programs", "nspawn"},
	{"personality", "of Linux: 32-bit builds, debuggers; no other systems', no page at zero", "moby in part"},
	{"get_mempolicy", "asking where memory lies; libnuma begins with it", "moby"},
	{"pkey_alloc pkey_free pkey_mprotect", "a process protects its own memory", "nspawn"},
	{"socket", "UNIX, IP (TCP, UDP, ICMP) and netlink; not vsock, packet and the rest", "moby refuses vsock alone"},
	{"fcntl madvise fadvise64", "all but leases, MADV_PAGEOUT and POSIX_FADV_DONTNEED, by which others are held up", ""},
	{"ioctl", "all but TIOCSTI, TIOCLINUX and TIOCSETD, by which a terminal is made to type", ""},
}
