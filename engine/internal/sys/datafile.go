package sys

import (
	"errors"

	"golang.org/x/sys/unix"
)

// dataFS are the file systems whose files are nothing but stored data.
var dataFS = map[int64]bool{
	unix.OVERLAYFS_SUPER_MAGIC: true, unix.TMPFS_MAGIC: true, unix.EXT4_SUPER_MAGIC: true,
	unix.XFS_SUPER_MAGIC: true, unix.BTRFS_SUPER_MAGIC: true, unix.F2FS_SUPER_MAGIC: true,
	unix.SQUASHFS_MAGIC: true, unix.EROFS_SUPER_MAGIC_V1: true, unix.RAMFS_MAGIC: true,
	0x2fc12fc1: true, // ZFS
	0xca451a4e: true, // bcachefs
}

var errNotData = errors.New("not a regular file or directory on a file system for data")

// CheckDataFile says whether an open file is a regular file or a directory on
// a file system whose files are nothing but data.
func CheckDataFile(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if t := st.Mode & unix.S_IFMT; t != unix.S_IFREG && t != unix.S_IFDIR {
		return errNotData
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return err
	}
	if !dataFS[int64(uint32(fs.Type))] {
		return errNotData
	}
	return nil
}
