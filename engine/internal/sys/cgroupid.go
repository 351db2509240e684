package sys

import "golang.org/x/sys/unix"

// cgroupRoot is the number of the root of the v2 hierarchy.
const cgroupRoot = 1

// CgroupID is the kernel's number of the cgroup v2 directory that fd is open
// on, which BPF maps and helpers use, and how many levels it is below the root.
// The number is the inode's (on 64-bit kernels) and is not given to another
// cgroup before the next boot. The level is 0 when the root is not in sight,
// because only a part of the hierarchy is mounted.
func CgroupID(fd int) (id uint64, level int, err error) {
	dir := fd
	for up := 0; ; up++ {
		var st unix.Stat_t
		err = unix.Fstat(dir, &st)
		if up == 0 {
			id = st.Ino
		} else if err == nil && st.Ino == cgroupRoot {
			level = up
		}
		parent := -1
		if err == nil && st.Ino != cgroupRoot && up < maxCgroupLevel {
			parent, err = unix.Openat(dir, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
		if dir != fd {
			unix.Close(dir)
		}
		if err != nil || parent < 0 {
			return id, level, err
		}
		dir = parent
	}
}

// maxCgroupLevel ends the way up where a hierarchy is mounted in part.
const maxCgroupLevel = 64
