package sys

import (
	"encoding/binary"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// BPFFS makes dir a mount of the BPF file system, where programs and maps can
// outlive the process that loaded them. A directory that is one already stays
// as it is. Only root may look in.
func BPFFS(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Op("statfs", dir, err)
	}
	if st.Type == unix.BPF_FS_MAGIC {
		return nil
	}
	return Op("mount bpf", dir, unix.Mount("bpf", dir, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"))
}

// fileidKernfs is FILEID_KERNFS of linux/exportfs.h: a handle that is the
// number of a cgroup.
const fileidKernfs = 0xfe

// CgroupExists says whether a cgroup with that number (CgroupID) is still
// there; fd is any descriptor in the v2 hierarchy.
func CgroupExists(fd int, id uint64) (bool, error) {
	h := unix.NewFileHandle(fileidKernfs, binary.NativeEndian.AppendUint64(nil, id))
	f, err := unix.OpenByHandleAt(fd, h, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_DIRECTORY)
	if errors.Is(err, unix.ESTALE) || errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	unix.Close(f)
	return true, nil
}
