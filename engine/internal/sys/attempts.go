package sys

import "golang.org/x/sys/unix"

// The calls with which an audit tries a guest's walls.
const (
	NrBPF           = unix.SYS_BPF
	NrPerfEventOpen = unix.SYS_PERF_EVENT_OPEN
	NrFinitModule   = unix.SYS_FINIT_MODULE
	NrClockSettime  = unix.SYS_CLOCK_SETTIME
	NrSyslog        = unix.SYS_SYSLOG
	NrSwapon        = unix.SYS_SWAPON
	NrAddKey        = unix.SYS_ADD_KEY
	NrIOURingSetup  = unix.SYS_IO_URING_SETUP
	NrOpenByHandle  = unix.SYS_OPEN_BY_HANDLE_AT
	NrFcntl         = unix.SYS_FCNTL
	NrBind          = unix.SYS_BIND
	NrConnect       = unix.SYS_CONNECT

	ENETUNREACH = unix.ENETUNREACH
	ENOBUFS     = unix.ENOBUFS

	FSetlease = unix.F_SETLEASE
	FReadLock = unix.F_RDLCK

	SockStream = unix.SOCK_STREAM
	SockRaw    = unix.SOCK_RAW
	AFUnix     = unix.AF_UNIX
	AFInet     = unix.AF_INET
	AFInet6    = unix.AF_INET6
	AFPacket   = unix.AF_PACKET
	ProtoICMP  = unix.IPPROTO_ICMP
)
