package sys

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Flag is a bit with the name that the kernel's headers give it.
type Flag struct {
	Bit  uint64
	Name string
}

// The flags of the system calls that child programs are made of, in the order of
// their bits, which is also strace's.
var (
	MountFlags = []Flag{
		{unix.MS_RDONLY, "MS_RDONLY"}, {unix.MS_NOSUID, "MS_NOSUID"}, {unix.MS_NODEV, "MS_NODEV"}, {unix.MS_NOEXEC, "MS_NOEXEC"},
		{unix.MS_REMOUNT, "MS_REMOUNT"}, {unix.MS_NOATIME, "MS_NOATIME"}, {unix.MS_BIND, "MS_BIND"}, {unix.MS_MOVE, "MS_MOVE"},
		{unix.MS_REC, "MS_REC"}, {unix.MS_UNBINDABLE, "MS_UNBINDABLE"}, {unix.MS_PRIVATE, "MS_PRIVATE"}, {unix.MS_SLAVE, "MS_SLAVE"},
		{unix.MS_SHARED, "MS_SHARED"}, {unix.MS_RELATIME, "MS_RELATIME"},
	}
	UmountFlags = []Flag{
		{unix.MNT_FORCE, "MNT_FORCE"}, {unix.MNT_DETACH, "MNT_DETACH"}, {unix.MNT_EXPIRE, "MNT_EXPIRE"}, {unix.UMOUNT_NOFOLLOW, "UMOUNT_NOFOLLOW"},
	}
	CloneFlags = []Flag{
		{unix.CLONE_NEWTIME, "CLONE_NEWTIME"}, {unix.CLONE_VM, "CLONE_VM"}, {unix.CLONE_PIDFD, "CLONE_PIDFD"},
		{unix.CLONE_VFORK, "CLONE_VFORK"}, {unix.CLONE_NEWNS, "CLONE_NEWNS"}, {unix.CLONE_PARENT_SETTID, "CLONE_PARENT_SETTID"},
		{unix.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"}, {unix.CLONE_NEWUTS, "CLONE_NEWUTS"}, {unix.CLONE_NEWIPC, "CLONE_NEWIPC"},
		{unix.CLONE_NEWUSER, "CLONE_NEWUSER"}, {unix.CLONE_NEWPID, "CLONE_NEWPID"}, {unix.CLONE_NEWNET, "CLONE_NEWNET"},
		{unix.CLONE_CLEAR_SIGHAND, "CLONE_CLEAR_SIGHAND"}, {unix.CLONE_INTO_CGROUP, "CLONE_INTO_CGROUP"},
	}
	CloseRangeFlags = []Flag{{unix.CLOSE_RANGE_UNSHARE, "CLOSE_RANGE_UNSHARE"}, {unix.CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC"}}
	AtFlags         = []Flag{{unix.AT_REMOVEDIR, "AT_REMOVEDIR"}, {unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"}}
	openFlags       = []Flag{
		{unix.O_CREAT, "O_CREAT"}, {unix.O_EXCL, "O_EXCL"}, {unix.O_NOCTTY, "O_NOCTTY"}, {unix.O_TRUNC, "O_TRUNC"}, {unix.O_APPEND, "O_APPEND"},
		{unix.O_NONBLOCK, "O_NONBLOCK"}, {unix.O_DIRECTORY, "O_DIRECTORY"}, {unix.O_NOFOLLOW, "O_NOFOLLOW"}, {unix.O_CLOEXEC, "O_CLOEXEC"},
		{unix.O_PATH, "O_PATH"},
	}
	socketFlags = []Flag{{unix.SOCK_NONBLOCK, "SOCK_NONBLOCK"}, {unix.SOCK_CLOEXEC, "SOCK_CLOEXEC"}}
)

// FlagNames writes a number as the names of its bits; bits without a name follow
// as a number.
func FlagNames(n uint64, flags []Flag) string {
	var names []string
	for _, f := range flags {
		if n&f.Bit != 0 {
			names = append(names, f.Name)
			n &^= f.Bit
		}
	}
	if n != 0 || len(names) == 0 {
		names = append(names, number(n))
	}
	return strings.Join(names, "|")
}

func number(n uint64) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", n)
}

// OpenFlagNames writes the flags of open(2), whose two lowest bits are a number.
func OpenFlagNames(n uint64) string {
	s := []string{"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"}[n&unix.O_ACCMODE]
	if n &^= unix.O_ACCMODE; n != 0 {
		s += "|" + FlagNames(n, openFlags)
	}
	return s
}

// SocketTypeName writes the type of a socket with its flags.
func SocketTypeName(n uint64) string {
	flags := uint64(unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC)
	s, ok := map[uint64]string{unix.SOCK_STREAM: "SOCK_STREAM", unix.SOCK_DGRAM: "SOCK_DGRAM", unix.SOCK_RAW: "SOCK_RAW"}[n&^flags]
	if !ok {
		s = number(n &^ flags)
	}
	if n &= flags; n != 0 {
		s += "|" + FlagNames(n, socketFlags)
	}
	return s
}

// RlimitName writes the number of a resource limit.
func RlimitName(n uint64) string {
	names := map[uint64]string{
		unix.RLIMIT_AS: "RLIMIT_AS", unix.RLIMIT_CORE: "RLIMIT_CORE", unix.RLIMIT_CPU: "RLIMIT_CPU", unix.RLIMIT_DATA: "RLIMIT_DATA",
		unix.RLIMIT_FSIZE: "RLIMIT_FSIZE", unix.RLIMIT_LOCKS: "RLIMIT_LOCKS", unix.RLIMIT_MEMLOCK: "RLIMIT_MEMLOCK",
		unix.RLIMIT_MSGQUEUE: "RLIMIT_MSGQUEUE", unix.RLIMIT_NICE: "RLIMIT_NICE", unix.RLIMIT_NOFILE: "RLIMIT_NOFILE",
		unix.RLIMIT_NPROC: "RLIMIT_NPROC", unix.RLIMIT_RSS: "RLIMIT_RSS", unix.RLIMIT_RTPRIO: "RLIMIT_RTPRIO",
		unix.RLIMIT_RTTIME: "RLIMIT_RTTIME", unix.RLIMIT_SIGPENDING: "RLIMIT_SIGPENDING", unix.RLIMIT_STACK: "RLIMIT_STACK",
	}
	if s, ok := names[n]; ok {
		return s
	}
	return fmt.Sprint(n)
}

// ErrnoName is an error's name, as "ENOENT".
func ErrnoName(e Errno) string {
	if s := unix.ErrnoName(e); s != "" {
		return s
	}
	return fmt.Sprintf("errno %d", int(e))
}
