package sys

import (
	"io/fs"
	"syscall"
)

// OwnerOf is the user that a file of the host belongs to; ok is false where its
// information is not the kernel's.
func OwnerOf(info fs.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// GroupOf is the group that a file of the host belongs to.
func GroupOf(info fs.FileInfo) (gid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Gid), true
}
