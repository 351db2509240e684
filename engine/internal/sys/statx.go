package sys

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// STATX_BASIC_STATS asks statx(2) for what stat(2) gives.
const STATX_BASIC_STATS = unix.STATX_BASIC_STATS

// StatxSize is the size of struct statx in bytes.
const StatxSize = int(unsafe.Sizeof(unix.Statx_t{}))

// Statx is what vsl uses of struct statx.
type Statx struct {
	Mode         uint16 // type and permissions, as in stat(2)
	UID, GID     uint32
	Size         int64
	Inode        uint64
	Mtime        time.Time
	Rdev, Device uint64
}

// ParseStatx reads a struct statx from its first StatxSize bytes, as the
// kernel left them in another process.
func ParseStatx(b []byte) Statx {
	var st unix.Statx_t
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&st)), StatxSize), b)
	return Statx{
		Mode: st.Mode, UID: st.Uid, GID: st.Gid, Size: int64(st.Size), Inode: st.Ino,
		Mtime:  time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec)),
		Rdev:   unix.Mkdev(st.Rdev_major, st.Rdev_minor),
		Device: unix.Mkdev(st.Dev_major, st.Dev_minor),
	}
}
