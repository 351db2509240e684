package guest

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const noProcess = "ESRCH" // the host's processes have no number in a guest's pid namespace

// processProbes go for processes of the host, by the number that they have there.
var processProbes = []probe{
	{name: "kill", try: func(t target) error { return syscall.Kill(t.pid, 0) }, want: noProcess, why: "no number, no process"},
	{name: "tgkill", try: func(t target) error { return sysno(unix.SYS_TGKILL, uintptr(t.pid), uintptr(t.pid), 0) }, want: noProcess, why: "no number, no process"},
	{name: "rt_sigqueueinfo", try: queueInfo, want: noProcess + " EPERM", why: "no number, no process"},
	{name: "ptrace attach", try: func(t target) error { return unix.PtraceAttach(t.pid) }, want: noProcess, why: "no number, no process"},
	{name: "ptrace seize", try: func(t target) error { return unix.PtraceSeize(t.pid) }, want: noProcess, why: "no number, no process"},
	{name: "process_vm_readv", try: ofHost(0, unix.SYS_PROCESS_VM_READV, 0, 0, 0, 0, 0, 0), want: noProcess + " EPERM ENOSYS ok", why: "with nothing to read it may also be done"},
	{name: "process_vm_readv of a word", try: readWord, want: noProcess + " EPERM ENOSYS", why: "no number, no process"},
	{name: "pidfd_open", try: ofHost(0, unix.SYS_PIDFD_OPEN, 0, 0), want: noProcess, why: "no number, no process"},
	{name: "pidfd_getfd", try: getFD, want: "EPERM ENOSYS", why: "it takes descriptors out of others"},
	{name: "kcmp", try: func(t target) error { return sysno(unix.SYS_KCMP, uintptr(unix.Getpid()), uintptr(t.pid), 0, 0, 0) }, want: noProcess + " EPERM ENOSYS", why: "addresses of the kernel by comparison"},
	{name: "kcmp of its own", try: func(target) error {
		return sysno(unix.SYS_KCMP, uintptr(unix.Getpid()), uintptr(unix.Getpid()), 1, 0, 0)
	}, want: "EPERM ENOSYS", why: "addresses of the kernel by comparison"},
	{name: "process_madvise", try: call(unix.SYS_PROCESS_MADVISE, ^uintptr(0), 0, 0, 0, 0), want: "EPERM ENOSYS", why: "it moves the memory of others about"},
	{name: "prlimit", try: func(t target) error { var l unix.Rlimit; return unix.Prlimit(t.pid, unix.RLIMIT_CORE, nil, &l) }, want: noProcess, why: "no number, no process"},
	{name: "sched_setscheduler", try: func(t target) error {
		prio := int32(0)
		return sysno(unix.SYS_SCHED_SETSCHEDULER, uintptr(t.pid), 0, ptr(&prio))
	}, want: noProcess, why: "no number, no process"},
	{name: "sched_setaffinity", try: func(t target) error { set := unix.CPUSet{}; set.Set(0); return unix.SchedSetaffinity(t.pid, &set) }, want: noProcess, why: "no number, no process"},
	{name: "setpriority", try: func(t target) error { return unix.Setpriority(unix.PRIO_PROCESS, t.pid, 19) }, want: noProcess, why: "no number, no process"},
	{name: "setpriority of a foreign user", try: func(target) error { return unix.Setpriority(unix.PRIO_USER, 70000, 19) }, want: "ESRCH", why: "ids beyond the map are nobody's"},
	{name: "ioprio_set", try: ofHost(1, unix.SYS_IOPRIO_SET, 1, 0, 3<<13), want: noProcess, why: "no number, no process"},
	{name: "migrate_pages", try: func(t target) error {
		mask := uint64(1)
		return sysno(unix.SYS_MIGRATE_PAGES, uintptr(t.pid), 2, ptr(&mask), ptr(&mask))
	}, want: noProcess + " EPERM ENOSYS", why: "no number, no process"},
	{name: "move_pages", try: ofHost(0, unix.SYS_MOVE_PAGES, 0, 0, 0, 0, 0, 0), want: noProcess + " EPERM ENOSYS", why: "no number, no process"},
	{name: "set_mempolicy", try: call(unix.SYS_SET_MEMPOLICY, 0, 0, 0), want: "EPERM ENOSYS", why: "which memory of the host is used is the host's to say"},
	{name: "get_robust_list", try: func(t target) error {
		var a, n uintptr
		return sysno(unix.SYS_GET_ROBUST_LIST, uintptr(t.pid), ptr(&a), ptr(&n))
	}, want: noProcess + " EPERM", why: "no number, no process"},
	{name: "perf of the host's process", try: ofHost(1, unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0, 0), want: "EPERM", why: "it measures others"},
	{name: "its proc folder", try: func(t target) error { return tryRead("/proc/" + itoa(t.pid) + "/status") }, want: "ENOENT", why: "no number, no process"},
	{name: "write its oom_score_adj", try: func(t target) error { return tryWrite("/proc/" + itoa(t.pid) + "/oom_score_adj") }, want: "ENOENT", why: "no number, no process"},
	{name: "SysV memory of the host", try: func(target) error { return sysno(unix.SYS_SHMGET, 0x76736c70, 4096, 0) }, want: "ENOENT", why: "an ipc namespace of its own"},
}

func queueInfo(t target) error {
	var info [128]byte
	return sysno(unix.SYS_RT_SIGQUEUEINFO, uintptr(t.pid), 0, ptr(&info))
}

func readWord(t target) error {
	var word uint64
	local := unix.Iovec{Base: (*byte)(unsafe.Pointer(&word)), Len: 8}
	remote := unix.RemoteIovec{Base: 0x400000, Len: 8}
	return sysno(unix.SYS_PROCESS_VM_READV, uintptr(t.pid), ptr(&local), 1, ptr(&remote), 1, 0)
}

func getFD(target) error {
	fd, err := unix.PidfdOpen(unix.Getpid(), 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	got, err := unix.PidfdGetfd(fd, 0, 0)
	if err == nil {
		unix.Close(got)
	}
	return err
}
